"""Specs of the image parts: light, whole, and fitting together."""

from __future__ import annotations

import importlib
import subprocess
import sys

import msgspec
import pytest

from harness import DataSetFamilySpec, DataSetSpec
from harness.api import installed
from harness.contracts.specs import BUDGETS
from harness.line.planning import Request, plan
from harness.line.suites import plan_suite, read_suite
from harness_images import spec, spec_published

LIGHT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "numpy", "scipy", "sklearn", "pyarrow", "PIL", "huggingface_hub", "matplotlib"}:
            raise ImportError(name + " is heavy")

sys.meta_path.insert(0, Blocked())
import harness_images.spec as spec
print(len(spec.harness_methods()))
"""

DATASETS = [each for each in spec.harness_datasets() if isinstance(each, DataSetSpec)]
FAMILIES = [each for each in spec.harness_datasets() if isinstance(each, DataSetFamilySpec)]
METHODS = spec.harness_methods()
BUILT = [*DATASETS, *spec.harness_encoders(), *spec.harness_objectives(), *spec.harness_pictures()]
SUITES = [suite.name for suite in spec.harness_suites()]


def attribute(text: str) -> object:
    module, _, name = text.partition(":")
    return getattr(importlib.import_module(module), name)


def test_the_specs_are_read_without_anything_heavy() -> None:
    result = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr) == (str(len(METHODS)), "")


@pytest.mark.parametrize("part", BUILT, ids=lambda part: part.name)
def test_every_build_string_leads_to_a_function(part: msgspec.Struct) -> None:
    assert callable(attribute(part.build))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.prefix)
def test_every_family_is_resolved_by_a_function(family: DataSetFamilySpec) -> None:
    assert callable(attribute(family.resolve))


@pytest.mark.parametrize("encoder", spec.harness_encoders(), ids=lambda encoder: encoder.name)
def test_every_encoder_has_a_mirror_decoder_and_y_first(encoder: msgspec.Struct) -> None:
    assert callable(attribute(encoder.decoder))
    assert [feature.name for feature in encoder.features] == ["y", "fc", "conv", "local"]


@pytest.mark.parametrize("data", DATASETS, ids=lambda data: data.name)
def test_every_protocol_of_a_data_set_is_there(data: DataSetSpec) -> None:
    assert set(data.protocols) <= {protocol.name for protocol in spec.harness_protocols()}


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("data", DATASETS, ids=lambda data: data.name)
def test_every_method_is_planned_on_every_data_set_in_every_budget(data, budget) -> None:
    for method in METHODS:
        request = Request(method=method.name, data=data.name, budget=budget, references=False)
        assert [run.identity.method.name for run in plan(request, installed()[1]).runs] == [method.name]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_smaller_budget_never_trains_longer(method: msgspec.Struct) -> None:
    epochs = [method.options["train"]["epochs"]] + [method.budgets[name]["train"]["epochs"] for name in ("fast", "smoke")]
    assert epochs == sorted(epochs, reverse=True)


def test_a_fast_run_of_deep_infomax_sees_350_000_images_of_cifar10() -> None:
    assert {method.budgets["fast"]["train"]["epochs"] * 50_000 for method in METHODS if method.objective == "dim"} == {350_000}


def test_dim_is_local_infonce() -> None:
    [run] = plan(Request(method="dim", data="cifar10", references=False), installed()[1]).runs
    assert run.identity.method.name == "dim-l-infonce"
    assert (run.identity.objective.options["bound"], run.identity.encoder.name) == ("infonce", "dcgan-32")


@pytest.mark.parametrize("budget", [None, "fast"])
@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_is_planned(suite, budget) -> None:
    catalog = installed()[1]
    assert all(plan(request, catalog).runs for request in plan_suite(read_suite(suite, catalog), budget=budget))


def published(table, data, feature):
    return {
        number.method: number.value
        for number in spec_published.published()
        if (number.evaluator, number.data, number.feature) == ("mlp-paper", data, feature) and number.source.endswith(str(table))
    }


def test_published_numbers_of_table_1() -> None:
    assert published(1, "cifar10", "conv")["dim-l-infonce"] == 75.21
    assert published(1, "cifar10", "y")["dim-g"] == 43.17
    assert published(1, "cifar100", "fc")["vae"] == 34.05
    assert len(published(1, "cifar10", "conv")) == 11


def test_published_numbers_of_table_5_are_read_in_its_own_order_of_columns() -> None:
    assert published(5, "cifar10", "y") == {
        "dim-l-infonce": 70.65,
        "dim-l-coord": 71.56,
        "dim-l-occlude": 72.87,
        "dim-l-coord-occlude": 73.99,
    }
    assert published(5, "cifar10", "conv")["dim-l-infonce"] == 77.46


def test_the_honest_probe_stands_near_the_papers_and_not_beside_it() -> None:
    distances = {number.evaluator: number.distance for number in spec_published.published() if number.method == "dim-g"}
    of_accuracy = {name: distances[name] for name in ("mlp", "mlp-paper", "fine-tune")}
    assert of_accuracy == {"mlp": "near", "mlp-paper": "same", "fine-tune": "near"}


def contents(evaluator: str, metric: str) -> dict[str, float]:
    return {
        number.method: number.value
        for number in spec_published.published()
        if (number.evaluator, number.metric, number.feature) == (evaluator, metric, "y") and number.source.endswith("4")
    }


def test_published_numbers_of_table_4() -> None:
    assert contents("mine", "information")["dim-lg"] == 101.65
    assert contents("ndm", "dependence")["bigan"] == 24.49
    assert contents("ndm", "dependence_sigmoid") == {"dim-g": 0.35, "dim-lg": 0.5, "dim-l-infonce": 0.18}
    assert contents("reconstruction", "ssim_dim")["vae"] == 0.72
    assert contents("svm-paper", "accuracy") == contents("svm", "accuracy")
    assert {len(contents(*cell)) for cell in (("mine", "information"), ("ndm", "dependence"), ("svm", "accuracy"))} == {7}


def test_no_number_of_table_4_is_said_to_be_of_the_same_protocol() -> None:
    table = [number for number in spec_published.published() if number.source.endswith("table 4")]
    assert {(number.evaluator, number.distance) for number in table} == {
        ("mine", "different"), ("ndm", "near"), ("reconstruction", "near"), ("svm", "near"), ("svm-paper", "near"),
    }  # fmt: skip
    assert all(number.note for number in table)

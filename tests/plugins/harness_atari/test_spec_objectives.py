"""Specs of encoders, objectives and methods on frames: light, whole, and fitting together."""

from __future__ import annotations

import importlib
import subprocess
import sys

import msgspec
import pytest

from harness_atari.spec_encoders import ENCODERS
from harness_atari.spec_objectives import METHODS, OBJECTIVES

LIGHT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "numpy", "scipy", "sklearn", "ale_py", "gymnasium", "PIL", "matplotlib"}:
            raise ImportError(name + " is heavy")

sys.meta_path.insert(0, Blocked())
from harness_atari.spec_encoders import ENCODERS
from harness_atari.spec_objectives import METHODS
print(len(ENCODERS), len(METHODS))
"""

BY_OBJECTIVE = {spec.name: spec for spec in OBJECTIVES}
BY_ENCODER = {spec.name: spec for spec in ENCODERS}
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


def attribute(text: str) -> object:
    module, _, name = text.partition(":")
    return getattr(importlib.import_module(module), name)


def test_the_specs_are_read_without_anything_heavy():
    result = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr) == (f"{len(ENCODERS)} {len(METHODS)}", "")


@pytest.mark.parametrize("part", [*ENCODERS, *OBJECTIVES], ids=lambda part: part.name)
def test_every_build_string_leads_to_a_function(part):
    assert callable(attribute(part.build))


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: encoder.name)
def test_every_encoder_has_a_mirror_decoder_and_y_first(encoder):
    assert callable(attribute(encoder.decoder))
    assert [feature.name for feature in encoder.features] == ["y", "local", "conv", "fc"]


def test_the_methods_are_those_of_the_published_table_and_its_ablations():
    assert [method.name for method in METHODS] == ["st-dim", "static-dim", "global-t-dim", "jsd-st-dim", "cpc", "pixel-pred"]


@every_method
def test_objective_and_encoders_of_a_method_are_there(method):
    objective, encoders = BY_OBJECTIVE[method.objective], [BY_ENCODER[name] for name in method.encoders["atari"]]
    assert [encoder.name for encoder in encoders if encoder.reads((1, 210, 160))] == ["nature-full"]
    assert [encoder.name for encoder in encoders if encoder.reads((1, 84, 84))] == ["nature-84"]
    assert not objective.supervised


@every_method
@pytest.mark.parametrize("budget", ["paper", "fast", "smoke"])
def test_options_of_a_method_are_valid_in_every_budget(method, budget):
    values = dict(method.options.get("objective", {})) | dict(method.budgets.get(budget, {}).get("objective", {}))
    options = msgspec.convert(values, BY_OBJECTIVE[method.objective].options, strict=True)
    assert options.lr == 3e-4


@every_method
def test_a_smaller_budget_never_trains_longer(method):
    epochs = [method.options["train"]["epochs"]] + [method.budgets[name]["train"]["epochs"] for name in ("fast", "smoke")]
    assert epochs == sorted(epochs, reverse=True)
    assert (epochs[0], epochs[-1]) == (100, 1)


@every_method
def test_a_batch_is_of_64_samples_on_paper(method):
    assert method.options["train"]["batch_size"] == 64


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: objective.name)
def test_contrast_within_a_batch_takes_two(objective):
    assert objective.smallest_batch == (1 if objective.name in {"jsd-st-dim", "pixel-pred"} else 2)

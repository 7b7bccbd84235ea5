"""Specs of the reference rows."""

from __future__ import annotations

import importlib
import subprocess
import sys

import msgspec
import pytest

from harness_reference import spec

LIGHT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "numpy", "scipy", "sklearn"}:
            raise ImportError(name + " is heavy")

sys.meta_path.insert(0, Blocked())
import harness_reference.spec as spec
print(len(spec.harness_methods()))
"""


def test_the_specs_are_read_without_anything_heavy() -> None:
    result = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr) == ("4", "")


@pytest.mark.parametrize("part", [*spec.harness_encoders(), *spec.harness_objectives()], ids=lambda part: part.name)
def test_every_build_string_leads_to_a_function(part: msgspec.Struct) -> None:
    module, _, attribute = part.build.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_the_three_cheap_rows_stand_with_every_run() -> None:
    always = [method.name for method in spec.harness_methods() if method.reference == "with-every-run"]
    assert always == ["random", "raw", "majority"]


def test_the_cheap_rows_are_not_trained() -> None:
    assert {method.objective for method in spec.harness_methods() if method.reference == "with-every-run"} == {"none"}
    assert spec.NONE.sampling == ()


def test_the_supervised_row_is_made_on_request_and_marked() -> None:
    assert spec.SUPERVISED_METHOD.reference == "on-request"
    assert spec.SUPERVISED.supervised


def test_random_takes_the_encoder_of_the_method_it_is_compared_with() -> None:
    assert spec.RANDOM_METHOD.encoders == {"*": "*"}


def test_the_reference_encoders_read_every_kind_of_batch() -> None:
    assert all(encoder.kinds == ("*",) for encoder in spec.harness_encoders())


def test_raw_and_majority_judge_the_only_feature_of_their_encoder() -> None:
    assert spec.RAW_METHOD.features == tuple(feature.name for feature in spec.IDENTITY.features)
    assert spec.MAJORITY_METHOD.features == tuple(feature.name for feature in spec.CONSTANT.features)


def test_a_smaller_budget_only_shortens_the_training() -> None:
    assert set(spec.SUPERVISED_METHOD.budgets) == {"fast", "smoke"}
    assert all(set(parts) == {"train"} for parts in spec.SUPERVISED_METHOD.budgets.values())

"""What the plugin's hooks give."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.api import installed
from harness_information import spec, spec_data, spec_estimators, spec_evaluators

LIGHT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "numpy", "scipy", "matplotlib"}:
            raise ImportError(name + " is heavy")

sys.meta_path.insert(0, Blocked())
from harness_information import naming, spec
print(naming.resolve_gaussians("mi=6").name, len(spec.harness_methods()))
"""

PARTS = {
    "dataset": spec_data.STAIRCASE.name,
    "family": spec_data.GAUSSIANS.prefix,
    "encoder": "separable-critic",
    "objective": "mutual-information",
    "method": "mi-mine",
    "protocol": "staircase",
    "evaluator": "mi-value",
    "picture": "staircase",
}


def test_specs_and_names_are_read_without_anything_heavy():
    result = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr) == ("gaussians:mi=6 5", "")


@pytest.mark.parametrize(("kind", "name"), PARTS.items())
def test_the_catalogue_has_every_kind_of_part_and_can_build_it(kind, name):
    [entry] = [entry for entry in installed()[1].entries(kind) if entry.full_name == f"harness_information/{name}"]
    if kind not in ("method", "protocol"):
        assert callable(entry.builder())


def test_hooks_give_what_the_specs_hold():
    assert spec.harness_datasets() == spec_data.DATASETS
    assert spec.harness_protocols() == spec_data.PROTOCOLS
    assert spec.harness_encoders() == spec_estimators.ENCODERS
    assert spec.harness_objectives() == [spec_estimators.MUTUAL_INFORMATION]
    assert spec.harness_methods() == spec_estimators.METHODS
    assert spec.harness_pictures() == [spec_estimators.STAIRCASE_PICTURE]
    names = [evaluator.name for evaluator in spec.harness_evaluators()]
    assert names[:2] == ["mi-value", "staircase"]
    assert names[2:] == [evaluator.name for evaluator in spec_evaluators.EVALUATORS]


def test_no_name_is_given_twice():
    for parts in (spec.harness_evaluators(), spec.harness_encoders(), spec.harness_methods(), spec.harness_protocols()):
        assert len({part.name for part in parts}) == len(parts)

"""Specs of the image data sets."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from harness import FilesRecipe, HubRecipe
from harness.line.planning import recipe_sha256
from harness_images import spec_data

LIGHT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "numpy", "pyarrow", "PIL", "huggingface_hub", "sklearn"}:
            raise ImportError(name + " is heavy")

sys.meta_path.insert(0, Blocked())
from harness_images import families, spec_data
print(len(spec_data.DATASETS))
"""

OFFICIAL = [spec for spec in spec_data.DATASETS if spec.protocols == ("official-split",)]


def test_the_specs_and_what_resolves_families_are_read_without_anything_heavy():
    result = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr) == (str(len(spec_data.DATASETS)), "")


@pytest.mark.parametrize("spec", spec_data.DATASETS, ids=lambda spec: spec.name)
def test_every_build_string_leads_to_a_function(spec):
    module, _, attribute = spec.build.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


@pytest.mark.parametrize("family", spec_data.FAMILIES, ids=lambda family: family.prefix)
def test_every_resolve_string_leads_to_a_function(family):
    module, _, attribute = family.resolve.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_every_protocol_of_a_data_set_is_there():
    known = {protocol.name for protocol in spec_data.PROTOCOLS}
    assert {name for spec in spec_data.DATASETS for name in spec.protocols} <= known


@pytest.mark.parametrize("spec", OFFICIAL, ids=lambda spec: spec.name)
def test_every_file_is_pinned(spec):
    if isinstance(spec.recipe, FilesRecipe):
        assert all(file.sha256 and file.size for file in spec.recipe.files)
        assert all(file.url for file in spec.recipe.files) or spec.recipe.elsewhere
    hub = spec.recipe if isinstance(spec.recipe, HubRecipe) else spec.recipe.elsewhere
    assert hub is None or (len(hub.revision) == 40 and len(hub.files) == 2)


def test_a_commit_of_the_hub_is_the_revision_of_the_record():
    assert all(spec.revision == spec.recipe.revision for spec in OFFICIAL if isinstance(spec.recipe, HubRecipe))


def test_the_sizes_are_those_of_the_literature():
    forms = {spec.name: (spec.shape, spec.samples, spec.classes) for spec in OFFICIAL}
    assert forms == {
        "mnist": ((1, 28, 28), 70_000, 10),
        "fashion-mnist": ((1, 28, 28), 70_000, 10),
        "cifar10": ((3, 32, 32), 60_000, 10),
        "cifar100": ((3, 32, 32), 60_000, 100),
        "stl10": ((3, 64, 64), 13_000, 10),
        "tiny-imagenet": ((3, 64, 64), 110_000, 200),
    }


def test_the_recipe_of_digits_is_the_one_that_its_committed_records_carry():
    recorded = "c4e2a8242fefc627b63055480c1e55c87b1b41457caa503b6e00efd112ce3c3f"
    assert recipe_sha256(spec_data.DIGITS.recipe, {}) == recorded

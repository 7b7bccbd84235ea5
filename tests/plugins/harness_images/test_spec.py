"""Specs of the image parts."""

from __future__ import annotations

import importlib
import subprocess
import sys

import msgspec
import pytest

from harness_images import spec

LIGHT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "numpy", "scipy", "sklearn"}:
            raise ImportError(name + " is heavy")

sys.meta_path.insert(0, Blocked())
import harness_images.spec as spec
print(len(spec.harness_datasets()))
"""

PARTS = [*spec.harness_datasets(), *spec.harness_encoders(), *spec.harness_objectives()]


def test_the_specs_are_read_without_anything_heavy() -> None:
    result = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr) == ("1", "")


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_build_string_leads_to_a_function(part: msgspec.Struct) -> None:
    module, _, attribute = part.build.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_the_decoder_string_leads_to_a_function() -> None:
    assert spec.IMAGE_SMALL.decoder is not None
    module, _, attribute = spec.IMAGE_SMALL.decoder.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_every_protocol_of_a_data_set_is_there() -> None:
    assert set(spec.DIGITS.protocols) == {protocol.name for protocol in spec.harness_protocols()}


def test_y_is_the_feature_judged_by_default() -> None:
    assert spec.IMAGE_SMALL.features[0].name == "y"


def test_the_method_fits_together() -> None:
    assert spec.AE.objective == spec.AUTOENCODER.name
    assert spec.AE.encoders["images"] == spec.IMAGE_SMALL.name
    assert set(spec.AUTOENCODER.sampling) <= set(spec.DIGITS.sampling)
    assert spec.IMAGE_SMALL.decoder is not None


def test_a_smaller_budget_only_shortens_the_training() -> None:
    epochs = [spec.AE.options["train"]["epochs"]] + [spec.AE.budgets[name]["train"]["epochs"] for name in ("fast", "smoke")]
    assert epochs == sorted(epochs, reverse=True)
    assert all(set(parts) == {"train"} for parts in spec.AE.budgets.values())

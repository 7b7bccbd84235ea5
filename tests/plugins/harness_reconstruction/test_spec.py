"""What the spec says."""

from __future__ import annotations

import importlib

import msgspec
import pytest

from harness.api import installed
from harness_reconstruction.spec import ReconstructionOptions, harness_evaluators

[SPEC] = harness_evaluators()


def test_what_it_names_can_be_built():
    module, attribute = SPEC.build.split(":")
    getattr(importlib.import_module(module), attribute)(SPEC.options())


def test_it_is_installed_under_its_name():
    assert installed()[1].evaluator("reconstruction").full_name == "harness_reconstruction/reconstruction"


def test_every_budget_is_valid_options():
    for values in SPEC.budgets.values():
        msgspec.convert(values, SPEC.options)


def test_defaults_are_valid_options():
    assert msgspec.convert(msgspec.to_builtins(SPEC.options()), SPEC.options) == SPEC.options()


def test_every_option_is_described():
    fields = msgspec.inspect.type_info(SPEC.options).fields
    assert all(field.type.extra_json_schema["description"] for field in fields)


@pytest.mark.parametrize("window", [1, 4, 13])
def test_a_window_is_odd_and_no_larger_than_the_papers(window):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"window": window}, ReconstructionOptions)


def test_the_rate_falls_as_in_the_released_code():
    options = ReconstructionOptions()
    assert (options.lr, options.batch_size, options.milestones) == (1e-4, 64, (50, 100))


def test_ssim_and_the_one_published_as_ms_ssim_stand_in_the_full_tables():
    assert [metric.name for metric in SPEC.metrics if metric.primary] == ["ssim", "ssim_dim"]


def test_labels_are_not_asked_for():
    assert not {"labels", "factors", "truth"} & set(SPEC.needs)

"""What the specs say."""

from __future__ import annotations

import msgspec
import pytest

from harness_geometry.spec import harness_evaluators

SPECS = {spec.name: spec for spec in harness_evaluators()}


def test_the_evaluators_are_these():
    assert set(SPECS) == {"rankme", "alignment-uniformity", "lidar", "clustering"}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_budget_is_valid_options(spec):
    for values in spec.budgets.values():
        msgspec.convert(values, spec.options)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_defaults_are_valid_options(spec):
    assert msgspec.convert(msgspec.to_builtins(spec.options()), spec.options) == spec.options()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_option_is_described(spec):
    fields = msgspec.inspect.type_info(spec.options).fields
    assert all(field.type.extra_json_schema["description"] for field in fields)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_one_metric_is_primary_and_every_one_is_described(spec):
    assert [metric.primary for metric in spec.metrics].count(True) == 1
    assert all(metric.unit and metric.description for metric in spec.metrics)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rankme", {"samples": 1}),
        ("rankme", {"part": "validation"}),
        ("lidar", {"views": 1}),
        ("lidar", {"padding": 0.6}),
        ("alignment-uniformity", {"samples": 1}),
        ("clustering", {"restarts": 0}),
        ("clustering", {"n_init": 0}),
    ],
)
def test_options_without_a_meaning_are_refused(name, values):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(values, SPECS[name].options)


def test_only_clustering_sees_labels():
    assert [name for name, spec in SPECS.items() if "labels" in spec.needs] == ["clustering"]


def test_the_papers_settings_are_the_defaults():
    assert SPECS["rankme"].options().samples == 25_600
    assert (SPECS["lidar"].options().samples, SPECS["lidar"].options().views) == (1000, 50)

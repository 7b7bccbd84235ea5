"""Specs of the evaluators of any representation."""

from __future__ import annotations

import msgspec
import pytest

from harness_information.spec_evaluators import EVALUATORS, MINE, NDM

SPECS = {spec.name: spec for spec in (MINE, NDM)}


def test_both_are_given_to_the_catalogue():
    assert [spec for spec in EVALUATORS if spec.name in SPECS] == [MINE, NDM]


@pytest.mark.parametrize("spec", EVALUATORS, ids=lambda spec: spec.name)
def test_defaults_and_every_budget_are_valid_options(spec):
    assert msgspec.convert(msgspec.to_builtins(spec.options()), spec.options) == spec.options()
    for values in spec.budgets.values():
        msgspec.convert(values, spec.options)


@pytest.mark.parametrize("spec", EVALUATORS, ids=lambda spec: spec.name)
def test_every_option_and_every_metric_is_described(spec):
    fields = msgspec.inspect.type_info(spec.options).fields
    assert all(field.type.extra_json_schema["description"] for field in fields)
    assert all(metric.unit and metric.description for metric in spec.metrics)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_one_metric_is_primary_and_none_is_better_for_being_higher(spec):
    assert [metric.primary for metric in spec.metrics].count(True) == 1
    assert spec.metrics[0].primary
    assert {metric.higher_is_better for metric in spec.metrics} == {None}
    assert {metric.unit for metric in spec.metrics} == {"nats"}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_no_label_is_seen_and_no_constant_feature_judged(spec):
    assert set(spec.needs) <= {"inputs"}
    assert not spec.judges_constants


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mine", {"restarts": 0}),
        ("mine", {"batch_size": 1}),
        ("mine", {"rate": 1.0}),
        ("mine", {"shifts": 0}),
        ("mine", {"hidden": 3}),
        ("ndm", {"batch_size": 1}),
        ("ndm", {"milestones": [0]}),
        ("ndm", {"steps": 0}),
        ("ndm", {"restarts": 0}),
    ],
)
def test_options_without_a_meaning_are_refused(name, values):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(values, SPECS[name].options)

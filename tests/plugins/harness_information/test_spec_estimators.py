"""Specs of critics, of what trains them, and of what reads them."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from harness.api import installed
from harness.contracts.training import TrainOptions
from harness_information import spec_estimators
from harness_information.spec_data import StaircaseOptions
from harness_information.spec_estimators import (
    Bound,
    ConcatOptions,
    MutualInformationOptions,
    MutualInformationValueOptions,
    SeparableOptions,
    StaircaseReadingOptions,
)

OPTIONS = [ConcatOptions, SeparableOptions, MutualInformationOptions, MutualInformationValueOptions, StaircaseReadingOptions]
METHODS = {method.name: method for method in spec_estimators.METHODS}
CLASSES = {"objective": MutualInformationOptions, "train": TrainOptions, "data": StaircaseOptions}


def test_there_is_a_method_for_every_bound():
    assert set(METHODS) == {f"mi-{bound}" for bound in get_args(Bound)}
    for name, method in METHODS.items():
        assert method.options["objective"]["bound"] == name.removeprefix("mi-")


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_everything_that_a_method_sets_is_a_valid_option(method):
    layers = [method.options, *method.data_options.values(), *method.budgets.values()]
    layers += [layer for budgets in method.data_budgets.values() for layer in budgets.values()]
    for layer in layers:
        for part, values in layer.items():
            msgspec.convert(values, CLASSES[part])


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_method_trains_an_installed_objective_on_an_installed_critic(method):
    catalog = installed()[1]
    assert catalog.objective(method.objective).spec == spec_estimators.MUTUAL_INFORMATION
    assert catalog.encoder(method.encoders["synthetic"]).spec.features == (spec_estimators.SCORES,)
    assert method.citation


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_trace_holds_the_whole_published_staircase_climbed_once(method):
    staircase = method.data_options["staircase"]
    options = StaircaseOptions()
    assert staircase["objective"]["trace"] == len(options.levels) * options.steps
    assert staircase["train"]["epochs"] == 1
    for budget in method.data_budgets["staircase"].values():
        assert budget["train"]["epochs"] == 1


def test_the_published_training_is_the_default():
    critic, objective = SeparableOptions(), MutualInformationOptions()
    assert (critic.hidden, critic.layers, critic.embedding, critic.candidates) == (256, 3, 32, 64)
    assert (objective.lr, objective.rate) == (5e-4, 0.9)
    assert all(method.options["train"]["batch_size"] == 64 for method in METHODS.values())


@pytest.mark.parametrize("options", OPTIONS)
def test_defaults_are_valid_and_every_option_is_described(options):
    assert msgspec.convert(msgspec.to_builtins(options()), options) == options()
    for field in msgspec.inspect.type_info(options).fields:
        assert field.type.extra_json_schema["description"]


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (SeparableOptions, {"candidates": 1}),
        (SeparableOptions, {"layers": 0}),
        (ConcatOptions, {"embedding": 3}),
        (MutualInformationOptions, {"bound": "smile"}),
        (MutualInformationOptions, {"rate": 1.0}),
        (MutualInformationOptions, {"lr": 0}),
        (MutualInformationOptions, {"trace": -1}),
        (MutualInformationValueOptions, {"readings": ["mine"]}),
        (MutualInformationValueOptions, {"block": 1}),
        (StaircaseReadingOptions, {"judged": 0}),
        (StaircaseReadingOptions, {"judged": 1.1}),
    ],
)
def test_options_without_a_meaning_are_refused(options, values):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(values, options)


@pytest.mark.parametrize("spec", [spec_estimators.MI_VALUE, spec_estimators.STAIRCASE_READING], ids=lambda spec: spec.name)
def test_readers_of_critics_need_the_truth_and_the_trace_and_put_the_error_first(spec):
    assert set(spec.needs) == {"truth", "modules"}
    assert spec.features == ("scores",)
    [primary] = [metric for metric in spec.metrics if metric.primary]
    assert (primary.name, primary.higher_is_better, primary.lower) == ("error", False, 0.0)
    assert all(metric.unit == "nats" and metric.description for metric in spec.metrics)

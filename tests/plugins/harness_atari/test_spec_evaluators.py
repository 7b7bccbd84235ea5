"""Specs of the probes of RAM variables."""

from __future__ import annotations

import importlib
import subprocess
import sys

import msgspec
import pytest

from harness import Evaluator
from harness_atari.spec_evaluators import EVALUATORS, RAM_PROBE, RAM_PROBE_LEGACY


def test_there_is_one_for_each_protocol_and_one_that_trains_encoders():
    assert [spec.name for spec in EVALUATORS] == ["ram-probe", "ram-probe-legacy", "ram-supervised"]


@pytest.mark.parametrize("spec", EVALUATORS, ids=lambda spec: spec.name)
def test_defaults_and_every_budget_are_valid_options(spec):
    assert msgspec.convert(msgspec.to_builtins(spec.options()), spec.options) == spec.options()
    for values in spec.budgets.values():
        msgspec.convert(values, spec.options)


@pytest.mark.parametrize("spec", EVALUATORS, ids=lambda spec: spec.name)
def test_every_option_and_every_metric_is_described(spec):
    fields = msgspec.inspect.type_info(spec.options).fields
    assert all(field.type.extra_json_schema["description"] for field in fields)
    assert all(metric.description for metric in spec.metrics)


@pytest.mark.parametrize("spec", EVALUATORS, ids=lambda spec: spec.name)
def test_metrics_are_shares_of_which_f1_is_the_headline(spec):
    assert [metric.name for metric in spec.metrics if metric.primary] == ["f1"]
    assert spec.metrics[0].name == "f1"
    assert all((metric.unit, metric.lower, metric.upper, metric.higher_is_better) == ("1", 0, 1, True) for metric in spec.metrics)


@pytest.mark.parametrize("spec", EVALUATORS, ids=lambda spec: spec.name)
def test_the_probe_is_what_is_built(spec):
    module, attribute = spec.build.split(":")
    probe = getattr(importlib.import_module(module), attribute)(spec.options())
    assert isinstance(probe, Evaluator)
    assert probe.name == spec.name


def test_the_defaults_are_the_paper_s():
    for spec in EVALUATORS:
        options = spec.options()
        assert (options.lr, options.epochs, options.batch_size, options.patience) == (3e-4, 100, 64, 15)
    assert RAM_PROBE.options().classes == "seen"
    assert RAM_PROBE_LEGACY.options().classes == "all"


def test_constant_features_are_judged_and_the_probe_looks_at_no_inputs():
    assert all(spec.judges_constants and spec.tracks == ("atari",) for spec in EVALUATORS)
    assert [spec.needs for spec in EVALUATORS] == [("factors",), ("factors", "inputs"), ("factors", "inputs", "encoder")]


@pytest.mark.parametrize("values", [{"lr": 0}, {"epochs": 0}, {"batch_size": 0}, {"patience": 0}, {"classes": "none"}])
def test_options_without_a_meaning_are_refused(values):
    for spec in EVALUATORS:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(values, spec.options)


def test_nothing_heavy_is_imported():
    code = "import sys, harness_atari.spec_evaluators; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

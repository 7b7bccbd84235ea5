"""Specs of the data sets and of their protocols."""

from __future__ import annotations

import msgspec
import pytest

from harness.api import installed
from harness_information import spec_data
from harness_information.spec_data import StaircaseOptions


def test_the_data_sets_and_families_are_these():
    assert spec_data.STAIRCASE in spec_data.DATASETS
    assert [family.prefix for family in (spec_data.GAUSSIANS, spec_data.EQUICORRELATED)] == ["gaussians", "equicorrelated"]


@pytest.mark.parametrize("family", [spec_data.GAUSSIANS, spec_data.EQUICORRELATED], ids=lambda family: family.prefix)
def test_a_family_s_example_is_one_of_its_data_sets(family):
    entry = installed()[1].dataset(family.example)
    assert entry.name.startswith(f"{family.prefix}:")


@pytest.mark.parametrize("name", ["staircase", "gaussians:mi=6", "equicorrelated:d=10"])
def test_protocols_and_their_evaluators_are_there(name):
    catalog = installed()[1]
    for protocol in catalog.dataset(name).spec.protocols:
        for evaluator in catalog.protocol(protocol).spec.evaluators:
            assert catalog.evaluator(evaluator).spec.tracks.count("synthetic") == 1


@pytest.mark.parametrize("name", ["staircase", "gaussians:mi=6", "equicorrelated:d=10"])
def test_splits_are_those_of_the_protocols_that_are_named(build_data, name):
    spec = installed()[1].dataset(name).spec
    data = build_data(name, **({"samples": 10} if name != "staircase" else {}))
    assert tuple(data.annotations.splits) == spec.protocols
    assert data.inputs.description.kind == spec.kind
    assert data.inputs.description.shape == spec.shape
    assert data.annotations.truth


@pytest.mark.parametrize("values", [{"levels": []}, {"levels": [0.0]}, {"levels": [101.0]}, {"steps": 3}, {"level": [2.0]}])
def test_a_staircase_without_a_meaning_is_refused(values):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(values, StaircaseOptions)


@pytest.mark.parametrize("name", ["staircase", "gaussians:mi=6", "equicorrelated:d=10"])
def test_every_option_is_described_and_its_default_valid(name):
    options = installed()[1].dataset(name).spec.options
    assert msgspec.convert(msgspec.to_builtins(options()), options) == options()
    for field in msgspec.inspect.type_info(options).fields:
        assert field.type.extra_json_schema["description"]


def test_the_published_staircase_is_the_default():
    options = StaircaseOptions()
    assert (options.levels, options.steps, options.cubic) == ((2.0, 4.0, 6.0, 8.0, 10.0), 4000, False)
    assert spec_data.STAIRCASE_DIMS == 20

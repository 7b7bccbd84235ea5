"""Every evaluator of representations through the public door: on images, on vectors, and beside one that fails."""

from __future__ import annotations

import math

import pytest

import harness
from harness_information.spec_evaluators import MINE, NDM

NAMES = ["mine", "ndm"]


@pytest.fixture(scope="module")
def request_(tmp_path_factory):
    return {
        "method": "ae",
        "data": "digits",
        "budget": "smoke",
        "evaluators": NAMES,
        "references": False,
        "threads": 1,
        "out": tmp_path_factory.mktemp("runs"),
    }


@pytest.fixture(scope="module")
def records(request_):
    """The records of an autoencoder trained for a moment on digits, by evaluator."""
    return {record.identity.evaluator.name: record for record in harness.run(**request_)}


@pytest.mark.parametrize("spec", [MINE, NDM], ids=lambda spec: spec.name)
def test_it_judges_images(records, spec):
    record = records[spec.name]
    assert record.status == "ok", record.error
    assert {metric.name for metric in record.metrics} == {metric.name for metric in spec.metrics}
    assert record.primary.name == spec.metrics[0].name
    assert all(math.isfinite(metric.value) for metric in record.metrics)


def test_limits_lie_above_their_values(records):
    for name, value, limit in [
        ("mine", "information", "upper_limit"),
        ("ndm", "dependence", "upper_limit"),
        ("ndm", "dependence_sigmoid", "upper_limit_sigmoid"),
    ]:
        found = {metric.name: metric.value for metric in records[name].metrics}
        assert found[value] < found[limit]


def test_the_cap_is_that_of_the_test_part(records):
    [cap] = [metric.value for metric in records["mine"].metrics if metric.name == "cap"]
    assert cap == pytest.approx(math.log(records["mine"].n["test"]))


def test_the_same_run_gives_the_same_numbers(records, request_, tmp_path):
    for record in harness.run(**request_ | {"out": tmp_path}):
        assert record.metrics == records[record.identity.evaluator.name].metrics


def test_one_that_fails_says_why_and_leaves_the_others_alone(request_, tmp_path):
    options = ["evaluator.ndm.batch_size=100000"]
    found = harness.run(**request_ | {"evaluators": [*NAMES, "knn"], "options": options, "out": tmp_path})
    status = {record.identity.evaluator.name: record.status for record in found}
    assert status == {"mine": "ok", "ndm": "failed", "knn": "ok"}
    [failed] = found.failed
    assert failed.error.type == "EvaluationError"
    assert failed.error.message.startswith("ndm draws batches of 100000 and the training part has ")
    assert failed.error.message.endswith("lower evaluator.ndm.batch_size, which changes what is measured.")


def test_a_constant_feature_is_judged_by_neither(request_, tmp_path):
    with pytest.raises(harness.UnfitError):
        harness.run(**request_ | {"method": "majority", "out": tmp_path})


def test_vectors_are_judged_beside_their_exact_dependence(tmp_path):
    options = {"evaluator.ndm.steps": 30, "evaluator.ndm.batch_size": 500, "evaluator.ndm.lr": 3e-3}
    found = harness.run(
        method="raw",
        data="equicorrelated:d=2,r=0.9",
        evaluators=["ndm"],
        budget="smoke",
        options={**options, "data.samples": 2000},
        references=False,
        threads=1,
        out=tmp_path,
    )
    [record] = found
    assert record.status == "ok", record.error
    assert record.primary.value == pytest.approx(0.830, abs=0.15)


def test_what_does_not_fit_is_refused_before_anything_is_computed(tmp_path):
    for evaluator in ("mi-value", "staircase"):
        with pytest.raises(harness.UnfitError, match=f"{evaluator} does not judge the images track"):
            harness.run(method="ae", data="digits", evaluators=[evaluator], out=tmp_path)
    with pytest.raises(harness.UnfitError, match="mine does not judge the graphs track"):
        harness.run(method="dgi", data="sbm", evaluators=["mine"], out=tmp_path)

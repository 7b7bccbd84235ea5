"""Every evaluator through the public door: on images, on a graph, and beside one that fails."""

from __future__ import annotations

import numpy as np
import pytest

import harness
from harness_geometry.spec import harness_evaluators

NAMES = [spec.name for spec in harness_evaluators()]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The records of an autoencoder trained for two epochs on digits, by evaluator."""
    out = tmp_path_factory.mktemp("runs")
    found = harness.run(method="ae", data="digits", budget="smoke", evaluators=NAMES, references=False, out=out)
    return {record.identity.evaluator.name: record for record in found}


@pytest.mark.parametrize("name", NAMES)
def test_it_judges_images(records, name):
    record = records[name]
    assert record.status == "ok", record.error
    assert [metric.name for metric in record.metrics] == [
        metric.name for spec in harness_evaluators() if spec.name == name for metric in spec.metrics
    ]


def test_the_ranks_lie_between_one_and_their_bound(records):
    for name in ("rankme", "lidar"):
        value, bound = (metric.value for metric in records[name].metrics)
        assert 1 < value < bound == 64


def test_clusters_have_to_do_with_the_digits(records):
    assert records["clustering"].primary.value > 0.3


def test_the_same_run_gives_the_same_numbers(records, tmp_path):
    again = harness.run(method="ae", data="digits", budget="smoke", evaluators=NAMES, references=False, out=tmp_path)
    for record in again:
        assert record.metrics == records[record.identity.evaluator.name].metrics


def test_a_graph_has_no_views_and_is_judged_by_the_others(tmp_path):
    evaluators = [name for name in NAMES if name != "lidar"]
    found = harness.run(
        method="random", data="sbm", encoder="gcn", budget="smoke", evaluators=evaluators, references=False, out=tmp_path
    )
    metrics = {record.identity.evaluator.name: [metric.name for metric in record.metrics] for record in found}
    assert metrics == {"rankme": ["rankme", "bound"], "alignment-uniformity": ["uniformity"], "clustering": ["nmi", "ari"]}


def test_lidar_is_refused_on_a_graph_before_anything_is_computed(tmp_path):
    with pytest.raises(harness.UnfitError, match="lidar does not judge the graphs track"):
        harness.run(method="random", data="sbm", encoder="gcn", evaluators=["lidar"], out=tmp_path)


def test_one_that_fails_says_why_and_leaves_the_others_alone(tmp_path):
    # Three training images are fewer than the four classes that clustering looks for.
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    labels = np.arange(40) % 4
    data = harness.from_arrays(images, labels, train=np.arange(3), test=np.arange(3, 40))
    found = harness.run(
        method="random", encoder="image-small", data=data, budget="smoke", evaluators=NAMES, references=False, out=tmp_path
    )
    status = {record.identity.evaluator.name: record.status for record in found}
    assert status == {name: "failed" if name == "clustering" else "ok" for name in NAMES}
    [failed] = found.failed
    assert failed.error.type == "EvaluationError"
    assert failed.error.message.startswith("clustering looks for 4 clusters, one for each class, in 3 training samples")


def test_a_constant_is_refused_and_the_row_majority_left_out(tmp_path):
    with pytest.raises(harness.UnfitError, match="rankme cannot judge feature constant: it has nothing to say of a constant"):
        harness.run(method="majority", data="digits", budget="smoke", evaluators=NAMES, references=False, out=tmp_path)
    found = harness.run(method="ae", data="digits", budget="smoke", evaluators=["rankme", "knn"], out=tmp_path)
    judged = {(record.identity.method.name, record.identity.evaluator.name) for record in found}
    rows = {"ae", "random", "raw", "majority"}
    assert judged == {(method, name) for method in rows for name in ("rankme", "knn")} - {("majority", "rankme")}

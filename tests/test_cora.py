"""Deep Graph Infomax on the real Cora: the acceptance checks of the method, through the public door."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import harness
from harness.api import installed
from harness.data.files import cache_folder, data_roots, locate_files

pytestmark = [pytest.mark.slow, pytest.mark.needs_data, pytest.mark.timeout(900)]

SEEDS = 3


def cora_is_here():
    return any((root / "planetoid/Cora/raw/ind.cora.x").is_file() for root in data_roots(os.environ))


if not cora_is_here():
    pytest.skip("planetoid/Cora/raw is under no root of HARNESS_DATA", allow_module_level=True)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("cora")


@pytest.fixture(scope="module")
def frame(out):
    records = harness.run(method="dgi", data="cora", seeds=SEEDS, evaluators=["logistic"], out=out / "runs")
    assert not records.failed
    return records.to_frame()


@pytest.fixture(scope="module")
def cora():
    """The data set with row-normalised features, as the pipeline loads it."""
    entry = installed()[1].dataset("cora")
    files, _ = locate_files(entry.spec, data_roots(), cache_folder())
    return entry.builder()(harness.DataContext(files=files, cache=cache_folder()), entry.spec.options())


def mean(frame, method):
    return frame[frame["method"] == method]["value"].mean()


def losses(out):
    for path in sorted(Path(out, "runs", "cora").glob("dgi-s*/losses.jsonl")):
        yield [json.loads(line)["dgi/loss"] for line in path.read_text().splitlines()]


def test_the_mean_over_three_encoders_is_that_of_the_published_recipe(frame):
    assert 81.2 <= mean(frame, "dgi") <= 83.2


def test_no_evaluator_of_the_protocol_fails(frame, out):
    records = harness.run(method="dgi", data="cora", references=False, out=out / "runs")
    assert {record.identity.evaluator.name for record in records} == {"logistic", "logistic-lbfgs", "svm", "knn"}
    assert not records.failed


def test_an_untrained_encoder_lies_far_above_raw_features(frame):
    assert 66 <= mean(frame, "random") <= 72
    assert mean(frame, "raw") == pytest.approx(47.9, abs=0.7)


def test_the_spread_over_probes_is_stated_and_is_not_that_over_encoders(frame):
    rows = frame[frame["method"] == "dgi"]
    assert set(rows["over"]) == {"probes"}
    assert set(rows["n"]) == {50}
    assert (rows["std"] < 0.5).all()


def test_the_loss_starts_at_ln_2_and_ends_near_the_reference_s(frame, out):
    for curve in losses(out):
        assert curve[0] == pytest.approx(np.log(2), abs=0.001)
        assert 0.02 < min(curve) < 0.09


def test_another_order_of_nodes_gives_the_same_accuracy_within_noise(frame, cora, out):
    graph = next(cora.inputs.in_order(1))
    splits = cora.annotations.splits["planetoid-public"]
    order = np.random.default_rng(0).permutation(len(graph))
    place = np.argsort(order)
    rows, columns, _ = graph.adjacency.coo()
    shuffled = harness.from_graph(
        x=graph.x.to_dense().numpy()[order],
        edge_index=place[np.stack([columns.numpy(), rows.numpy()])],
        labels=cora.annotations.labels[order],
        train=np.sort(place[splits.train]),
        validation=np.sort(place[splits.validation]),
        test=np.sort(place[splits.test]),
        name="cora-shuffled",
    )
    records = harness.run(method="dgi", data=shuffled, seeds=2, evaluators=["logistic"], references=False, out=out / "shuffled")
    assert records.to_frame()["value"].mean() == pytest.approx(mean(frame, "dgi"), abs=2.0)


def test_training_with_labels_dealt_out_anew_and_mostly_nan_gives_the_same_bytes(cora, out):
    graph = next(cora.inputs.in_order(1))
    rows, columns, _ = graph.adjacency.coo()
    splits = cora.annotations.splits["planetoid-public"]

    def model(labels, name):
        data = harness.from_graph(
            x=graph.x.to_dense(),
            edge_index=np.stack([columns.numpy(), rows.numpy()]),
            labels=labels,
            train=splits.train,
            test=splits.test,
            name="cora-firewall",
        )
        harness.run(
            method="dgi", data=data, evaluators=["logistic"], references=False, out=out / name, options={"train.epochs": 20}
        )
        [path] = Path(out, name, "cora-firewall").glob("dgi-s0-*/model.safetensors")
        return path

    from safetensors.numpy import load_file

    labels = cora.annotations.labels
    others = np.random.default_rng(0).permutation(labels).astype(float)
    others[np.arange(len(labels)) % 10 > 0] = np.nan  # those that stay let the probe run
    with_labels, without = model(labels, "labels"), model(others, "nan")
    seen, unseen = load_file(with_labels), load_file(without)
    assert seen.keys() == unseen.keys()
    assert all(seen[name].tobytes() == unseen[name].tobytes() for name in seen)

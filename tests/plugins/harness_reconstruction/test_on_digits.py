"""Through the public door: a run on digits, judged on every feature, and what its records say."""

from __future__ import annotations

import pytest

import harness
from harness import PublishedNumber, UnfitError
from harness.leaderboard.board import build_board

WINDOW = ["evaluator.reconstruction.window=7"]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Of a run with reference rows: judged on y, fc and conv by reconstruction, and by k-NN."""
    return harness.run(
        method="ae",
        data="digits",
        budget="smoke",
        features=["y", "fc", "conv"],
        evaluators=["reconstruction", "knn"],
        options=WINDOW,
        threads=1,
        out=tmp_path_factory.mktemp("runs"),
    )


def of(records, method):
    return [record for record in records if record.identity.method.name == method]


def test_every_feature_is_reconstructed(records):
    judged = [record for record in of(records, "ae") if record.identity.evaluator.name == "reconstruction"]
    assert [record.identity.feature for record in judged] == ["y", "fc", "conv"]
    for record in judged:
        assert record.error is None
        assert [metric.name for metric in record.metrics] == ["ssim", "ms_ssim", "ssim_dim", "mse"]
        assert record.primary.name == "ssim"
        assert record.metrics[0].n == record.n["test"]


def test_a_wide_map_is_reconstructed_better_than_the_narrow_feature_above_it(records):
    mse = {
        record.identity.feature: record.metrics[-1].value
        for record in of(records, "ae")
        if record.identity.evaluator.name == "reconstruction"
    }
    assert mse["conv"] < mse["y"]


def test_reference_rows_without_a_decoder_are_judged_by_the_others(records):
    judged = {name: {record.identity.evaluator.name for record in of(records, name)} for name in ("random", "raw", "majority")}
    assert judged == {"random": {"reconstruction", "knn"}, "raw": {"knn"}, "majority": {"knn"}}
    assert all(record.status == "ok" for record in records)


@pytest.mark.parametrize("metric", ["ms_ssim", "ssim_dim"])
def test_published_numbers_stand_beside_ours(records, metric):
    number = PublishedNumber(
        method="ae", data="digits", evaluator="reconstruction", metric=metric, value=0.5, source="here", feature="y"
    )
    board = build_board(records, [number])
    [table] = [table for table in board.tables if table.feature == "y" and table.metric and table.metric.name == metric]
    [row] = [row for row in table.rows if row.method == "ae"]
    assert [published.value for published in row.published] == [0.5]


def test_a_window_larger_than_the_images_fails_its_cell_alone(tmp_path):
    failed, good = harness.run(
        method="random", data="digits", encoder="image-small", evaluators=["reconstruction", "knn"], out=tmp_path, threads=1
    )
    assert failed.error.message == (
        "Images of 8 x 8 pixels are too small for an SSIM window of 11; the largest that fits is evaluator.reconstruction.window=7."
    )
    assert failed.error.traceback == ""
    assert good.status == "ok"


def test_the_inputs_themselves_have_no_decoder(tmp_path):
    with pytest.raises(UnfitError, match="encoder identity has no mirror decoder; of those that read data set digits, image-small"):
        harness.run(method="raw", data="digits", evaluators=["reconstruction"], out=tmp_path)


def test_graphs_are_refused(tmp_path):
    with pytest.raises(UnfitError, match="Evaluator reconstruction does not judge the graphs track"):
        harness.run(method="dgi", data="sbm", evaluators=["reconstruction"], out=tmp_path)

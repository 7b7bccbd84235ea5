"""Estimates beside the exact value: `mi-value` on scores, `staircase` on a trace."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import harness
from harness import EvaluationError
from harness.line.evaluation import check_scores
from harness_information.estimators import Trace
from harness_information.readings import READINGS, READINGS_OF
from harness_information.spec_estimators import (
    MI_VALUE,
    STAIRCASE_READING,
    MutualInformationValueOptions,
    StaircaseReadingOptions,
)
from harness_information.values import MutualInformationValue, StaircaseReading

E = math.e


def values_of(scores):
    """{metric: {what it is of: score}}."""
    found = {}
    for score in scores:
        place = found.setdefault(score.name, {})
        key = tuple(score.of.values())
        assert key not in place
        place[key] = score
    return found


# ----------------------------------------------------------------------------------------------------------- mi-value


def read(task, **options):
    found = MutualInformationValue(MutualInformationValueOptions(**{"block": 2} | options)).evaluate(task)
    check_scores(MI_VALUE, found)
    return values_of(found)


@pytest.fixture
def score_task(make_task):
    """A task of scores [n, candidates], all in the test part but for two rows."""

    def make(scores, truth=0.5, bound=None):
        scores = np.concatenate([np.full((2, *np.shape(scores)[1:]), 1e3), scores]).astype(np.float32)
        modules = {} if bound is None else {"trace": Trace(bound, 0)}
        return make_task(scores, cut=2, truth={"mutual_information": truth}, modules=modules)

    return make


def test_hand_made_scores_are_read_as_computed_by_hand(score_task):
    # Joint pairs 1 and marginal pairs 0 in the first block; 2 and 0 in the second.
    found = read(score_task([[1, 0], [1, 0], [2, 0], [2, 0]]))
    of_blocks = {
        "infonce": [math.log(2) - math.log(1 + 1 / E), math.log(2) - math.log(1 + E**-2)],
        "nwj": [1 - 1 / E, 2 - 1 / E],
        "dv": [1, 2],
        "js": [1, 2],
        "smile-1": [1, 2],
        "smile-5": [1, 2],
    }
    assert {key for (key,) in found["estimate"]} == set(READINGS)
    for name, blocks in of_blocks.items():
        estimate = found["estimate"][name,]
        assert estimate.value == pytest.approx(np.mean(blocks), rel=1e-5)
        assert estimate.std == pytest.approx(np.std(blocks, ddof=1), rel=1e-4)
        assert (estimate.over, estimate.n, estimate.split) == ("samples", 2, "test")
        assert found["bias"][name,].value == pytest.approx(np.mean(blocks) - 0.5, rel=1e-5)
        assert found["error"][name,].value == pytest.approx(abs(np.mean(blocks) - 0.5), rel=1e-5)


def test_the_estimate_is_of_all_rows_at_once_and_no_mean_over_blocks(score_task):
    found = read(score_task([[0, 0], [0, 0], [0, 2], [0, 2]]), readings=("dv",))
    assert found["estimate"]["dv",].value == pytest.approx(-math.log((1 + E**2) / 2), rel=1e-5)
    assert found["estimate"]["dv",].std == pytest.approx(2 / math.sqrt(2), rel=1e-5)


def test_an_estimate_below_the_truth_has_a_negative_bias(score_task):
    found = read(score_task([[1, 0]] * 4, truth=3.0), readings=("dv",))
    assert found["bias"]["dv",].value == pytest.approx(-2.0)
    assert found["error"]["dv",].value == pytest.approx(2.0)


@pytest.mark.parametrize("bound", READINGS_OF)
def test_a_trained_critic_is_read_in_the_ways_that_fit_its_training(score_task, bound):
    found = read(score_task([[1, 0]] * 4, bound=bound))
    assert tuple(key for (key,) in found["estimate"]) == READINGS_OF[bound]


def test_an_untrained_critic_is_read_in_every_way(score_task):
    found = read(score_task([[1, 0]] * 4))
    assert tuple(key for (key,) in found["estimate"]) == tuple(READINGS)


def test_readings_that_are_asked_for_are_given_whatever_the_training(score_task):
    found = read(score_task([[1, 0]] * 4, bound="infonce"), readings=("smile-5", "nwj"))
    assert tuple(key for (key,) in found["estimate"]) == ("smile-5", "nwj")


@pytest.mark.parametrize("candidates", [2, 16])
def test_infonce_is_never_above_the_logarithm_of_the_candidates(score_task, candidates):
    scores = np.full((8, candidates), -40.0)
    scores[:, 0] = 40.0
    value = read(score_task(scores), readings=("infonce",))["estimate"]["infonce",].value
    assert math.log(candidates) - 1e-4 < value <= math.log(candidates) + 1e-6


def test_the_training_part_is_not_read(make_task):
    scores = np.ones((8, 2), dtype=np.float32)
    scores[:, 1] = 0
    other = scores.copy()
    other[:4] = 7
    one, same = (read(make_task(each, cut=4, truth={"mutual_information": 1.0})) for each in (scores, other))
    assert one == same


@pytest.mark.parametrize("shape", [(8,), (8, 1), (8, 4, 4)])
def test_features_that_are_no_scores_are_an_error(score_task, shape):
    with pytest.raises(EvaluationError, match=r"^mi-value reads a critic's scores \[N, candidates\]; feature 'y' is none\.$"):
        read(score_task(np.zeros(shape)))


def test_a_reading_that_overflows_is_left_out_and_the_others_are_given(score_task):
    scores = np.array([[1.0, 200.0], [2.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    found = read(score_task(scores, bound="js"))
    assert {key for (key,) in found["estimate"]} == {"smile-1", "smile-5", "dv"}
    assert found["estimate"]["dv",].value == pytest.approx(1.5 - (200 - math.log(4)), rel=1e-5)


def test_scores_of_which_no_reading_is_a_number_are_an_error(score_task):
    with pytest.raises(EvaluationError, match="an exponential of the scores overflows"):
        read(score_task(np.array([[1.0, 200.0]] * 4), bound="js"), readings=("js", "nwj"))


def test_fewer_rows_than_two_blocks_are_an_error(score_task):
    with pytest.raises(EvaluationError) as caught:
        read(score_task([[1, 0]] * 7), block=4)
    assert str(caught.value) == ("mi-value needs two blocks of 4 rows for a spread and has 7 rows; lower evaluator.mi-value.block.")
    assert read(score_task([[1, 0]] * 8), block=4)


def test_data_without_the_exact_value_are_an_error(make_task):
    with pytest.raises(EvaluationError, match=r"^The data set does not say its exact mutual information\.$"):
        read(make_task(np.zeros((9, 2)), cut=2))


# ---------------------------------------------------------------------------------------------------------- staircase


def climb(make_task, values, levels, *, bound="infonce", steps=None, judged=0.25):
    """Scores of a trace [levels * steps] or [levels * steps, readings] over these levels."""
    trace = Trace(bound, len(values))
    trace.values.copy_(torch.as_tensor(values, dtype=torch.float32).reshape(len(values), -1))
    steps = len(values) // len(levels) if steps is None else steps
    truth = {f"level {number}": level for number, level in enumerate(levels)}
    task = make_task(
        np.zeros((9, 2)), truth={**truth, "mutual_information": levels[-1], "steps": float(steps)}, modules={"trace": trace}
    )
    found = StaircaseReading(StaircaseReadingOptions(judged=judged)).evaluate(task)
    check_scores(STAIRCASE_READING, found)
    return values_of(found)


def test_the_last_quarter_of_each_level_is_judged_by_its_median_and_mean(make_task):
    levels = [[-50] * 9 + [1, 2, 9], [7] * 9 + [4, 0, 5]]
    found = climb(make_task, levels[0] + levels[1], (2.0, 4.5))
    assert {key: score.value for key, score in found["estimate"].items()} == {("infonce", 2.0): 2.0, ("infonce", 4.5): 4.0}
    assert {key: score.value for key, score in found["bias"].items()} == {("infonce", 2.0): 0.0, ("infonce", 4.5): -0.5}
    assert {key: score.value for key, score in found["error"].items()} == {("infonce", 2.0): 0.0, ("infonce", 4.5): 0.5}
    mean = found["mean"]["infonce", 2.0]
    assert (mean.value, mean.over, mean.n) == (pytest.approx(4.0), "samples", 3)
    assert mean.std == pytest.approx(math.sqrt((9 + 4 + 25) / 2))
    assert found["mean"]["infonce", 4.5].value == pytest.approx(3.0)


def test_one_step_far_out_moves_the_mean_and_not_the_median(make_task):
    found = climb(make_task, [0.0] * 12 + [2.0, 2.0, -1e5, 2.0], (2.0,))
    assert found["estimate"]["infonce", 2.0].value == 2.0
    assert found["mean"]["infonce", 2.0].value < -2e4


def test_every_reading_of_the_training_is_given_for_every_level(make_task):
    values = np.arange(4)[None] + np.repeat([10.0, 20.0], 4)[:, None]
    found = climb(make_task, values, (2.0, 4.0), bound="js")
    assert {key: score.value for key, score in found["estimate"].items()} == {
        (name, level): 10 * (1 + place) + column
        for column, name in enumerate(("js", "smile-1", "smile-5", "dv"))
        for place, level in enumerate((2.0, 4.0))
    }


@pytest.mark.parametrize(("judged", "n"), [(0.25, 5), (0.5, 10), (1.0, 20), (0.01, 2)])
def test_the_judged_share_can_be_chosen_and_is_two_steps_at_least(make_task, judged, n):
    found = climb(make_task, np.arange(20.0), (2.0,), judged=judged)
    assert found["mean"]["infonce", 2.0].n == found["estimate"]["infonce", 2.0].n == n
    assert found["mean"]["infonce", 2.0].value == pytest.approx(np.arange(20)[-n:].mean())


def test_what_the_trace_kept_beyond_the_staircase_does_not_count(make_task):
    values = [1.0] * 8 + [2.0] * 8
    found = climb(make_task, [*values, *[99.0] * 5], (1.0, 2.0), steps=8)
    assert [score.value for score in found["estimate"].values()] == [1.0, 2.0]


def test_a_trace_shorter_than_the_staircase_is_an_error(make_task):
    with pytest.raises(EvaluationError) as caught:
        climb(make_task, [1.0] * 15, (1.0, 2.0), steps=8)
    assert str(caught.value) == (
        "The staircase has 16 steps, and this run did not keep their estimates; train a method of this track with "
        "-o objective.trace=16."
    )


@pytest.mark.parametrize("modules", [{}, {"trace": torch.nn.Identity()}])
def test_a_run_without_a_trace_is_an_error(make_task, modules):
    task = make_task(np.zeros((9, 2)), truth={"level 0": 2.0, "steps": 4.0}, modules=modules)
    with pytest.raises(EvaluationError, match="^The staircase has 4 steps, and this run did not keep their estimates"):
        StaircaseReading(StaircaseReadingOptions()).evaluate(task)


@pytest.mark.parametrize("place", [0, 15])
def test_a_step_without_an_estimate_is_an_error(make_task, place):
    values = np.ones(16)
    values[place] = math.nan
    with pytest.raises(EvaluationError, match="^Training ended before the staircase did, or an estimate is not a number"):
        climb(make_task, values, (1.0, 2.0))


def test_data_without_steps_are_an_error(make_task):
    task = make_task(np.zeros((9, 2)), truth={"mutual_information": 1.0}, modules={"trace": Trace("dv", 4)})
    with pytest.raises(EvaluationError, match=r"^The data set does not say its exact steps\.$"):
        StaircaseReading(StaircaseReadingOptions()).evaluate(task)


# --------------------------------------------------------------------------------------------- through the public door

OPTIONS = {"data.samples": 1000, "encoder.hidden": 32, "objective.lr": 3e-3}


def estimates(record):
    return {metric.of["reading"]: metric for metric in record.metrics if metric.name == "estimate"}


def test_an_estimator_is_trained_and_judged_beside_an_untrained_critic(tmp_path):
    # Of 2 x 1000 pairs in batches of 512 there would be 464 left: enough candidates. Of 2 x 520, as below, only 16.
    found = harness.run(method="mi-infonce", data="gaussians:d=2,mi=1", budget="smoke", options=OPTIONS, threads=1, out=tmp_path)
    records = {record.identity.method.name: record for record in found}
    assert all(record.status == "ok" for record in found), [record.error for record in found]
    trained, untrained = records["mi-infonce"], records["random"]
    assert trained.identity.data.name == "gaussians:mi=1,d=2"
    assert set(estimates(trained)) == {"infonce"}
    assert set(estimates(untrained)) == set(READINGS)
    assert trained.primary.name == "error"
    assert trained.primary.value == pytest.approx(abs(estimates(trained)["infonce"].value - 1), rel=1e-6)
    assert estimates(untrained)["infonce"].value < 0.1


def test_an_estimate_comes_near_the_truth(tmp_path):
    options = {**OPTIONS, "data.samples": 12_800}
    [record] = harness.run(
        method="mi-infonce",
        data="gaussians:d=1,rho=0.9",
        budget="smoke",
        options=options,
        references=False,
        threads=1,
        out=tmp_path,
    )
    assert record.status == "ok", record.error
    assert estimates(record)["infonce"].value == pytest.approx(0.830, abs=0.15)
    assert 0 < estimates(record)["infonce"].std < 0.5
    assert estimates(record)["infonce"].n == 200


@pytest.mark.parametrize("encoder", ["separable-critic", "concat-critic"])
def test_any_number_of_pairs_leaves_every_x_its_candidates(tmp_path, encoder):
    options = {**OPTIONS, "data.samples": 520}
    [record] = harness.run(
        method="mi-js",
        data="gaussians:d=1,rho=0.5",
        encoder=encoder,
        budget="smoke",
        options=options,
        references=False,
        threads=1,
        out=tmp_path,
    )
    assert record.status == "ok", record.error
    assert set(estimates(record)) == set(READINGS_OF["js"])


SHORT = {
    "method": "mi-nwj",
    "data": "staircase",
    "budget": "smoke",
    "options": {"encoder.hidden": 16, "data.levels": "2, 6"},
    "references": False,
    "threads": 1,
}


def test_a_short_staircase_is_climbed_and_judged(tmp_path):
    [record] = harness.run(**SHORT, out=tmp_path)
    assert record.status == "ok", record.error
    assert record.primary.name == "error"
    of = [(metric.of["reading"], metric.of["level"]) for metric in record.metrics if metric.name == "mean"]
    assert of == [("nwj", 2.0), ("nwj", 6.0), ("dv", 2.0), ("dv", 6.0)]
    assert {metric.n for metric in record.metrics if metric.name == "mean"} == {10}  # the last quarter of 40 steps


@pytest.mark.slow
def test_the_page_of_a_staircase_shows_it(tmp_path):
    harness.run(**SHORT, out=tmp_path)
    [folder] = (tmp_path / "staircase").glob("mi-nwj-s0-*")
    page = harness.report(folder).read_text(encoding="utf-8")
    assert "<h2>Staircase</h2>" in page
    assert "Not drawn" not in page


MEASURED = {
    # Apart from this code, with the same critic, batch and rate: at 2, 4 and 6 nats. Means, but of js the median.
    "mi-infonce": {"infonce": ("mean", (1.64, 2.89, 3.59))},
    "mi-js": {
        "js": ("estimate", (1.34, 3.09, 4.83)),
        "dv": ("mean", (1.66, 3.33, 4.99)),
        "smile-5": ("mean", (1.70, 3.66, 5.81)),
        "smile-1": ("mean", (2.08, 4.20, 6.24)),
    },
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("method", MEASURED)
def test_the_staircase_is_climbed_as_it_was_measured_elsewhere(tmp_path, method):
    options = {"data.levels": "2, 4, 6"}
    [record] = harness.run(method=method, data="staircase", options=options, references=False, threads=1, out=tmp_path)
    assert record.status == "ok", record.error
    for reading, (metric, expected) in MEASURED[method].items():
        found = [one.value for one in record.metrics if one.name == metric and one.of["reading"] == reading]
        assert found == pytest.approx(expected, abs=0.3)

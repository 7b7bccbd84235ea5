"""What must hold of mutual information on rows of images, and the critics that are tried on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness import EvaluationError, ImageSource, VectorSource
from harness.line.seeding import isolated_randomness
from harness_information.self_consistency import (
    Problem,
    SelfConsistency,
    StackedCritics,
    _scores,
    problems_of,
    variables,
)
from harness_information.spec_evaluators import SelfConsistencyOptions

SMALL = {"bounds": ("infonce", "js"), "shares": (0.25, 0.5, 1.0), "steps": 150, "batch_size": 16, "hidden": 32, "embedding": 8}


@pytest.fixture
def pictures():
    """480 images of 4x4 in [0, 1]: every row is one of two patterns, drawn by itself."""
    rng = np.random.default_rng(0)
    rows = rng.integers(2, size=(480, 1, 4, 1))
    pattern = np.array([1.0, 0.0, 1.0, 1.0])
    values = np.where(rows == 1, pattern, 1 - pattern)
    return ImageSource(torch.from_numpy(values).float(), value_range=(0.0, 1.0))


@pytest.fixture
def task(make_task, pictures):
    return make_task(np.zeros((480, 1)), pictures, cut=320)


def by(scores, name):
    """Values of one metric by what it is of."""
    return {tuple(score.of.values()): score.value for score in scores if score.name == name}


def test_the_problems_are_the_shares_of_rows_and_two_of_the_middle_one():
    assert problems_of(28, SelfConsistencyOptions()) == [
        *(Problem(f"rows {rows}", rows) for rows in (3, 6, 10, 14, 21, 28)),
        Problem("processing", 14, "processed"),
        Problem("additivity", 14, "another"),
    ]


def test_shares_that_round_to_the_same_rows_are_one_problem():
    alone = [problem.rows for problem in problems_of(4, SelfConsistencyOptions()) if not problem.second]
    assert alone == [1, 2, 3, 4]


def test_y_shows_the_first_rows_of_x_and_the_second_halves_are_empty():
    images, others = torch.rand(2, 5, 1, 4, 3, generator=torch.Generator().manual_seed(0))
    x, y = variables(Problem("rows 2", 2), images, others, 1)
    assert torch.equal(x, torch.cat([images.flatten(1), torch.zeros(5, 12)], 1))
    assert torch.equal(y[:, :6], images[:, 0, :2].flatten(1))
    assert not y[:, 6:].any()


def test_processing_doubles_x_and_takes_rows_from_the_second_y():
    images, others = torch.rand(2, 5, 1, 4, 3, generator=torch.Generator().manual_seed(0))
    x, y = variables(Problem("processing", 3, "processed"), images, others, 1)
    assert torch.equal(x, images.flatten(1).repeat(1, 2))
    assert torch.equal(y[:, :9], images[:, 0, :3].flatten(1))
    assert torch.equal(y[:, 12:18], images[:, 0, :2].flatten(1))
    assert not y[:, 18:].any()


def test_additivity_sets_another_image_beside():
    images, others = torch.rand(2, 5, 1, 4, 3, generator=torch.Generator().manual_seed(0))
    x, y = variables(Problem("additivity", 1, "another"), images, others, 1)
    assert torch.equal(x, torch.cat([images.flatten(1), others.flatten(1)], 1))
    assert torch.equal(y[:, 12:15], others[:, 0, :1].flatten(1))


def test_the_critic_of_a_bound_and_problem_is_a_separable_network_of_its_own():
    options = SelfConsistencyOptions(**SMALL)
    critics = StackedCritics(3, 2, 6, options)
    x, y = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    scores = critics(x, y)
    assert scores.shape == (6, 5, 5)

    def alone(network, number, values):
        for layer in network:
            values = values.relu() if isinstance(layer, torch.nn.ReLU) else values @ layer.weight[number] + layer.bias[number]
        return values[0] if values.ndim == 3 else values

    number = 1 * 3 + 2  # the second bound, the third problem
    expected = alone(critics.of_x, number, x[2]) @ alone(critics.of_y, number, y[2]).T
    torch.testing.assert_close(scores[number], expected, atol=1e-5, rtol=1e-4)


def test_what_is_known_exactly_is_found(task):
    # Rows are independent bits: Y of t rows holds t log 2 nats, so shown rows add up, a copy adds nothing, another image doubles.
    scores = SelfConsistency(SelfConsistencyOptions(**SMALL | {"steps": 400})).evaluate(task)
    estimates = by(scores, "estimate")
    assert estimates["infonce", 1] == pytest.approx(np.log(2), abs=0.2)
    assert estimates["infonce", 1] < estimates["infonce", 2] < estimates["infonce", 4] <= np.log(16)
    assert by(scores, "largest_fall")["infonce",] == 0.0
    assert by(scores, "processing")["infonce",] == pytest.approx(1.0, abs=0.15)
    assert 1.3 < by(scores, "additivity")["infonce",] < 2.2


def test_every_reading_of_every_bound_is_reported(task):
    scores = SelfConsistency(SelfConsistencyOptions(**SMALL | {"steps": 2})).evaluate(task)
    assert {of[0] for of in by(scores, "largest_fall")} == {"infonce", "js", "smile-1 of js", "smile-5 of js", "dv of js"}
    assert {of[1] for of in by(scores, "estimate")} == {1, 2, 4}


def test_infonce_never_exceeds_the_logarithm_of_the_batch(task):
    scores = SelfConsistency(SelfConsistencyOptions(**SMALL)).evaluate(task)
    assert max(value for (reading, _), value in by(scores, "estimate").items() if reading == "infonce") <= np.log(16)


def test_a_fall_is_the_largest_between_two_neighbours():
    problems = [*(Problem(f"rows {rows}", rows) for rows in (1, 2, 3)), Problem("additivity", 2, "another")]
    scores = _scores("dv", problems, [1.0, 3.0, 2.5, 4.5])
    assert by(scores, "largest_fall") == {("dv",): 0.5}
    assert by(scores, "additivity") == {("dv",): 1.5}
    assert by(scores, "estimate") == {("dv", 1): 1.0, ("dv", 2): 3.0, ("dv", 3): 2.5}


def test_a_ratio_to_nothing_is_left_out():
    problems = [Problem("rows 1", 1), Problem("rows 2", 2), Problem("additivity", 2, "another")]
    assert by(_scores("dv", problems, [0.1, -0.2, 1.0]), "additivity") == {}


def test_the_same_seed_gives_the_same_numbers(task):
    def numbers():
        with isolated_randomness(task.seed):
            return [score.value for score in SelfConsistency(SelfConsistencyOptions(**SMALL | {"steps": 3})).evaluate(task)]

    assert numbers() == numbers()


def test_inputs_that_are_no_images_are_refused(make_task):
    task = make_task(np.zeros((60, 1)), VectorSource(torch.zeros(60, 3)))
    with pytest.raises(EvaluationError, match=r"reveals rows of images, and samples here have shape \(3,\)"):
        SelfConsistency(SelfConsistencyOptions(**SMALL)).evaluate(task)


def test_a_part_smaller_than_two_batches_is_refused(make_task, pictures):
    task = make_task(np.zeros((480, 1)), pictures, cut=455)
    with pytest.raises(EvaluationError, match="joins two batches of 16 and the test part has 25 samples"):
        SelfConsistency(SelfConsistencyOptions(**SMALL)).evaluate(task)

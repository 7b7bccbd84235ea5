"""The picture of a staircase."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from harness import Description, RunView, Splits
from harness_information import pictures
from harness_information.estimators import Trace
from harness_information.pictures import smoothed, staircase


def one_by_one(values, span):
    """The exponential moving average, number by number: what is not finite weighs nothing."""
    kept = 1 - 2 / (span + 1)
    total, weight, found = 0.0, 0.0, []
    for value in np.asarray(values, np.float64):
        total, weight = kept * total, kept * weight
        if np.isfinite(value):
            total, weight = total + value, weight + 1
        found.append(total / weight if weight and not np.isnan(value) else np.nan)
    return np.array(found)


def noisy(n, seed=0):
    return np.random.default_rng(seed).normal(5, 3, n).astype(np.float32)


@pytest.mark.parametrize("span", [1, 3, 200])
@pytest.mark.parametrize("n", [1, 10, 500])
def test_the_average_is_that_of_a_loop(n, span):
    np.testing.assert_allclose(smoothed(noisy(n), span), one_by_one(noisy(n), span), rtol=1e-6)


def test_the_average_of_a_long_curve_forgets_nothing_that_counts():
    np.testing.assert_allclose(smoothed(noisy(2000), 10), one_by_one(noisy(2000), 10), rtol=1e-6)


def test_the_average_of_a_constant_is_the_constant_from_the_first_step():
    np.testing.assert_allclose(smoothed(np.full(50, 3.0, np.float32), 20), 3.0)


def test_what_is_not_finite_weighs_nothing_and_the_curve_ends_where_training_did():
    values = noisy(60)
    values[[0, 7, 20]] = [-np.inf, np.inf, np.nan]
    values[50:] = np.nan
    found = smoothed(values, 9)
    np.testing.assert_allclose(found, one_by_one(values, 9), rtol=1e-6)
    assert np.isnan(found[[0, 20, 50, 59]]).all()
    assert np.isfinite(found[[1, 7, 19, 21, 49]]).all()


LEVELS = (2.0, 6.0)


@pytest.fixture
def view():
    """A finished run: view(bound, steps=..., modules=...)."""

    def make(bound="js", steps=30, *, kept=None, modules=None, truth=None):
        trace = Trace(bound, len(LEVELS) * steps if kept is None else kept)
        generator = torch.Generator().manual_seed(0)
        trace.values.copy_(3 + torch.randn(trace.values.shape, generator=generator))
        levels = {f"level {number}": level for number, level in enumerate(LEVELS)}
        return RunView(
            feature="scores",
            features={}.__getitem__,
            description=Description(kind="pairs", shape=(20, 20), samples=50),
            splits=Splits(train=np.arange(20), test=np.arange(20, 50)),
            seed=7,
            device=torch.device("cpu"),
            truth={**levels, "mutual_information": 6.0, "steps": float(steps)} if truth is None else truth,
            modules={"trace": trace} if modules is None else modules,
        )

    return make


def lines(axis):
    """The three lines of an axis: every step, the average, the exact value."""
    raw, average, exact = axis.get_lines()
    assert (average.get_label(), exact.get_label()) == ("estimate", "exact")
    return raw, average, exact


@pytest.mark.parametrize(("bound", "readings"), [("infonce", 1), ("nwj", 2), ("js", 4)])
def test_every_reading_has_its_axis(view, bound, readings):
    [picture] = staircase(view(bound))
    assert picture.title == "Staircase"
    assert "span 200" in picture.caption
    shown = [axis for axis in picture.figure.axes if axis.axison]
    trace = view(bound).modules["trace"]
    assert [axis.get_title() for axis in shown] == list(trace.readings)
    assert len(shown) == readings
    stream = io.BytesIO()
    picture.figure.savefig(stream)
    assert stream.tell() > 1000


def test_an_axis_shows_every_step_its_average_and_the_exact_value(view):
    run = view("nwj")
    [picture] = staircase(run)
    values = run.modules["trace"].values.numpy()
    for column, axis in enumerate(picture.figure.axes):
        raw, average, exact = lines(axis)
        np.testing.assert_array_equal(raw.get_ydata(), values[:, column])
        np.testing.assert_allclose(average.get_ydata(), one_by_one(values[:, column], 200), rtol=1e-5)
        assert list(exact.get_ydata()) == [2.0] * 30 + [6.0] * 30
        assert list(raw.get_xdata()) == list(range(60))


def test_a_trace_that_ended_early_stands_beside_the_levels_it_was_on(view):
    [picture] = staircase(view("infonce", steps=30, kept=40))
    raw, _, exact = lines(picture.figure.axes[0])
    assert len(raw.get_ydata()) == 40
    assert list(exact.get_ydata()) == [2.0] * 30 + [6.0] * 10


def test_what_was_kept_beyond_the_staircase_is_not_drawn(view):
    [picture] = staircase(view("infonce", steps=30, kept=99))
    assert len(lines(picture.figure.axes[0])[0].get_ydata()) == 60


def test_a_long_staircase_is_drawn_with_few_enough_points(view, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_POINTS", 25)
    [picture] = staircase(view("infonce", steps=30))
    raw, _, exact = lines(picture.figure.axes[0])
    assert list(raw.get_xdata()) == list(range(0, 60, 3))
    assert len(exact.get_ydata()) == 20


def test_steps_without_an_estimate_are_gaps_and_no_error(view):
    run = view("infonce")
    run.modules["trace"].values[40:] = torch.nan
    run.modules["trace"].values[3] = -torch.inf
    [picture] = staircase(run)
    raw, average, _ = lines(picture.figure.axes[0])
    assert np.isnan(raw.get_ydata()[40:]).all()
    assert np.isnan(average.get_ydata()[40:]).all()
    assert np.isfinite(average.get_ydata()[:40]).all()
    picture.figure.savefig(io.BytesIO())


def test_the_axis_holds_all_levels_and_not_single_steps_far_below(view):
    run = view("nwj")
    run.modules["trace"].values[5] = -1e5
    [picture] = staircase(run)
    for axis in picture.figure.axes:
        low, high = axis.get_ylim()
        assert -2 < low <= 0
        assert 6 < high < 12


def test_nothing_is_drawn_of_any_other_run(view):
    assert staircase(view(modules={})) == []
    assert staircase(view(modules={"trace": torch.nn.Identity()})) == []
    assert staircase(view(truth={"mutual_information": 6.0})) == []
    assert staircase(view(truth={})) == []
    assert staircase(view(kept=0)) == []

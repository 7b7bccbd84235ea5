from __future__ import annotations

import numpy as np
import pytest

from harness.ledger.records import Selection
from harness.reporting import curves as module
from harness.reporting.curves import curves, moving_median

LOG = [{"step": step, "epoch": 0, "a/loss": 1.0 / (step + 1), "b/loss": float(step)} for step in range(40)]


def axes_of(log, selection=None):
    (picture,) = curves(log, selection)
    return [axis for axis in picture.figure.axes if axis.axison]


def test_every_term_has_an_axis_with_its_name():
    assert [axis.get_title(loc="left") or axis.get_title() for axis in axes_of(LOG)] == ["a/loss", "b/loss"]


def test_nothing_trained_is_no_picture():
    assert curves([], None) == []


def test_a_short_curve_is_drawn_as_it_is():
    (line,) = axes_of(LOG)[0].lines
    assert line.get_ydata().tolist() == [row["a/loss"] for row in LOG]


def test_a_phase_that_is_not_due_in_every_step_is_drawn_at_its_steps():
    log = [row if row["step"] % 2 else {name: row[name] for name in ("step", "epoch", "a/loss")} for row in LOG]
    (line,) = axes_of(log)[1].lines
    assert line.get_xdata().tolist() == list(range(1, 40, 2))


def test_a_long_curve_is_drawn_with_its_average():
    faint, smooth = axes_of([{"step": step, "a/loss": step % 2} for step in range(500)])[0].lines
    assert np.ptp(faint.get_ydata()) == 1
    assert np.ptp(smooth.get_ydata()[10:-10]) < 0.2


def test_a_curve_has_no_more_points_than_can_be_seen(monkeypatch):
    monkeypatch.setattr(module, "MOST_POINTS", 10)
    assert all(len(line.get_xdata()) <= 10 for axis in axes_of(LOG) for line in axis.lines)


def test_a_few_huge_values_do_not_flatten_the_others():
    log = [{"step": step, "a/loss": 1e6 if step == 0 else step / 1000} for step in range(1000)]
    assert axes_of(log)[0].get_ylim()[1] < 2


def test_each_phase_of_several_terms_begins_a_line():
    log = [{"step": step, "epoch": 0} | dict.fromkeys(("a/1", "a/2", "a/3", "b/1", "b/2"), 0.5) for step in range(3)]
    places = {axis.get_title(): axis.get_subplotspec().num1 for axis in axes_of(log)}
    assert places == {"a/1": 0, "a/2": 1, "a/3": 2, "b/1": 3, "b/2": 4}


def test_the_lowest_axis_of_each_column_says_what_is_across():
    log = [{"step": step, "epoch": 0} | dict.fromkeys(("a/1", "a/2", "a/3", "a/4", "a/5"), 0.5) for step in range(3)]
    assert [axis.get_xlabel() for axis in axes_of(log)] == ["", "step", "step", "step", "step"]


def test_the_caption_speaks_of_a_median_only_where_there_is_one():
    (short,), (long,) = curves(LOG, None), curves([{"step": step, "a/loss": step % 2} for step in range(500)], None)
    assert "median" not in short.caption
    assert "moving median" in long.caption


def test_the_best_step_is_marked():
    selection = Selection(epochs=1, steps=40, best_step=30, best_value=0.1)
    assert all(30 in axis.lines[-1].get_xdata() for axis in axes_of(LOG, selection))


def test_a_constant_term_is_drawn():
    assert len(axes_of([{"step": step, "a/loss": 2.0} for step in range(3)])) == 1


# ------------------------------------------------------------------------------------------------- moving median


@pytest.mark.parametrize("window", [2, 3, 7])
def test_the_median_is_over_the_window_around_each_value(window):
    values = np.random.default_rng(0).normal(size=30)
    smooth = moving_median(values, window, np.arange(30))
    for place in range(30):
        around = values[max(0, place - window // 2) : place + (window - 1) // 2 + 1]
        assert smooth[place] == pytest.approx(np.median(around))


def test_only_the_places_that_are_shown_are_smoothed():
    values = np.random.default_rng(0).normal(size=30)
    places = np.array([0, 7, 29])
    assert moving_median(values, 5, places) == pytest.approx(moving_median(values, 5, np.arange(30))[places])


def test_one_odd_value_does_not_show():
    values = np.full(30, 4.0)
    values[15] = 100.0
    assert moving_median(values, 5, np.arange(30)) == pytest.approx(np.full(30, 4.0))


def test_a_window_of_one_changes_nothing():
    values = np.arange(5.0)
    assert moving_median(values, 1, np.arange(5)) == pytest.approx(values)

from __future__ import annotations

import pytest

from harness.contracts.specs import PublishedNumber
from harness.leaderboard.board import build_board
from harness.leaderboard.plots import WIDTH, plot_of


def plot(records):
    (table,) = build_board(records).tables
    return plot_of(table)


def test_nothing_measured_is_nothing_drawn(make_record):
    assert plot([make_record(status="failed")]) is None


def test_a_row_has_its_mean_interval_and_seeds(make_row):
    (picture,) = plot(make_row([79.0, 80.0, 81.0])).rows
    assert float(picture.interval[0]) < float(picture.mean) < float(picture.interval[1])
    assert len(picture.seeds) == 3


def test_places_grow_with_values(make_row):
    upper, lower = plot([*make_row([79.0, 80.0, 81.0]), *make_row([69.0, 70.0, 71.0], method="gmi")]).rows
    assert float(lower.mean) < float(upper.mean)


def test_two_seeds_have_no_interval(make_row):
    (picture,) = plot(make_row([1.0, 100.0])).rows
    assert picture.interval is None


def test_a_far_reference_row_does_not_squeeze_the_others(make_row):
    records = [
        *make_row([79.9, 80.0, 80.1], method="a"),
        *make_row([81.9, 82.0, 82.1], method="b"),
        *make_row([9.9, 10.0, 10.1], method="raw", reference=True),
    ]
    drawn = plot(records)
    assert [row.beyond for row in drawn.rows] == [None, None, "low"]
    assert drawn.has_beyond


def test_a_near_reference_row_is_drawn(make_row):
    drawn = plot([*make_row([79.0, 80.0, 81.0], method="a"), *make_row([77.0, 78.0, 79.0], method="raw", reference=True)])
    assert not drawn.has_beyond


def test_beside_one_compared_row_every_reference_is_drawn(make_row):
    drawn = plot([*make_row([79.0, 80.0, 81.0], method="a"), *make_row([9.0, 10.0, 11.0], method="raw", reference=True)])
    assert not drawn.has_beyond


def published(value, method="gmi"):
    return PublishedNumber(method=method, data="cora", evaluator="logistic", metric="accuracy", value=value, source="a paper")


def test_a_number_that_is_published_only_is_drawn_on_the_axis(make_row):
    (table,) = build_board(make_row([79.0, 80.0, 81.0]), [published(75.0)]).tables
    (picture,) = plot_of(table).published_only
    assert picture.mean is None
    assert float(picture.published[0]) < float(plot_of(table).rows[0].mean)


def test_a_far_number_that_is_published_only_does_not_squeeze_the_others(make_row):
    records = [*make_row([79.9, 80.0, 80.1], method="a"), *make_row([81.9, 82.0, 82.1], method="b")]
    (table,) = build_board(records, [published(10.0)]).tables
    assert [picture.beyond for picture in plot_of(table).published_only] == ["low"]
    assert plot_of(table).has_beyond


@pytest.mark.parametrize(
    "values", [[5.0, 5.0, 5.0], [0.0, 0.0, 0.0], [1e-200, 2e-200, 3e-200], [-1e12, 1e12, 0.0], [0.1 + 0.2, 0.3, 0.3]]
)
def test_every_axis_has_a_few_ticks_inside_the_drawing(make_row, values):
    drawn = plot(make_row(values))
    assert 2 <= len(drawn.ticks) <= 7
    assert all(0 <= float(tick.x) <= WIDTH for tick in drawn.ticks)
    assert len({tick.label for tick in drawn.ticks}) == len(drawn.ticks)


def test_ticks_are_round_numbers(make_row):
    labels = [tick.label for tick in plot([*make_row([60.0, 60.0, 60.0]), *make_row([80.0, 80.0, 80.0], method="b")]).ticks]
    assert labels == ["60", "65", "70", "75", "80"]


def test_differences_beyond_all_floats_are_not_drawn(make_row):
    assert plot(make_row([-1.7e308, 1.7e308])) is None

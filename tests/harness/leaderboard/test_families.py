"""Families of data sets: the only means over data sets."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from harness import PublishedNumber
from harness.leaderboard.board import build_board
from harness.leaderboard.pages import render_pages


def number(method, data, value, **more):
    fields = {"evaluator": "ram-probe", "metric": "f1", "source": "Anand et al. 2019"} | more
    return PublishedNumber(method=method, data=data, value=value, **fields)


WHOLE = number("st-dim", "atari:*", 0.68)


def f1(make_metric, value, **of):
    return make_metric(value, name="f1", unit="1", of=of)


@pytest.fixture
def game(make_record, make_metric):
    """A function that makes the records of a method on a game, one for each value."""

    def records(name, values, *, method="st-dim", categories=None, **more):
        fields = {"data": f"atari:{name}", "evaluator": "ram-probe", "feature": "y", "protocol": "aari", "method": method, **more}
        return [
            make_record(
                seed=seed,
                metrics=[
                    f1(make_metric, value),
                    *(f1(make_metric, share, category=one) for one, share in (categories or {}).items()),
                ],
                **fields,
            )
            for seed, value in enumerate(values)
        ]

    return records


def families(records, *published):
    return build_board(records, published or [WHOLE]).families


def by_method(family):
    return {row.method: row for row in family.rows}


def mean_line(records, *published):
    """The line of the mean on the page of a board with one family."""
    markdown = render_pages(build_board(records, published))["README.md"].decode()
    (line,) = [line for line in markdown.splitlines() if line.startswith("| mean over ")]
    return line


def test_a_family_has_a_table_only_where_a_number_for_all_of_it_is_published(game):
    records = game("pong", [0.8]) + game("boxing", [0.6])
    assert families(records, number("st-dim", "atari:pong", 0.81)) == ()
    (family,) = families(records)
    assert (family.prefix, family.data) == ("atari", ("atari:boxing", "atari:pong"))


def test_the_mean_is_over_data_sets_not_over_seeds(game):
    (family,) = families(game("pong", [0.7, 0.8, 0.9]) + game("boxing", [0.2]))
    (row,) = family.rows
    assert row.mean == pytest.approx((0.8 + 0.2) / 2)
    assert row.count == 2
    assert (row.members["atari:pong"].mean, row.members["atari:pong"].seeds) == (pytest.approx(0.8), 3)


def test_a_data_set_without_a_value_is_not_in_the_mean_and_the_row_says_how_many_are(game):
    records = game("pong", [0.8]) + game("boxing", [0.6]) + game("pong", [0.4], method="vae")
    rows = by_method(families(records)[0])
    assert (rows["vae"].mean, rows["vae"].count) == (0.4, 1)
    failed = game("pong", [0.8]) + game("boxing", [0.5], status="failed")
    (row,) = families([*failed, *game("boxing", [0.3], method="vae")])[0].rows[:1]
    assert (row.method, row.mean, row.count) == ("st-dim", 0.8, 1)


def test_the_published_mean_stands_beside_ours_and_each_cell_beside_its_own(game):
    published = [WHOLE, number("st-dim", "atari:pong", 0.81)]
    (row,) = families(game("pong", [0.8]) + game("boxing", [0.6]), *published)[0].rows
    assert [(each.value, each.difference) for each in row.published] == [(0.68, pytest.approx(0.02))]
    assert [each.value for each in row.members["atari:pong"].published] == [0.81]
    assert row.members["atari:boxing"].published == ()


def test_a_mean_over_fewer_data_sets_than_the_published_one_is_not_compared_with_it(game):
    published = [WHOLE, *(number("st-dim", f"atari:{name}", 0.8) for name in ("pong", "boxing", "qbert"))]
    (row,) = families(game("pong", [0.8]) + game("boxing", [0.6]), *published)[0].rows
    assert [(each.value, each.difference) for each in row.published] == [(0.68, None)]
    failed = game("qbert", [0.5], status="failed")
    (row,) = families(game("pong", [0.8]) + game("boxing", [0.6]) + failed, *published)[0].rows
    assert row.published[0].difference is None
    (row,) = families(game("pong", [0.8]) + game("boxing", [0.6]) + game("qbert", [0.7]), *published)[0].rows
    assert row.published[0].difference == pytest.approx(0.02)


def test_it_is_compared_with_the_mean_of_the_published_numbers_of_the_same_data_sets(game):
    numbers = {"pong": 0.9, "boxing": 0.5, "qbert": 0.1}
    published = [WHOLE, *(number("st-dim", f"atari:{name}", value, note="by game") for name, value in numbers.items())]
    two = game("pong", [0.8]) + game("boxing", [0.5])
    (family,) = families(two, *published)
    (row,) = family.rows
    here = row.published_here
    assert (here.value, here.difference, here.note) == (pytest.approx(0.7), pytest.approx(-0.05), "by game")
    assert family.published_over == 3
    line = mean_line(two, *published)
    assert "| 0.6500; published 0.7000 over the same 2 " in line
    assert "; published 0.6800 over 3 " in line
    line = mean_line(two + game("qbert", [0.2]), *published)
    assert line.startswith("| mean over 3 | 0.5000; published 0.6800 ")
    assert line.count("published") == 1


def test_there_is_no_such_mean_where_one_of_them_has_no_published_number_or_the_sources_differ(game):
    records = game("pong", [0.8]) + game("boxing", [0.6])
    pong, boxing = number("st-dim", "atari:pong", 0.9), number("st-dim", "atari:boxing", 0.5)
    for published in ([pong], [pong, boxing, number("st-dim", "atari:boxing", 0.4)], [pong, replace(boxing, source="another")]):
        assert families(records, WHOLE, *published)[0].rows[0].published_here is None
    assert families(records, WHOLE, pong, boxing)[0].rows[0].published_here.value == pytest.approx(0.7)


def test_methods_that_are_published_only_have_a_column(game):
    published = [WHOLE, number("cpc", "atari:*", 0.61), number("cpc", "atari:pong", 0.71)]
    rows = by_method(families(game("pong", [0.8]), *published)[0])
    assert (rows["cpc"].mean, rows["cpc"].recipe, rows["cpc"].published[0].value) == (None, "", 0.61)
    assert rows["cpc"].members["atari:pong"].published[0].value == 0.71
    assert (rows["cpc"].published_here.value, rows["cpc"].published_here.difference) == (0.71, None)


def test_categories_are_families_of_their_own(game):
    records = game("pong", [0.8], categories={"misc": 0.9}) + game("boxing", [0.6], categories={"misc": 0.3, "agent": 0.1})
    found = families(records, WHOLE, number("st-dim", "atari:*", 0.75, of={"category": "misc"}))
    assert [dict(family.metric.of) for family in found] == [{}, {"category": "misc"}]
    assert found[1].rows[0].mean == pytest.approx(0.6)


@pytest.mark.parametrize("other", [{"protocol": "aari-legacy"}, {"data_options": {"size": 84}}, {"evaluator_options": {"lr": 1.0}}])
def test_nothing_is_averaged_over_settings(game, other):
    found = families(game("pong", [0.8]) + game("boxing", [0.6], **other))
    assert sorted(family.data for family in found) == [("atari:boxing",), ("atari:pong",)]


def test_what_is_of_one_setting_stands_together_its_whole_first(game):
    records = [
        record
        for options in ({"classes": "seen"}, {"classes": "all"})
        for record in game("pong", [0.8], categories={"misc": 0.9, "agent": 0.1}, evaluator_options=options)
    ]
    published = [WHOLE, *(number("st-dim", "atari:*", 0.7, of={"category": name}) for name in ("misc", "agent"))]
    found = [(family.evaluator.options["classes"], dict(family.metric.of)) for family in families(records, *published)]
    assert found == [(classes, of) for classes in ("all", "seen") for of in ({}, {"category": "agent"}, {"category": "misc"})]


def test_titles_tell_families_of_the_same_metric_apart(game):
    records = [
        *game("pong", [0.8], evaluator_options={"classes": "seen"}),
        *game("pong", [0.7], evaluator_options={"classes": "all"}),
    ]
    markdown = render_pages(build_board(records, [WHOLE]))["README.md"].decode()
    assert [line for line in markdown.splitlines() if line.startswith("### atari:&#42;")] == [
        f"### atari:&#42;: ram-probe on y (classes={classes}): f1" for classes in ("all", "seen")
    ]
    alone = render_pages(build_board(records[:1], [WHOLE]))["README.md"].decode()
    assert "### atari:&#42;: ram-probe on y: f1" in alone.splitlines()


def test_rows_go_from_best_to_worst(game):
    records = game("pong", [0.2]) + game("pong", [0.4], method="vae") + game("pong", [0.1], method="majority", reference=True)
    (family,) = families(records, WHOLE, number("cpc", "atari:*", 0.61), number("pixel-pred", "atari:*", 0.58))
    assert [row.method for row in family.rows] == ["vae", "st-dim", "majority", "cpc", "pixel-pred"]


def test_published_numbers_of_one_of_several_things_stand_at_that_thing(game):
    records = game("boxing", [0.6], categories={"misc": 0.3})
    board = build_board(records, [number("st-dim", "atari:boxing", 0.5, of={"category": "misc"})])
    published = {str(dict(table.metric.of)): [each.value for each in table.rows[0].published] for table in board.tables}
    assert published == {"{}": [], "{'category': 'misc'}": [0.5]}


def test_equal_records_in_any_order_give_equal_pages(game):
    records = game("pong", [0.8, 0.7]) + game("boxing", [0.6]) + game("boxing", [0.4], method="vae")
    pages = render_pages(build_board(records, [WHOLE]))
    random.Random(0).shuffle(records)
    assert render_pages(build_board(records, [WHOLE])) == pages


def test_the_pages_show_every_data_set_and_how_many_are_in_a_mean(game):
    records = game("pong", [0.8]) + game("boxing", [0.6]) + game("pong", [0.4], method="vae")
    pages = render_pages(build_board(records, [WHOLE, number("cpc", "atari:*", 0.61)]))
    markdown = pages["README.md"].decode()
    assert "## atari:&#42;" in markdown
    mean = mean_line(records, WHOLE, number("cpc", "atari:*", 0.61))
    assert mean.startswith("| mean over 2 ")
    assert "0.7000; published 0.6800" in mean
    assert "0.4000, 1 of 2" in mean
    assert "cpc (published only)" in markdown
    assert "mean over 2" in pages["site/index.html"].decode()

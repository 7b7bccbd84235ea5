from __future__ import annotations

import random
import statistics
import subprocess
import sys

import msgspec
import pytest

from harness import PublishedNumber
from harness.leaderboard.board import build_board
from harness.leaderboard.intervals import interval_95

SPREAD = (-1.0, 0.0, 1.0)


def only_table(records, published=()):
    (table,) = build_board(records, published).tables
    return table


def only_row(records, published=()):
    (row,) = only_table(records, published).rows
    return row


def ranks(table):
    return {row.method: row.rank for row in table.rows}


def around(mean, spread=SPREAD):
    return [mean + offset for offset in spread]


def trained_for(record, seconds):
    return msgspec.structs.replace(record, time_s=msgspec.structs.replace(record.time_s, train=seconds))


# ------------------------------------------------------------------------------------------------------------ tables


def test_no_records_make_an_empty_board():
    assert build_board([]).tables == ()


def test_the_board_says_how_many_records_it_holds(make_row):
    assert build_board(make_row(around(80))).records == 3


def test_each_data_set_has_its_own_table(make_row):
    board = build_board([*make_row(around(80), data="cora"), *make_row(around(70), data="pubmed")])
    assert [table.data.name for table in board.tables] == ["cora", "pubmed"]


@pytest.mark.parametrize(
    "other",
    [
        {"evaluator": "svm"},
        {"evaluator_options": {"C": 2.0}},
        {"feature": "hidden"},
        {"protocol": "planetoid-random"},
        {"data_options": {"normalise": False}},
        {"recipe_sha256": "1" * 64},
    ],
)
def test_what_is_not_comparable_is_not_in_one_table(make_row, other):
    board = build_board([*make_row(around(80)), *make_row(around(70), method="gmi", **other)])
    assert [len(table.rows) for table in board.tables] == [1, 1]


def test_each_metric_has_its_own_table(make_record, make_metric):
    board = build_board([make_record(metrics=[make_metric(80.0), make_metric(0.8, name="f1", unit="1", primary=False)])])
    assert [table.metric.name for table in board.tables] == ["accuracy", "f1"]


def test_the_primary_metric_comes_first(make_record, make_metric):
    board = build_board([make_record(metrics=[make_metric(1.0, name="a", primary=False), make_metric(2.0, name="z")])])
    assert [table.metric.name for table in board.tables] == ["z", "a"]


def test_metrics_of_several_things_are_kept_apart(make_record, make_metric):
    metrics = [make_metric(float(k), of={"variable": name}) for k, name in enumerate(["x", "y"])]
    board = build_board([make_record(metrics=metrics)])
    assert [(table.metric.of, table.rows[0].mean) for table in board.tables] == [({"variable": "x"}, 0.0), ({"variable": "y"}, 1.0)]


def test_numbers_of_several_things_stand_in_the_order_of_their_size(make_record, make_metric):
    things = [{"level": level, "reading": name} for level in (10.0, 2, "none") for name in ("js", "dv")]
    board = build_board([make_record(metrics=[make_metric(1.0, of=of) for of in things])])
    found = [(table.metric.of["level"], table.metric.of["reading"]) for table in board.tables]
    assert found == [(level, name) for level in (2, 10.0, "none") for name in ("dv", "js")]


def test_a_row_stands_only_in_the_tables_of_things_that_it_reports(make_record, make_metric):
    records = [make_record(metrics=[make_metric(1.0, of={"reading": name})], method=name) for name in ("js", "dv")]
    tables = {table.metric.of["reading"]: [row.method for row in table.rows] for table in build_board(records).tables}
    assert tables == {"js": ["js"], "dv": ["dv"]}


def test_a_row_that_failed_stands_in_the_tables_of_all_things(make_record, make_metric):
    records = [
        make_record(metrics=[make_metric(1.0, of={"reading": "js"})], method="js"),
        make_record(None, method="dv", status="failed"),
    ]
    [table] = build_board(records).tables
    assert [row.method for row in table.rows] == ["js", "dv"]


def test_a_row_says_how_long_its_encoders_trained_on_average(make_row):
    one, two, three = make_row(around(80))
    row = only_row([trained_for(one, 10.0), trained_for(two, 20.0), trained_for(three, 60.0)])
    assert row.train_s == 30.0


def test_a_row_without_a_value_has_no_training_time(make_record):
    assert only_row([make_record(None, status="failed")]).train_s is None


A, B, C = ("a" * 64, "b" * 64, "c" * 64)
"""Digests of models."""


def trainings(records):
    return {(table.evaluator.name, row.method): row.trainings for table in build_board(records).tables for row in table.rows}


def test_a_row_says_that_evaluators_judged_different_trainings_of_one_seed(make_record):
    anew = make_record(70.0, evaluator="svm", model=B)
    other = make_record(60.0, method="gmi", model=C)
    assert trainings([make_record(80.0, model=A), anew, other]) == {
        ("logistic", "dgi"): 2,
        ("svm", "dgi"): 2,
        ("logistic", "gmi"): 1,
    }


def test_seeds_are_different_models_of_one_training_each(make_record):
    records = [make_record(80.0, seed=seed, evaluator=name, model=(A, B)[seed]) for seed in (0, 1) for name in ("logistic", "svm")]
    assert set(trainings(records).values()) == {1}


def test_a_training_that_no_longer_counts_is_not_counted(make_record):
    first = [make_record(80.0, evaluator=name, model=A) for name in ("logistic", "svm")]
    again = [make_record(80.0, evaluator=name, attempt=2, model=B) for name in ("logistic", "svm")]
    assert set(trainings([*first, *again]).values()) == {1}
    assert set(trainings([*first, again[0]]).values()) == {2}


def test_where_no_model_is_named_nothing_is_said(make_row):
    assert only_row(make_row(around(80))).trainings == 1


def test_units_are_never_mixed(make_record, make_metric):
    board = build_board([make_record(seed=0), make_record(seed=1, metrics=[make_metric(0.8, unit="1")])])
    assert sorted(table.metric.unit for table in board.tables) == ["%", "1"]


def test_training_and_test_numbers_are_kept_apart(make_record, make_metric):
    board = build_board([make_record(metrics=[make_metric(80.0), make_metric(99.0, split="train", primary=False)])])
    assert [(table.metric.split, table.rows[0].mean) for table in board.tables] == [("test", 80.0), ("train", 99.0)]


def test_other_probe_data_makes_another_table(make_record):
    own = make_record()
    board = build_board([own, make_record(probe_data=own.identity.data)])
    assert len(board.tables) == 2


def test_a_board_needs_no_torch():
    script = "import sys, harness.leaderboard.pages, harness.leaderboard.checking; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


# -------------------------------------------------------------------------------------------------------------- rows


def test_a_row_is_all_seeds_of_one_identity(make_row):
    row = only_row(make_row([80.0, 81.0, 82.0, 85.0]))
    assert (row.seeds, row.mean, row.sd) == (4, 82.0, statistics.stdev([80, 81, 82, 85]))
    assert row.interval == interval_95([80.0, 81.0, 82.0, 85.0])


def test_cells_are_in_the_order_of_seeds(make_record):
    row = only_row([make_record(float(seed), seed=seed) for seed in (10, 2, 1)])
    assert [cell.seed for cell in row.cells] == [1, 2, 10]


def test_other_options_make_another_row_that_says_which(make_row):
    table = only_table([*make_row(around(80), objective_options={"lr": 0.1}), *make_row(around(60), objective_options={"lr": 0.2})])
    assert [row.variant for row in table.rows] == [{"objective.lr": 0.1}, {"objective.lr": 0.2}]


def test_a_row_alone_needs_no_telling_apart(make_row):
    assert only_row(make_row(around(80), objective_options={"lr": 0.1})).variant == {}


def test_the_same_method_of_two_packages_makes_two_rows(make_row):
    table = only_table([*make_row(around(80)), *make_row(around(60), distribution="other-package")])
    assert [row.variant for row in table.rows] == [{"method package": "infomax-harness"}, {"method package": "other-package"}]


def test_spread_over_probes_is_not_spread_over_encoders(make_record):
    row = only_row([make_record(80.0, seed=seed, std=std, over="probes") for seed, std in enumerate([1.0, 2.0, 3.0])])
    assert row.sd == 0.0
    assert [(within.over, within.std, within.seeds) for within in row.within] == [("probes", 2.0, 3)]


def test_spreads_over_different_things_are_not_mixed(make_record):
    row = only_row([make_record(seed=0, std=1.0, over="probes"), make_record(seed=1, std=9.0, over="restarts")])
    assert [(within.over, within.std) for within in row.within] == [("probes", 1.0), ("restarts", 9.0)]


def test_flags_budget_and_tuning_are_shown(make_record):
    row = only_row([make_record(trusted_first=True, budget="smoke", tuning="searched")])
    assert (row.trusted_first, row.budgets, row.tuning) == (True, ("smoke",), ("searched",))


def test_the_number_of_samples_comes_from_the_metrics_split(make_record):
    assert only_row([make_record(n={"train": 5, "test": 7})]).cells[0].samples == 7


# ---------------------------------------------------------------------------------------------- failures and attempts


def test_a_seed_that_failed_is_counted_and_not_averaged(make_record):
    row = only_row([make_record(80.0, seed=0), make_record(seed=1, status="diverged")])
    assert (row.seeds, row.mean, row.statuses) == (1, 80.0, {"diverged": 1, "ok": 1})
    assert [cell.value for cell in row.cells] == [80.0, None]


def test_a_row_that_only_failed_stands_empty_in_the_table(make_row, make_record):
    table = only_table([*make_row(around(80)), make_record(method="gmi", status="timeout")])
    assert [(row.method, row.mean, row.statuses) for row in table.rows][1] == ("gmi", None, {"timeout": 1})


def test_where_all_failed_there_is_a_table_without_a_metric(make_record):
    table = only_table([make_record(status="failed")])
    assert table.metric is None
    assert table.rows[0].statuses == {"failed": 1}


def test_an_ok_attempt_makes_up_for_earlier_failures(make_record):
    row = only_row([make_record(attempt=1, status="failed"), make_record(81.0, attempt=2)])
    assert (row.mean, row.statuses, row.cells[0].attempts) == (81.0, {"ok": 1}, 2)


def test_a_later_failure_does_not_undo_an_ok_attempt(make_record):
    row = only_row([make_record(81.0, attempt=1), make_record(attempt=2, status="failed")])
    assert (row.mean, row.statuses) == (81.0, {"ok": 1})


def test_the_newest_ok_attempt_counts(make_record):
    assert only_row([make_record(81.0, attempt=1), make_record(82.0, attempt=2)]).mean == 82.0


def test_attempts_numbered_alike_are_told_apart_by_time(make_record):
    records = [make_record(82.0, created="2026-02-01T00:00:00Z"), make_record(81.0, created="2026-01-01T00:00:00Z")]
    assert only_row(records).mean == 82.0


def test_a_record_given_twice_counts_once(make_record):
    board = build_board([make_record(), make_record()])
    assert board.records == 1
    assert board.tables[0].rows[0].reproduced is None


def test_equal_attempts_are_reproduced(make_record):
    row = only_row([make_record(81.0, attempt=1), make_record(81.0, attempt=2)])
    assert (row.reproduced, row.largest_difference) == (True, 0.0)


def test_differing_attempts_are_not(make_record):
    row = only_row([make_record(81.0, attempt=1), make_record(81.5, attempt=2)])
    assert (row.reproduced, row.largest_difference) == (False, 0.5)


def test_a_metric_that_is_missing_in_a_repetition_is_not_reproduced(make_record, make_metric):
    more = make_record(attempt=1, metrics=[make_metric(80.0), make_metric(1.0, name="f1", primary=False)])
    less = make_record(attempt=2, metrics=[make_metric(80.0)])
    (row,) = build_board([more, less, make_record(seed=1, metrics=more.metrics)]).tables[1].rows
    assert row.reproduced is False


def test_a_missing_metric_lowers_the_number_of_seeds(make_record, make_metric):
    both = [make_metric(80.0), make_metric(0.8, name="f1", primary=False)]
    table = build_board([make_record(seed=0, metrics=both), make_record(seed=1)]).tables[1]
    assert (table.metric.name, table.rows[0].seeds, len(table.rows[0].cells)) == ("f1", 1, 2)


# ------------------------------------------------------------------------------------------------------------- ranks


def test_rows_whose_intervals_do_not_overlap_have_different_ranks(make_row):
    table = only_table([*make_row(around(80), method="a"), *make_row(around(60), method="b"), *make_row(around(40), method="c")])
    assert ranks(table) == {"a": 1, "b": 2, "c": 3}


def test_overlapping_intervals_are_ties(make_row):
    table = only_table([*make_row(around(80), method="a"), *make_row(around(81), method="b")])
    assert ranks(table) == {"a": 1, "b": 1}


def test_a_rank_counts_only_the_rows_that_are_better_beyond_doubt(make_row):
    """b overlaps both a and c, which do not overlap each other: half widths are 2.48."""
    table = only_table([*make_row(around(80), method="a"), *make_row(around(76), method="b"), *make_row(around(72), method="c")])
    assert ranks(table) == {"a": 1, "b": 1, "c": 2}


def test_intervals_that_touch_are_ties(make_row):
    table = only_table([*make_row([5.0, 5.0, 5.0], method="a"), *make_row([5.0, 5.0, 5.0], method="b")])
    assert ranks(table) == {"a": 1, "b": 1}


def test_lower_is_better_turns_the_order_around(make_record, make_metric):
    records = [
        make_record(method=method, seed=seed, metrics=[make_metric(value, name="loss", higher_is_better=False)])
        for method, mean in (("a", 9.0), ("b", 1.0))
        for seed, value in enumerate(around(mean))
    ]
    table = only_table(records)
    assert [(row.method, row.rank) for row in table.rows] == [("b", 1), ("a", 2)]


def test_without_a_direction_nothing_is_ranked(make_record, make_metric):
    records = [make_record(seed=seed, metrics=[make_metric(1.0, higher_is_better=None)]) for seed in range(3)]
    assert (only_row(records).rank, only_row(records).unranked) == (None, "no direction")


def test_two_seeds_are_shown_and_not_ranked(make_row):
    table = only_table([*make_row([99.0, 99.1], method="lucky"), *make_row(around(80))])
    assert [(row.method, row.rank, row.unranked) for row in table.rows] == [("lucky", None, "few seeds"), ("dgi", 1, None)]


def test_three_seeds_of_which_one_failed_are_two(make_row, make_record):
    row = only_row([*make_row([80.0, 81.0]), make_record(seed=2, status="failed")])
    assert row.unranked == "few seeds"


@pytest.mark.parametrize("flag", ["reference", "supervised"])
def test_flagged_rows_are_shown_and_not_ranked(make_row, flag):
    table = only_table([*make_row(around(99), method="marked", **{flag: True}), *make_row(around(80))])
    assert [(row.method, row.rank, row.unranked) for row in table.rows] == [("marked", None, flag), ("dgi", 1, None)]


def test_rows_without_a_value_come_last(make_row, make_record):
    table = only_table([make_record(method="a", status="failed"), *make_row(around(80))])
    assert [row.method for row in table.rows] == ["dgi", "a"]
    assert table.rows[1].unranked == "no value"


# ---------------------------------------------------------------------------------------------------- reference rows


def test_a_reference_row_on_a_feature_of_its_own_stands_in_all_tables(make_row):
    records = [
        *make_row(around(80), feature="conv"),
        *make_row(around(70), feature="fc"),
        *make_row(around(30), method="raw", feature="input", reference=True),
    ]
    tables = build_board(records).tables
    assert [(table.feature, [row.method for row in table.rows]) for table in tables] == [
        ("conv", ["dgi", "raw"]),
        ("fc", ["dgi", "raw"]),
    ]
    assert tables[0].rows[1].feature == "input"


def test_a_reference_row_on_a_compared_feature_stays_there(make_row):
    records = [
        *make_row(around(80), feature="conv"),
        *make_row(around(70), feature="fc"),
        *make_row(around(30), method="random", feature="fc", reference=True),
    ]
    assert [len(table.rows) for table in build_board(records).tables] == [1, 2]


def test_reference_rows_alone_have_a_table(make_row):
    assert only_table(make_row(around(30), method="raw", feature="input", reference=True)).feature == "input"


# -------------------------------------------------------------------------------------------------- published numbers


def published(**changes):
    known = {
        "method": "dgi",
        "data": "cora",
        "evaluator": "logistic",
        "metric": "accuracy",
        "value": 82.3,
        "source": "the paper, Table 2",
    }
    return PublishedNumber(**(known | changes))


def test_a_published_number_stands_beside_ours_with_the_difference(make_row):
    row = only_row(make_row(around(80)), [published(std=0.6, distance="near", note="why")])
    (beside,) = row.published
    assert (beside.value, beside.std, beside.source, beside.distance, beside.note) == (
        82.3,
        0.6,
        "the paper, Table 2",
        "near",
        "why",
    )
    assert beside.difference == pytest.approx(-2.3)


@pytest.mark.parametrize(
    "other", [{"method": "gmi"}, {"data": "pubmed"}, {"evaluator": "svm"}, {"metric": "f1"}, {"feature": "fc"}]
)
def test_a_number_of_something_else_does_not(make_row, other):
    assert only_row(make_row(around(80)), [published(**other)]).published == ()


def test_a_number_for_the_feature_matches_it(make_row):
    assert only_row(make_row(around(80)), [published(feature="node")]).published


def test_a_number_without_a_row_is_shown_by_itself(make_row):
    table = only_table(make_row(around(80)), [published(method="gmi")])
    assert [(number.method, number.value, number.difference) for number in table.published_only] == [("gmi", 82.3, None)]


def test_numbers_without_a_row_stand_from_best_to_worst(make_row):
    numbers = [published(method="gmi", value=81.0), published(method="vae", value=60.0), published(method="gae", value=82.0)]
    assert [number.value for number in only_table(make_row(around(80)), numbers).published_only] == [82.0, 81.0, 60.0]


def test_it_is_not_repeated_in_the_tables_of_all_features(make_row):
    records = [*make_row(around(80), feature="conv"), *make_row(around(80), feature="fc")]
    tables = build_board(records, [published(method="gmi"), published(method="vae", feature="fc")]).tables
    assert [[number.method for number in table.published_only] for table in tables] == [[], ["vae"]]


def test_a_reference_rows_number_follows_it_to_all_tables(make_row):
    records = [*make_row(around(80)), *make_row(around(30), method="raw", feature="input", reference=True)]
    table = only_table(records, [published(method="raw", feature="input", value=47.9)])
    assert table.rows[1].published[0].value == 47.9


def test_a_published_number_is_not_of_the_training_part(make_record, make_metric):
    row = only_row([make_record(metrics=[make_metric(99.0, split="train")])], [published()])
    assert row.published == ()


def test_nor_of_one_variable_out_of_many(make_record, make_metric):
    row = only_row([make_record(metrics=[make_metric(99.0, of={"variable": "x"})])], [published()])
    assert row.published == ()


def test_a_row_without_a_value_has_no_difference(make_row, make_record):
    table = only_table([*make_row(around(80)), make_record(method="gmi", status="failed")], [published(method="gmi")])
    assert table.rows[1].published[0].difference is None


# ------------------------------------------------------------------------------------------------------------- order


def test_the_order_of_records_and_numbers_does_not_matter(make_row, make_record):
    records = [
        *make_row(around(80)),
        *make_row(around(80), method="gmi"),
        *make_row(around(30), method="raw", feature="input", reference=True),
        *make_row(around(50), data="pubmed"),
        make_record(method="gae", status="failed"),
        make_record(81.0, attempt=2),
    ]
    numbers = [published(), published(value=81.0, source="another"), published(method="gae")]
    board = build_board(records, numbers)
    rng = random.Random(0)
    for _ in range(10):
        rng.shuffle(records)
        rng.shuffle(numbers)
        assert build_board(iter(records), iter(numbers)) == board

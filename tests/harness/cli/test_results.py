from __future__ import annotations

import re

ESTIMATOR = ("run", "--data", "gaussians:mi=1,d=2", "--budget", "smoke", "--threads", "1", "-o", "data.samples=256")


def lines(text: str, first: str) -> list[list[str]]:
    """The words of each line of the first table whose title begins with `first`, its heading first."""
    rows = text[text.index(first) :].splitlines()[2:]
    return [row.split() for row in rows[: rows.index(next(row for row in rows if not row.strip()))] if "─" not in row]


def test_a_metric_of_several_things_is_one_table_with_a_line_for_each(cli):
    answer = cli(*ESTIMATOR, "--method", "mi-js", "--no-references")
    assert answer.code == 0
    heading, *rows = lines(answer.out, "gaussians:mi=1,d=2: mi-value on scores, error nats")
    assert heading == ["reading", "mi-js"]
    assert [row[0] for row in rows] == ["dv", "js", "smile-1", "smile-5"]
    assert all(float(value) >= 0 for _, value in rows)


def test_its_columns_are_the_rows_of_all_tables_and_what_is_missing_stays_empty(cli):
    answer = cli(*ESTIMATOR, "--method", "mi-js")
    heading, *rows = lines(answer.out, "gaussians:mi=1,d=2: mi-value on scores, error nats")
    assert heading == ["reading", "mi-js", "random"]
    assert {row[0]: len(row) for row in rows} == {"dv": 3, "infonce": 2, "js": 3, "nwj": 2, "smile-1": 3, "smile-5": 3}


def test_a_pure_number_has_no_unit(cli, runs):
    answer = cli(*cli.ae, "--no-references", "--evaluators", "rankme")
    assert "digits: rankme on y, rankme\n" in answer.out
    assert re.search(r"rankme on y: rankme \d+\.\d\d$", answer.err, re.MULTILINE)


def test_a_long_title_is_not_broken(cli):
    answer = cli(*ESTIMATOR, "--method", "mi-js", "--no-references")
    assert "gaussians:mi=1,d=2: mi-value on scores, error nats\n" in answer.out


def test_cells_that_a_reference_row_cannot_have_are_named(cli):
    answer = cli(*ESTIMATOR, "--method", "mi-js", "--dry-run")
    assert "raw: Evaluator mi-value cannot judge feature input: it reads scores." in answer.err
    assert "raw" not in answer.out


def rows(answer):
    """The methods of the table's rows with the rest of each."""
    return {name: rest.split() for name, rest in re.findall(r"^ *([\w-]+) +(\d+\.\d\d .*)$", answer.out, re.MULTILINE)}


def test_the_table_has_our_row_and_the_reference_rows(cli, runs):
    answer = cli(*cli.ae)
    assert set(rows(answer)) == {"ae", "random", "raw", "majority"}
    assert rows(answer)["majority"][-1] == "reference"


def test_the_table_has_only_columns_that_are_used(cli, runs):
    answer = cli(*cli.ae)
    assert "published" not in answer.out
    assert "within" not in answer.out


def test_the_table_fits_a_narrow_terminal(cli, runs):
    assert max(map(len, cli(*cli.ae).out.partition("cells computed")[0].splitlines())) <= 80


def test_the_table_shows_mean_and_number_of_seeds(cli, runs):
    from harness.ledger.stores import FolderStore

    (record,) = FolderStore(runs / "records").attempts_of("digits", "ae")
    assert rows(cli(*cli.ae))["ae"] == [f"{record.metrics[0].value:.2f}", "1"]


def test_several_seeds_show_their_spread(cli, runs):
    assert rows(cli(*cli.ae, "--seeds", "2", "--no-references"))["ae"][1:2] == ["±"]


def test_too_few_seeds_are_pointed_out(cli, runs):
    assert "Fewer than 3 seeds are shown and not ranked" in cli(*cli.ae).out


def test_a_failed_seed_is_counted_in_the_table(cli):
    assert "1 failed" in cli(*cli.ae, "--no-references", "-o", "objective.lr=1e30").out


def test_where_the_results_are_is_said(cli, runs):
    assert "0 cells computed, 4 found. Records: runs/records. Run folders: runs." in cli(*cli.ae).out


def test_cells_are_shown_in_the_order_in_which_they_were_asked_for(cli, runs):
    out = cli(*cli.ae, "--evaluators", "svm,knn", "--no-references").out
    assert out.index("svm on y") < out.index("knn on y")

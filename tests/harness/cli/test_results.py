from __future__ import annotations

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


def test_a_long_title_is_not_broken(cli):
    answer = cli(*ESTIMATOR, "--method", "mi-js", "--no-references")
    assert "gaussians:mi=1,d=2: mi-value on scores, error nats\n" in answer.out


def test_cells_that_a_reference_row_cannot_have_are_named(cli):
    answer = cli(*ESTIMATOR, "--method", "mi-js", "--dry-run")
    assert "raw: Evaluator mi-value cannot judge feature input: it reads scores." in answer.err
    assert "raw" not in answer.out

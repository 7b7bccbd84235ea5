from __future__ import annotations

from pathlib import Path

from harness.cli.plans import announce, titles
from harness.execution import Pending, Settings, pending
from harness.ledger.runs import Plan


def test_nothing_is_announced_where_all_is_done(work, capsys):
    done = [Pending(run=each.run, missing=[], done={}) for each in work]
    announce(done, Settings())
    assert capsys.readouterr() == ("", "")


def test_the_announcement_counts_runs_and_cells_and_goes_to_stderr(work, tmp_path, capsys):
    announce(work, Settings(out=tmp_path))
    assert capsys.readouterr() == ("", "2 runs, 2 cells to compute. ae: 1 epoch, budget smoke.\n")


def test_the_time_is_estimated_from_earlier_runs(cli, runs):
    answer = cli(*cli.ae, "--seed", "7")
    assert "about 1 s by what earlier runs took" in answer.err.splitlines()[0]


def test_runs_of_another_budget_say_nothing_of_the_time(cli, runs):
    assert "earlier runs" not in cli(*cli.ae, "--seed", "7", "--no-references", "--budget", "fast").err


def test_a_stop_rule_is_said(cli):
    answer = cli(*cli.ae, "-o", "train.patience=5", "--no-references", "--dry-run")
    assert "at most 1 epoch, stopping after 5 without a better loss" in answer.out


def test_a_dry_run_in_json_has_runs_with_their_cells(cli, runs):
    answer = cli(*cli.ae, "--dry-run", "--json")
    first = answer.document[0]
    assert set(first) == {"run", "method", "data", "seed", "reference", "folder", "cells"}
    assert set(first["cells"][0]) == {"id", "evaluator", "feature", "done"}
    assert {run["method"]: run["reference"] for run in answer.document}["random"]


def test_runs_of_one_name_are_told_apart_by_the_options_in_which_they_differ(cli):
    suite = "\n".join(
        ["summary = 'widths'", *(f"[[runs]]\nmethod='ae'\ndata='digits'\noptions=['encoder.width={width}']" for width in (8, 16))]
    )
    Path("widths.toml").write_text(suite)
    out = cli("run", "--suite", "widths.toml", "--dry-run", "--no-references").out
    assert [line.partition(":")[0] for line in out.splitlines()[:2]] == [
        "ae on digits, seed 0 (width=8)",
        "ae on digits, seed 0 (width=16)",
    ]


def test_a_name_that_is_alone_has_no_options(work):
    assert list(titles(work).values()) == ["ae on digits, seed 0", "ae on digits, seed 1"]


def test_the_cells_of_a_dry_run_have_the_ids_of_the_records(cli, runs):
    planned = [cell["id"] for run in cli(*cli.ae, "--dry-run", "--json").document for cell in run["cells"]]
    assert planned == [record["id"] for record in cli(*cli.ae, "--json").document]


def test_a_plan_without_a_store_has_nothing_done(work, tmp_path):
    found = pending(Plan(runs=tuple(each.run for each in work)), Settings(out=tmp_path))
    assert [len(each.missing) for each in found] == [1, 1]

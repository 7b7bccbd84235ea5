from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.cli import display
from harness.execution import Pending, Settings, pending
from harness.ledger.runs import Plan
from harness.line.planning import Request, plan
from harness.names import duration

AE = ("run", "--method", "ae", "--data", "digits", "--budget", "smoke", "--evaluators", "knn", "--threads", "1")


@pytest.fixture
def work():
    """Two planned runs of AE with one cell each, nothing of them done."""
    from harness.api import installed

    request = Request(method="ae", data="digits", seeds=(0, 1), evaluators=("knn",), budget="smoke", references=False)
    return [Pending(run=run, missing=list(run.cells), done={}) for run in plan(request, installed()[1]).runs]


def record_of(run, **changes):
    metric = SimpleNamespace(name="accuracy", value=97.5, unit="%")
    cell = SimpleNamespace(
        method=run.identity.method, seed=run.identity.seed, evaluator=run.cells[0].evaluator, feature=run.cells[0].feature
    )
    return SimpleNamespace(**({"identity": cell, "status": "ok", "error": None, "primary": metric, "metrics": (metric,)} | changes))


# ------------------------------------------------------------------------------------------------- before a run


def test_nothing_is_announced_where_all_is_done(work, capsys):
    done = [Pending(run=each.run, missing=[], done={}) for each in work]
    display.announce(done, Settings())
    assert capsys.readouterr() == ("", "")


def test_the_announcement_counts_runs_and_cells_and_goes_to_stderr(work, tmp_path, capsys):
    display.announce(work, Settings(out=tmp_path))
    assert capsys.readouterr() == ("", "2 runs, 2 cells to compute. ae: 1 epoch, budget smoke.\n")


def test_the_time_is_estimated_from_earlier_runs(cli, runs):
    answer = cli(*AE, "--seed", "7")
    assert "about 1 s by what earlier runs took" in answer.err.splitlines()[0]


def test_runs_of_another_budget_say_nothing_of_the_time(cli, runs):
    assert "earlier runs" not in cli(*AE, "--seed", "7", "--no-references", "--budget", "fast").err


def test_a_stop_rule_is_said(cli):
    answer = cli(*AE, "-o", "train.patience=5", "--no-references", "--dry-run")
    assert "at most 1 epoch, stopping after 5 without a better loss" in answer.out


def test_a_dry_run_in_json_has_runs_with_their_cells(cli, runs):
    answer = cli(*AE, "--dry-run", "--json")
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
    assert list(display._titles(work).values()) == ["ae on digits, seed 0", "ae on digits, seed 1"]


def test_the_cells_of_a_dry_run_have_the_ids_of_the_records(cli, runs):
    planned = [cell["id"] for run in cli(*AE, "--dry-run", "--json").document for cell in run["cells"]]
    assert planned == [record["id"] for record in cli(*AE, "--json").document]


# ------------------------------------------------------------------------------------------------- during a run


def test_without_a_terminal_progress_is_plain_lines(work, capsys):
    lines = display._Lines(work)
    lines.harness_run_started(run=work[0].run)
    lines.harness_record_written(run=work[0].run, record=record_of(work[0].run))
    assert capsys.readouterr() == ("", "[1/2] ae on digits, seed 0\n    knn on y: accuracy 97.50 %\n")


def test_plain_lines_tell_of_training_now_and_then(work, capsys, monkeypatch):
    clock = iter([0.0, 0.0, 4.0, 20.0])
    monkeypatch.setattr(display.time, "monotonic", lambda: next(clock))
    lines = display._Lines(work)
    lines.harness_run_started(run=work[0].run)
    capsys.readouterr()
    lines.harness_step_finished(run=work[0].run, step=10, total=1000, terms={"reconstruct/loss": 0.5})
    assert capsys.readouterr().err == ""
    lines.harness_step_finished(run=work[0].run, step=110, total=1000, terms={"reconstruct/loss": 0.25})
    assert capsys.readouterr().err == "    step 110 of at most 1,000: loss 0.25, at most 3 min left\n"


def test_several_loss_terms_keep_their_phases(work):
    assert display._terms({"critic/loss": 1.0, "encoder/loss": 2.0}) == "critic/loss 1, encoder/loss 2"


def test_a_failed_cell_is_told_with_its_reason(work, capsys):
    error = SimpleNamespace(message="Out of memory.")
    lines = display._Lines(work)
    lines.harness_record_written(run=work[0].run, record=record_of(work[0].run, status="failed", error=error))
    assert capsys.readouterr().err == "    ae seed 0, knn on y: failed: Out of memory.\n"


def test_on_a_terminal_progress_is_drawn_with_the_time_left(cli, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stderr = sys.stderr
    monkeypatch.setattr(type(stderr), "isatty", lambda stream: stream is stderr)
    answer = cli(*AE, "--no-references")
    assert answer.code == 0
    assert "left" in answer.err
    assert "ae on digits, seed 0" in answer.err
    assert "\x1b" not in answer.out


def test_the_live_display_counts_cells_and_steps(work):
    live = display._Live(work)
    live.harness_run_started(run=work[0].run)
    live.harness_step_finished(run=work[0].run, step=30, total=60, terms={"reconstruct/loss": 0.5})
    cells, steps = live._bars.tasks
    assert (cells.completed, cells.total, cells.fields["terms"]) == (0, 2, "ae on digits, seed 0")
    assert (steps.completed, steps.total, steps.fields["terms"]) == (30, 60, "loss 0.5")
    live.harness_record_written(run=work[0].run, record=record_of(work[0].run))
    (cells,) = live._bars.tasks
    assert cells.completed == 1


def test_the_display_is_no_observer_after_the_run(cli, runs, work):
    from harness.api import installed

    plugins = installed()[0]
    for _ in range(2):  # a second registration of the same name would be refused
        with display.progress(plugins, work):
            pass


# -------------------------------------------------------------------------------------------------- after a run


def rows(answer):
    """The methods of the table's rows with the rest of each."""
    return {name: rest.split() for name, rest in re.findall(r"^ *([\w-]+) +(\d+\.\d\d .*)$", answer.out, re.MULTILINE)}


def test_the_table_has_our_row_and_the_reference_rows(cli, runs):
    answer = cli(*AE)
    assert set(rows(answer)) == {"ae", "random", "raw", "majority"}
    assert rows(answer)["majority"][-1] == "reference"


def test_the_table_has_only_columns_that_are_used(cli, runs):
    answer = cli(*AE)
    assert "published" not in answer.out
    assert "within" not in answer.out


def test_the_table_fits_a_narrow_terminal(cli, runs):
    assert max(map(len, cli(*AE).out.partition("cells computed")[0].splitlines())) <= 80


def test_the_table_shows_mean_and_number_of_seeds(cli, runs):
    from harness.ledger.stores import FolderStore

    (record,) = FolderStore(runs / "records").attempts_of("digits", "ae")
    assert rows(cli(*AE))["ae"] == [f"{record.metrics[0].value:.2f}", "1"]


def test_several_seeds_show_their_spread(cli, runs):
    assert rows(cli(*AE, "--seeds", "2", "--no-references"))["ae"][1:2] == ["±"]


def test_too_few_seeds_are_pointed_out(cli, runs):
    assert "Fewer than 3 seeds are shown and not ranked" in cli(*AE).out


def test_a_failed_seed_is_counted_in_the_table(cli):
    assert "1 failed" in cli(*AE, "--no-references", "-o", "objective.lr=1e30").out


def test_where_the_results_are_is_said(cli, runs):
    assert "0 cells computed, 4 found. Records: runs/records. Run folders: runs." in cli(*AE).out


def test_cells_are_shown_in_the_order_in_which_they_were_asked_for(cli, runs):
    out = cli(*AE, "--evaluators", "svm,knn", "--no-references").out
    assert out.index("svm on y") < out.index("knn on y")


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (120, "2 min"), (5400, "1.5 h"), (36000, "10.0 h")])
def test_times_are_said_in_the_unit_that_fits(seconds, words):
    assert duration(seconds) == words


def test_a_plan_without_a_store_has_nothing_done(work, tmp_path):
    found = pending(Plan(runs=tuple(each.run for each in work)), Settings(out=tmp_path))
    assert [len(each.missing) for each in found] == [1, 1]


def test_plain_lines_tell_of_a_long_evaluation(work, capsys, monkeypatch):
    clock = iter([0.0, 0.0, 4.0, 20.0])
    monkeypatch.setattr(display.time, "monotonic", lambda: next(clock))
    lines = display._Lines(work)
    for done in (0, 20, 100):
        lines.harness_evaluation_advanced(run=work[0].run, evaluator="mlp", feature="y", done=done, total=400, unit="epochs")
    assert capsys.readouterr().err == "    mlp on y: 100 of at most 400 epochs, at most 60 s left\n"


def test_a_bar_tells_of_a_long_evaluation_until_its_record_is_written(work):
    live = display._Live(work)
    live.harness_evaluation_advanced(run=work[0].run, evaluator="mlp", feature="y", done=5, total=400, unit="epochs")
    live.harness_evaluation_advanced(run=work[0].run, evaluator="mlp", feature="y", done=9, total=400, unit="epochs")
    (bar,) = (task for task in live._bars.tasks if task.description == "epochs")
    assert (bar.completed, bar.total, bar.fields["terms"]) == (9, 400, "mlp on y")
    live.harness_record_written(run=work[0].run, record=SimpleNamespace(status="ok"))
    assert [task.description for task in live._bars.tasks] == ["cells"]


def test_plain_lines_tell_of_a_long_preparation(work, capsys, monkeypatch):
    clock = iter([0.0, 0.0, 4.0, 20.0])
    monkeypatch.setattr(display.time, "monotonic", lambda: next(clock))
    lines = display._Lines(work)
    lines.harness_preparation_advanced(data="atari:pong", done=0, total=1000, unit="frames")
    assert capsys.readouterr().err == "    atari:pong: 1,000 frames to prepare\n"
    lines.harness_preparation_advanced(data="atari:pong", done=50, total=1000, unit="frames")
    assert capsys.readouterr().err == ""
    lines.harness_preparation_advanced(data="atari:pong", done=100, total=1000, unit="frames")
    assert capsys.readouterr().err == "    atari:pong: 100 of 1,000 frames, about 3 min left\n"

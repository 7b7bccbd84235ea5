from __future__ import annotations

import sys
from types import SimpleNamespace

from harness.cli import progress


def record_of(run, **changes):
    metric = SimpleNamespace(name="accuracy", value=97.5, unit="%")
    cell = SimpleNamespace(
        method=run.identity.method, seed=run.identity.seed, evaluator=run.cells[0].evaluator, feature=run.cells[0].feature
    )
    return SimpleNamespace(**({"identity": cell, "status": "ok", "error": None, "primary": metric, "metrics": (metric,)} | changes))


def test_without_a_terminal_progress_is_plain_lines(work, capsys):
    lines = progress._Lines(work)
    lines.harness_run_started(run=work[0].run)
    lines.harness_record_written(run=work[0].run, record=record_of(work[0].run))
    assert capsys.readouterr() == ("", "[1/2] ae on digits, seed 0\n    knn on y: accuracy 97.50 %\n")


def test_plain_lines_tell_of_training_now_and_then(work, capsys, monkeypatch):
    clock = iter([0.0, 0.0, 4.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    lines = progress._Lines(work)
    lines.harness_run_started(run=work[0].run)
    capsys.readouterr()
    lines.harness_step_finished(run=work[0].run, step=10, total=1000, terms={"reconstruct/loss": 0.5})
    assert capsys.readouterr().err == ""
    lines.harness_step_finished(run=work[0].run, step=110, total=1000, terms={"reconstruct/loss": 0.25})
    assert capsys.readouterr().err == "    step 110 of at most 1,000: loss 0.25, at most 3 min left\n"


def test_several_loss_terms_keep_their_phases(work):
    assert progress._terms({"critic/loss": 1.0, "encoder/loss": 2.0}) == "critic/loss 1, encoder/loss 2"


def test_a_failed_cell_is_told_with_its_reason(work, capsys):
    error = SimpleNamespace(message="Out of memory.")
    lines = progress._Lines(work)
    lines.harness_record_written(run=work[0].run, record=record_of(work[0].run, status="failed", error=error))
    assert capsys.readouterr().err == "    ae seed 0, knn on y: failed: Out of memory.\n"


def test_on_a_terminal_progress_is_drawn_with_the_time_left(cli, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stderr = sys.stderr
    monkeypatch.setattr(type(stderr), "isatty", lambda stream: stream is stderr)
    answer = cli(*cli.ae, "--no-references")
    assert answer.code == 0
    assert "left" in answer.err
    assert "ae on digits, seed 0" in answer.err
    assert "\x1b" not in answer.out


def test_nothing_is_drawn_where_nothing_is_left_to_compute(cli, runs, monkeypatch):
    monkeypatch.setattr(progress, "_Lines", None)
    assert cli(*cli.ae).code == 0


def test_a_bar_tells_of_a_preparation_alone_until_it_is_done():
    live = progress._Live([])
    live.harness_preparation_advanced(data="atari:pong", done=10, total=1000, unit="frames")
    (bar,) = (task for task in live._bars.tasks if task.visible)
    assert (bar.completed, bar.total, bar.description, bar.fields["terms"]) == (10, 1000, "frames", "atari:pong")
    live.harness_preparation_advanced(data="atari:pong", done=1000, total=1000, unit="frames")
    assert not any(task.visible for task in live._bars.tasks)


def test_the_live_display_counts_cells_and_steps(work):
    live = progress._Live(work)
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
        with progress.progress(plugins, work):
            pass


def test_plain_lines_tell_of_a_long_evaluation(work, capsys, monkeypatch):
    clock = iter([0.0, 0.0, 4.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    lines = progress._Lines(work)
    for done in (0, 20, 100):
        lines.harness_evaluation_advanced(run=work[0].run, evaluator="mlp", feature="y", done=done, total=400, unit="epochs")
    assert capsys.readouterr().err == "    mlp on y: 100 of at most 400 epochs, at most 60 s left\n"


def test_a_bar_tells_of_a_long_evaluation_until_its_record_is_written(work):
    live = progress._Live(work)
    live.harness_evaluation_advanced(run=work[0].run, evaluator="mlp", feature="y", done=5, total=400, unit="epochs")
    live.harness_evaluation_advanced(run=work[0].run, evaluator="mlp", feature="y", done=9, total=400, unit="epochs")
    (bar,) = (task for task in live._bars.tasks if task.description == "epochs")
    assert (bar.completed, bar.total, bar.fields["terms"]) == (9, 400, "mlp on y")
    live.harness_record_written(run=work[0].run, record=SimpleNamespace(status="ok"))
    assert [task.description for task in live._bars.tasks] == ["cells"]


def test_plain_lines_tell_of_a_long_preparation(work, capsys, monkeypatch):
    clock = iter([0.0, 0.0, 4.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    lines = progress._Lines(work)
    lines.harness_preparation_advanced(data="atari:pong", done=0, total=1000, unit="frames")
    assert capsys.readouterr().err == "    atari:pong: 1,000 frames to prepare\n"
    lines.harness_preparation_advanced(data="atari:pong", done=50, total=1000, unit="frames")
    assert capsys.readouterr().err == ""
    lines.harness_preparation_advanced(data="atari:pong", done=100, total=1000, unit="frames")
    assert capsys.readouterr().err == "    atari:pong: 100 of 1,000 frames, about 3 min left\n"

"""What the command line shows during a run: how far it is, as bars on a terminal and as plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from harness.cli.plans import titles
from harness.contracts.hookspecs import hookimpl
from harness.execution import Pending
from harness.ledger.records import Record
from harness.ledger.runs import PlannedRun
from harness.names import after_number, duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from harness.catalog.discovery import Plugins

_LINE_EVERY_S = 10.0
"""How often a plain line tells how training goes, where there is no terminal."""


@contextmanager
def progress(plugins: Plugins, work: Sequence[Pending] = ()) -> Iterator[None]:
    """Show how far the missing cells are, and the preparation of data, while the block runs; nothing where all cells are there."""
    missing = [each for each in work if each.missing]
    if work and not missing:
        yield
        return
    display: _Live | _Lines = _Live(missing) if sys.stderr.isatty() else _Lines(missing)
    plugins.register_observer(display, "progress display")
    try:
        with display:
            yield
    finally:
        plugins.unregister_observer(display)


class _Lines:
    """Progress as plain lines on stderr."""

    def __init__(self, work: Sequence[Pending]) -> None:
        self._runs, self._begun, self._titles = len(work), 0, titles(work)
        self._started = self._last = time.monotonic()
        self._first_step = 0
        self._counting: tuple[str, int] | None = None
        """What is counted beside steps, and up to what number."""

    def __enter__(self) -> None: ...

    def __exit__(self, *exception: object) -> None: ...

    @hookimpl
    def harness_preparation_advanced(self, data: str, done: int, total: int, unit: str) -> None:
        if self._counting != (data, total):
            click.echo(f"    {data}: {total:,} {unit} to prepare", err=True)
        self._count(data, done, total, unit, "of", "about")

    @hookimpl
    def harness_run_started(self, run: PlannedRun) -> None:
        self._begun += 1
        self._started = self._last = time.monotonic()
        self._first_step = -1
        click.echo(f"[{self._begun}/{self._runs}] {self._titles[run.identity.sha256]}", err=True)

    @hookimpl
    def harness_step_finished(self, run: PlannedRun, step: int, total: int | None, terms: Mapping[str, float]) -> None:
        now = time.monotonic()
        if self._first_step < 0:
            self._first_step = step
        if now - self._last < _LINE_EVERY_S:
            return
        self._last = now
        left = ""
        if total and step > self._first_step:
            left = f", at most {duration((now - self._started) / (step - self._first_step) * (total - step))} left"
        click.echo(f"    step {step:,}{f' of at most {total:,}' if total else ''}: {_terms(terms)}{left}", err=True)

    @hookimpl
    def harness_evaluation_advanced(self, run: PlannedRun, evaluator: str, feature: str, done: int, total: int, unit: str) -> None:
        self._count(f"{evaluator} on {feature}", done, total, unit, "of at most", "at most")

    @hookimpl
    def harness_record_written(self, run: PlannedRun, record: Record) -> None:
        self._counting = None
        click.echo(f"    {_outcome(record)}", err=True)

    def _count(self, what: str, done: int, total: int, unit: str, of: str, about: str) -> None:
        """A line now and then on what is counted; the clock starts with what is counted first."""
        now = time.monotonic()
        if self._counting != (what, total):
            self._counting, self._started, self._last, self._first_step = (what, total), now, now, done
        if now - self._last < _LINE_EVERY_S or done <= self._first_step:
            return
        self._last = now
        left = duration((now - self._started) / (done - self._first_step) * (total - done))
        click.echo(f"    {what}: {done:,} {of} {total:,} {unit}, {about} {left} left", err=True)


class _Live:
    """Progress as bars with the time left, on a terminal."""

    def __init__(self, work: Sequence[Pending]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._bars: Progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[terms]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._titles = titles(work)
        cells = sum(len(each.missing) for each in work)
        self._cells: TaskID = self._bars.add_task("cells", total=cells, terms="", visible=cells > 0)
        self._steps: TaskID | None = None
        self._preparation: TaskID | None = None
        self._evaluation: TaskID | None = None

    def __enter__(self) -> None:
        self._bars.start()

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    @hookimpl
    def harness_preparation_advanced(self, data: str, done: int, total: int, unit: str) -> None:
        if self._preparation is None:
            self._preparation = self._bars.add_task(unit, total=total, completed=done, terms=data)
        self._bars.update(self._preparation, completed=done, total=total, terms=data)
        if done >= total:
            self._bars.remove_task(self._preparation)
            self._preparation = None

    @hookimpl
    def harness_run_started(self, run: PlannedRun) -> None:
        self._drop_steps()
        self._bars.update(self._cells, terms=self._titles[run.identity.sha256])

    @hookimpl
    def harness_step_finished(self, run: PlannedRun, step: int, total: int | None, terms: Mapping[str, float]) -> None:
        if self._steps is None:
            self._steps = self._bars.add_task("steps", total=total, completed=step, terms="")
        self._bars.update(self._steps, completed=step, total=total, terms=_terms(terms))

    @hookimpl
    def harness_evaluation_advanced(self, run: PlannedRun, evaluator: str, feature: str, done: int, total: int, unit: str) -> None:
        self._drop_steps()
        if self._evaluation is None:
            self._evaluation = self._bars.add_task(unit, total=total, completed=done, terms=f"{evaluator} on {feature}")
        self._bars.update(self._evaluation, completed=done, total=total)

    @hookimpl
    def harness_record_written(self, run: PlannedRun, record: Record) -> None:
        self._drop_steps()
        if self._evaluation is not None:
            self._bars.remove_task(self._evaluation)
            self._evaluation = None
        self._bars.advance(self._cells)
        if record.status != "ok":
            self._bars.console.print(_outcome(record), markup=False)

    def _drop_steps(self) -> None:
        if self._steps is not None:
            self._bars.remove_task(self._steps)
            self._steps = None


def _terms(terms: Mapping[str, float]) -> str:
    return ", ".join(f"{name.rpartition('/')[2] if len(terms) == 1 else name} {value:.4g}" for name, value in terms.items())


def _outcome(record: Record) -> str:
    identity = record.identity
    cell = f"{identity.evaluator.name} on {identity.feature}"
    if record.error is not None:
        return f"{identity.method.name} seed {identity.seed}, {cell}: {record.status}: {record.error.message}"
    metric = record.primary or record.metrics[0]
    return f"{cell}: {metric.name} {metric.value:.2f}{after_number(metric.unit)}"

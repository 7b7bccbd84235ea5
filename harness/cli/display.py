"""What the command line shows before and during a run: what is planned, and how far it is."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec

from harness.cli.printing import count, pairs, print_json
from harness.contracts.hookspecs import hookimpl
from harness.execution import Pending, Settings
from harness.ledger.records import Record
from harness.ledger.runs import PlannedRun
from harness.names import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from harness.catalog.discovery import Plugins

_LOG = logging.getLogger(__name__)

_LINE_EVERY_S = 10.0
"""How often a plain line tells how training goes, where there is no terminal."""


# ------------------------------------------------------------------------------------------------ before a run


def show_plan(work: Sequence[Pending], *, as_json: bool) -> None:
    """What a dry run prints."""
    if as_json:
        document = [
            {
                "run": each.run.identity.sha256,
                "method": each.run.identity.method.name,
                "data": each.run.identity.data.name,
                "seed": each.run.identity.seed,
                "reference": each.run.reference,
                "folder": str(each.run.folder),
                "cells": [
                    {
                        "id": each.run.cell_identity(cell).sha256,
                        "evaluator": cell.evaluator.name,
                        "feature": cell.feature,
                        "done": each.run.cell_identity(cell).sha256 in each.done,
                    }
                    for cell in each.run.cells
                ],
            }
            for each in work
        ]
        print_json(document)
        return
    titles = _titles(work)
    for each in work:
        cells = ", ".join(
            f"{cell.evaluator.name} on {cell.feature}{'' if cell in each.missing else ' (recorded)'}" for cell in each.run.cells
        )
        mark = "  [reference]" if each.run.reference else ""
        click.echo(f"{titles[each.run.identity.sha256]}{mark}: {_length(each.run)}; {cells}")
    missing = sum(len(each.missing) for each in work)
    click.echo(f"{missing} of {sum(len(each.run.cells) for each in work)} cells would be computed.")


def announce(work: Sequence[Pending], settings: Settings) -> None:
    """Say, before anything is computed, how much there is to do and about how long it takes."""
    missing = [each for each in work if each.missing]
    if not missing:
        return
    compared = [each for each in missing if not each.run.reference] or missing
    first = compared[0].run
    cells = sum(len(each.missing) for each in missing)
    click.echo(
        f"{count(len(missing), 'run')}, {count(cells, 'cell')} to compute. {first.identity.method.name}: {_length(first)}, "
        f"budget {first.budget}{_estimate(compared, settings)}.",
        err=True,
    )


def _titles(work: Sequence[Pending]) -> dict[str, str]:
    """The names of runs by their ids; runs of one name have the options after it in which they differ."""
    alike: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for each in work:
        alike[each.run.name][each.run.identity.sha256] = _choices(each.run)
    titles = {}
    for name, runs in alike.items():
        keys = dict.fromkeys(key for choices in runs.values() for key in choices)
        telling = [key for key in keys if len({repr(choices.get(key)) for choices in runs.values()}) > 1]
        for sha256, choices in runs.items():
            own = pairs({key: choices[key] for key in telling if key in choices})
            titles[sha256] = f"{name} ({own})" if own else name
    return titles


def _choices(run: PlannedRun) -> dict[str, Any]:
    """What was chosen for a run: {"encoder": "gcn", "objective.lr": 1e-3, "train.epochs": 20, ...}."""
    identity = run.identity
    parts: dict[str, Mapping[str, Any]] = {
        "data": identity.data.options,
        "encoder": identity.encoder.options,
        "objective": identity.objective.options,
        "train": msgspec.structs.asdict(identity.training),
    }
    options = {f"{part}.{key}": value for part, values in parts.items() for key, value in values.items()}
    return {"protocol": identity.protocol.id, "encoder": identity.encoder.name, **options}


def _length(run: PlannedRun) -> str:
    training = run.identity.training
    if training.epochs is None:
        return "no training"
    stop = f", stopping after {training.patience} without a better loss" if training.patience is not None else ""
    length = count(training.epochs, "epoch")
    return f"at most {length}{stop}" if stop else length


def _estimate(work: Sequence[Pending], settings: Settings) -> str:
    """Seconds that records of the same method on the same data took, if there are any in the store."""
    run = work[0].run
    seconds = [
        record.time_s.train
        for record in settings.records.attempts_of(run.identity.data.name, run.identity.method.name)
        if record.budget == run.budget and record.time_s.train > 0
    ]
    if not seconds:
        return ""
    typical = sorted(seconds)[len(seconds) // 2]
    return f", about {duration(typical * len(work))} by what earlier runs took"


# ------------------------------------------------------------------------------------------------ during a run


@contextmanager
def progress(plugins: Plugins, work: Sequence[Pending]) -> Iterator[None]:
    """Show how far the missing cells are while the block runs: a live display on a terminal, plain lines elsewhere."""
    missing = [each for each in work if each.missing]
    if not missing:
        yield
        return
    import sys

    display: _Live | _Lines = _Live(missing) if sys.stderr.isatty() else _Lines(missing)
    plugins.register_observer(display, "progress display")
    try:
        with display:
            yield
    finally:
        plugins.unregister_observer(display)


@contextmanager
def preparation(plugins: Plugins) -> Iterator[None]:
    """Show how far the preparation of data sets is while the block runs."""
    display = _Lines([])
    plugins.register_observer(display, "progress display")
    try:
        yield
    finally:
        plugins.unregister_observer(display)


class _Lines:
    """Progress as plain lines on stderr."""

    def __init__(self, work: Sequence[Pending]) -> None:
        self._runs, self._begun, self._titles = len(work), 0, _titles(work)
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
        self._titles = _titles(work)
        self._cells: TaskID = self._bars.add_task("cells", total=sum(len(each.missing) for each in work), terms="")
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
    return f"{cell}: {metric.name} {metric.value:.2f} {metric.unit}"

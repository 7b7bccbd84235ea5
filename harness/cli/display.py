"""What the command line shows: what is planned, how far it is, and what came out."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec

from harness.cli.printing import print_json
from harness.contracts.hookspecs import hookimpl
from harness.execution import Outcome, Pending, Settings
from harness.leaderboard.board import SEEDS_TO_RANK
from harness.ledger.records import Record
from harness.ledger.runs import Plan, PlannedRun

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from harness.catalog.catalog import Catalog
    from harness.catalog.discovery import Plugins
    from harness.leaderboard.tables import Published, Row, Table

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
        f"{_count(len(missing), 'run')}, {_count(cells, 'cell')} to compute. {first.identity.method.name}: {_length(first)}, "
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
            own = _pairs({key: choices[key] for key in telling if key in choices})
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
    length = _count(training.epochs, "epoch")
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
    return f", about {_duration(typical * len(work))} by what earlier runs took"


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


class _Lines:
    """Progress as plain lines on stderr."""

    def __init__(self, work: Sequence[Pending]) -> None:
        self._runs, self._begun, self._titles = len(work), 0, _titles(work)
        self._started = self._last = time.monotonic()
        self._first_step = 0

    def __enter__(self) -> None: ...

    def __exit__(self, *exception: object) -> None: ...

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
            left = f", at most {_duration((now - self._started) / (step - self._first_step) * (total - step))} left"
        click.echo(f"    step {step:,}{f' of at most {total:,}' if total else ''}: {_terms(terms)}{left}", err=True)

    @hookimpl
    def harness_record_written(self, run: PlannedRun, record: Record) -> None:
        click.echo(f"    {_outcome(record)}", err=True)


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

    def __enter__(self) -> None:
        self._bars.start()

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

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
    def harness_record_written(self, run: PlannedRun, record: Record) -> None:
        self._drop_steps()
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


# ------------------------------------------------------------------------------------------------- after a run


def show_results(outcome: Outcome, plan: Plan, catalog: Catalog, settings: Settings) -> None:
    """The results of a request as tables: ours, the reference rows, and what was published."""
    from rich.console import Console

    from harness.leaderboard.board import build_board

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=132)
    tables = [
        table for table in build_board(outcome.records, catalog.published()).tables if table.metric is None or table.metric.primary
    ]
    planned = list(dict.fromkeys((cell.feature, cell.evaluator.name) for _, cell in plan.cells))
    rows = {table.id: _rows(table) for table in tables}
    widths = [max(map(len, texts)) for texts in zip(*(texts for lines in rows.values() for texts, _ in lines), strict=True)]
    for data in dict.fromkeys(table.data.name for table in tables):
        shown = [table for table in tables if table.data.name == data]
        shown.sort(key=lambda table: _place(planned, (table.feature, table.evaluator.name)))
        several = len({repr(sorted(table.data.options.items())) for table in shown}) > 1
        for table in shown:
            console.print(_grid(_measured(table, with_options=several), rows[table.id], widths))
    for record in outcome.records:
        if record.error is not None:
            click.echo(f"{record.status}: {plan_name(record)}: {record.error.message}", err=True)
            if record.error.traceback:
                _LOG.info(record.error.traceback)
    done = len(outcome.records) - outcome.computed
    computed = _count(outcome.computed, "cell")
    click.echo(f"{computed} computed, {done} found. Records: {settings.records.folder}. Run folders: {settings.out}.")
    if any(not row.reference and row.seeds < SEEDS_TO_RANK for table in tables for row in table.rows):
        click.echo(f"Fewer than {SEEDS_TO_RANK} seeds are shown and not ranked on a leaderboard; more come with --seeds 5.")


def plan_name(record: Record) -> str:
    """The cell of a record in words."""
    identity = record.identity
    return f"{identity.method.name} on {identity.data.name}, seed {identity.seed}, {identity.evaluator.name} on {identity.feature}"


_COLUMNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("method", {}),
    ("mean ± encoders", {"justify": "right", "no_wrap": True}),
    ("seeds", {"justify": "right", "no_wrap": True}),
    ("± within", {"justify": "right", "no_wrap": True}),
    ("published", {"justify": "right", "no_wrap": True}),
    ("", {"style": "dim"}),
)
_LONGEST = 40
"""A longer name is broken on a narrow terminal."""


def _rows(table: Table) -> list[tuple[list[str], str | None]]:
    """The lines of a table with their style: measured rows, then numbers that are published only, the best first."""
    from rich.markup import escape

    lines: list[tuple[list[str], str | None]] = [(_row(row), "dim" if row.reference else None) for row in table.rows]
    for number in table.published_only:
        lines.append(([escape(number.method), "", "", "", _published(number), "published only"], "dim"))
    return lines


def _grid(title: str, rows: Sequence[tuple[list[str], str | None]], widths: Sequence[int]) -> Any:
    """One table of the board with the columns that are used in any; they have the same width in all.

    :param widths: of each column, that of its longest text in any table; 0 where all are empty.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table as RichTable

    grid = RichTable(
        box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, title=escape(title), title_justify="left", title_style="bold"
    )
    for (heading, form), width in zip(_COLUMNS, widths, strict=True):
        if width:
            grid.add_column(heading, min_width=min(width, _LONGEST), **form)
    for texts, style in rows:
        grid.add_row(*(text for text, width in zip(texts, widths, strict=True) if width), style=style)
    return grid


def _measured(table: Table, *, with_options: bool) -> str:
    metric = "" if table.metric is None else f", {table.metric.name.replace('_', ' ')} {table.metric.unit}"
    options = f" ({_pairs(table.data.options)})" if with_options else ""
    return f"{table.data.name}: {table.evaluator.name} on {table.feature}{metric}{options}"


def _pairs(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.rpartition('.')[2]}={msgspec.json.encode(value).decode()}" for key, value in options.items())


def _place(planned: Sequence[tuple[str, str]], key: tuple[str, str]) -> int:
    return planned.index(key) if key in planned else len(planned)


def _row(row: Row) -> list[str]:
    from rich.markup import escape

    published = row.published[0] if row.published else None
    marks = [
        mark
        for mark, holds in (
            ("reference", row.reference),
            ("supervised", row.supervised),
            ("unpinned data", row.trusted_first),
        )
        if holds
    ]
    failed = sum(count for status, count in row.statuses.items() if status != "ok")
    if failed:
        marks.append(f"{failed} failed")
    name = f"{row.method} ({_pairs(row.variant)})" if row.variant else row.method
    return [
        escape(name),
        "" if row.mean is None else _spread(round(row.mean, 2), None if row.sd is None else round(row.sd, 2)),
        str(row.seeds),
        ", ".join(f"{within.std:.2f} {within.over}" for within in row.within),
        _published(published) if published else "",
        ", ".join(marks),
    ]


def _published(number: Published) -> str:
    distance = "" if number.distance == "same" else f" ({number.distance})"
    return _spread(number.value, number.std) + distance


def _spread(value: float, std: float | None) -> str:
    return f"{value:.2f}" if std is None else f"{value:.2f} ± {std:.2f}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"

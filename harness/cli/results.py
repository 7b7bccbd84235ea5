"""What the command line shows after a run: its results as tables."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.cli.printing import count, pairs
from harness.execution import Outcome, Settings
from harness.leaderboard.board import SEEDS_TO_RANK
from harness.ledger.records import Record
from harness.ledger.runs import Plan
from harness.names import after_number

if TYPE_CHECKING:
    from harness.catalog.catalog import Catalog
    from harness.leaderboard.tables import Published, Row, Table

_LOG = logging.getLogger(__name__)


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
        for alike in _taken_apart(shown):
            title = _measured(alike[0], with_options=several)
            if len(alike) == 1:
                console.print(_grid(title, rows[alike[0].id], widths))
            else:
                console.print(_matrix(title, alike))
    for record in outcome.records:
        if record.error is not None:
            click.echo(f"{record.status}: {plan_name(record)}: {record.error.message}", err=True)
            if record.error.traceback:
                _LOG.info(record.error.traceback)
    done = len(outcome.records) - outcome.computed
    computed = count(outcome.computed, "cell")
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
    from rich.table import Table as RichTable

    grid = RichTable(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for (heading, form), width in zip(_COLUMNS, widths, strict=True):
        if width:
            grid.add_column(heading, min_width=min(width, _LONGEST), **form)
    for texts, style in rows:
        grid.add_row(*(text for text, width in zip(texts, widths, strict=True) if width), style=style)
    return _titled(title, grid)


def _taken_apart(tables: Sequence[Table]) -> list[list[Table]]:
    """The tables, those of one metric of one cell together that only differ in what the number is of."""
    groups: dict[tuple[Any, ...], list[Table]] = {}
    for table in tables:
        metric = table.metric
        apart = [metric.name, metric.split] if metric is not None and metric.of else [table.id]
        groups.setdefault((repr(table.data), repr(table.evaluator), table.feature, *apart), []).append(table)
    return list(groups.values())


def _matrix(title: str, tables: Sequence[Table]) -> Any:
    """Tables of one metric as one: a line for each thing that the number is of, a column for each row of theirs."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table as RichTable

    methods = {row.id: _row(row)[0] for table in tables for row in table.rows}
    keys = list(dict.fromkeys(key for table in tables if table.metric for key in table.metric.of))
    grid = RichTable(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for key in keys:
        grid.add_column(escape(key))
    for name in methods.values():
        grid.add_column(name, justify="right")
    for table in tables:
        assert table.metric is not None  # only tables of a metric are taken apart
        values = {row.id: _row(row)[1] for row in table.rows}
        grid.add_row(*(escape(str(table.metric.of.get(key, ""))) for key in keys), *(values.get(row, "") for row in methods))
    return _titled(title, grid)


def _titled(title: str, grid: Any) -> Any:
    """A grid below its title, which is not broken where the grid is narrow."""
    from rich.console import Group
    from rich.text import Text

    return Group(Text(title, style="bold"), grid)


def _measured(table: Table, *, with_options: bool) -> str:
    metric = "" if table.metric is None else f", {table.metric.name.replace('_', ' ')}{after_number(table.metric.unit)}"
    options = f" ({pairs(table.data.options)})" if with_options else ""
    return f"{table.data.name}: {table.evaluator.name} on {table.feature}{metric}{options}"


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
    name = f"{row.method} ({pairs(row.variant)})" if row.variant else row.method
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

"""Many numbers at a glance: the metrics of an evaluator, the evaluators of a data set, the data sets of a family."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from harness.leaderboard.footnotes import Footnotes, published_text
from harness.leaderboard.numbers import decimals_of, enough_decimals, mean_sd, number_text
from harness.leaderboard.tables import Family, FamilyRow, Member, Row, Table
from harness.leaderboard.texts import CellText, FamilyText, Matrix
from harness.leaderboard.words import (
    arrow,
    evaluator_text,
    labels_of,
    metric_title,
    options_text,
    seeds_text,
    told_apart,
    training_time,
    value_text,
)

MOST_COLUMNS = 12
"""Of a matrix of one metric of several things; with more, each is a line."""


def other_metrics(tables: Sequence[Table], headline: Table, sources: Footnotes) -> tuple[Matrix, ...]:
    """All other metrics of one evaluator on one feature: those of several things one matrix each, what is left in one for all."""
    by_metric: dict[tuple[Any, ...], list[Table]] = defaultdict(list)
    for table in tables:
        metric = table.metric
        by_metric[(metric.name, metric.split, metric.unit) if metric is not None and metric.of else ()].append(table)
    plain = by_metric.pop((), [])
    matrices = []
    for group in by_metric.values():
        pivoted = _pivot(group, sources)
        if pivoted is None:
            plain += group
        else:
            matrices.append(pivoted)
    return (*matrices, *([_by_metric(plain, headline, sources)] if plain else []))


def _pivot(tables: Sequence[Table], sources: Footnotes) -> Matrix | None:
    """One metric of several things: a column for each value of one of them, a line for each row and the others; None if too wide.

    The thing that is a number becomes the columns, of several such the last.
    """
    things = [table.metric.of for table in tables if table.metric]
    keys = list(dict.fromkeys(key for of in things for key in of))
    across = next((key for key in reversed(keys) if all(isinstance(of.get(key), int | float) for of in things)), keys[-1])
    columns = list(dict.fromkeys(of.get(across) for of in things))
    if len(columns) > MOST_COLUMNS:
        return None
    down = [key for key in keys if key != across]
    decimals = min(decimals_of(table) for table in tables)
    rows = {row.id: row for table in tables for row in table.rows if row.mean is not None}
    cells: dict[tuple[str, ...], dict[Any, CellText]] = defaultdict(dict)
    for label, row_id in sorted(zip(labels_of(rows.values()), rows, strict=True)):
        for table in tables:
            here = next((row for row in table.rows if row.id == row_id and row.mean is not None), None)
            if table.metric and here:
                line = (label, *(value_text(table.metric.of.get(key)) for key in down), row_id)
                cells[line][table.metric.of.get(across)] = _matrix_cell(here, decimals, sources)
    lines = [
        (
            ", ".join(line[:-1]),
            (*(found.get(column, CellText()) for column in columns), CellText(training_time(rows[line[-1]]))),
        )
        for line, found in cells.items()
    ]
    return Matrix(
        corner=", ".join(["method", *down]),
        columns=(*(f"{across} {value_text(column)}" for column in columns), "training"),
        rows=tuple(lines),
        title=metric_title(tables[0], whole=True) + arrow(tables[0]),
    )


def _by_metric(tables: Sequence[Table], headline: Table, sources: Footnotes) -> Matrix:
    """A line for each metric, a column for each row of the tables."""
    columns = {row.id: row for row in headline.rows} | {row.id: row for table in tables for row in table.rows}
    lines = []
    for table in tables:
        rows, decimals = {row.id: row for row in table.rows}, decimals_of(table)
        cells = tuple(_matrix_cell(rows.get(column), decimals, sources) for column in columns)
        lines.append((metric_title(table) + arrow(table), cells))
    return Matrix("metric", tuple(labels_of(columns.values())), tuple(lines))


def overview_of(tables: Sequence[Table]) -> Matrix:
    """All headline tables of a data set: a line for each recipe, a column for each table."""
    recipes: dict[str, list[Row]] = defaultdict(list)
    for table in tables:
        for row in table.rows:
            recipes[row.recipe].append(row)
    ordered = sorted(
        recipes.values(), key=lambda rows: (rows[0].reference, rows[0].supervised, rows[0].method, rows[0].encoder, rows[0].recipe)
    )
    lines = []
    for label, rows in zip(labels_of(rows[0] for rows in ordered), ordered, strict=True):
        cells = []
        for table in tables:
            here = [row for row in table.rows if row.recipe == rows[0].recipe]
            cells.append(_matrix_cell(here[0] if here else None, decimals_of(table), None))
        lines.append((label, tuple(cells)))
    apart = told_apart(tables)
    columns = tuple(f"{table.evaluator.name} on {table.feature}{apart[table.id]}: {metric_title(table)}" for table in tables)
    return Matrix("method", columns, tuple(lines))


def _matrix_cell(row: Row | None, decimals: int, sources: Footnotes | None) -> CellText:
    if row is None:
        return CellText()
    failed = ", ".join(f"{count} {status}" for status, count in row.statuses.items() if status != "ok")
    value = f"{mean_sd(row, decimals)} ({seeds_text(row)})" if row.mean is not None else failed
    return CellText(value, tuple(published_text(number, decimals, sources) for number in row.published) if sources else ())


def family_text(family: Family, apart: str, sources: Footnotes) -> FamilyText:
    """A line for each data set of a family and one for their mean, a column for each row.

    :param apart: what tells it from others of the same evaluator, feature and metric.
    """
    decimals = enough_decimals(
        family.metric.unit, [row.mean for row in family.rows] + [number.value for row in family.rows for number in row.published]
    )
    labels = [
        label + (" (published only)" if not row.recipe else "")
        for label, row in zip(labels_of(family.rows), family.rows, strict=True)
    ]
    lines = [(name, tuple(_member(row.members.get(name), decimals, sources) for row in family.rows)) for name in family.data]
    lines.append((f"mean over {len(family.data)}", tuple(_family_mean(row, family, decimals, sources) for row in family.rows)))
    return FamilyText(
        id=family.id,
        title=f"{family.evaluator.name} on {family.feature}{apart}: {metric_title(family)}",
        facts=(
            ("protocol", f"{family.protocol.id}/{family.protocol.version}"),
            ("data", f"{len(family.data)} data sets" + options_text(family.options)),
            ("evaluator", evaluator_text(family.evaluator)),
        ),
        matrix=Matrix("data set", tuple(labels), tuple(lines)),
    )


def _member(member: Member | None, decimals: int, sources: Footnotes) -> CellText:
    if member is None:
        return CellText()
    value = "" if member.mean is None else f"{mean_sd(member, decimals)} ({member.seeds})"
    return CellText(value, tuple(published_text(number, decimals, sources) for number in member.published))


def _family_mean(row: FamilyRow, family: Family, decimals: int, sources: Footnotes) -> CellText:
    members, over = len(family.data), family.published_over
    missing = f", {row.count} of {members}" if row.count < members else ""
    value = "" if row.mean is None else number_text(row.mean, decimals) + missing
    here = row.count or members
    if over is None or over <= here:
        return CellText(value, tuple(published_text(number, decimals, sources) for number in row.published))
    published = [published_text(number, decimals, sources, str(over)) for number in row.published]
    if row.published_here is not None:
        published.insert(0, published_text(row.published_here, decimals, sources, f"the same {here}"))
    return CellText(value, tuple(published))

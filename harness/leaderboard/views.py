"""What the pages say, as text: numbers rounded for reading, notes in words. The templates only arrange it."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from harness.leaderboard.board import SEEDS_TO_RANK
from harness.leaderboard.plots import Plot, plot_of
from harness.leaderboard.tables import Board, Family, FamilyRow, Member, Published, Row, Table
from harness.ledger.identity import canonical_json, sha256_of
from harness.ledger.records import Component
from harness.names import duration, slug

MOST_HEADLINES = 3
"""Tables shown in full for one evaluator and feature; where more metrics ask for it, all stand in one matrix."""

MOST_COLUMNS = 12
"""Of a matrix of one metric of several things; with more, each is a line."""

DISTANCES = {"same": "same protocol", "near": "near protocol", "different": "different protocol"}


@dataclass(frozen=True)
class Source:
    """A footnote: where published numbers come from."""

    number: int
    source: str
    distance: str
    note: str


@dataclass(frozen=True)
class PublishedText:
    """A published number in a cell."""

    value: str
    difference: str
    distance: str
    source: int


@dataclass(frozen=True)
class Note:
    """A remark on a row; `kind` chooses its colour."""

    kind: str
    text: str


@dataclass(frozen=True)
class RowText:
    """A line of a table."""

    kind: str
    rank: str
    method: str
    detail: str
    value: str
    interval: str
    seeds: str
    within: str
    time: str
    published: tuple[PublishedText, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class TableText:
    """A table in full."""

    id: str
    title: str
    direction: str
    facts: tuple[tuple[str, str], ...]
    remark: str
    rows: tuple[RowText, ...]
    published_only: tuple[tuple[str, PublishedText], ...]
    plot: Plot | None


@dataclass(frozen=True)
class CellText:
    """A cell of a matrix; empty where nobody has measured."""

    value: str = ""
    published: tuple[PublishedText, ...] = ()


@dataclass(frozen=True)
class Matrix:
    """Many numbers at a glance."""

    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[CellText, ...]], ...]
    title: str = ""
    """What all the numbers are, where they are one metric's."""


@dataclass(frozen=True)
class Group:
    """One evaluator on one feature: its headline tables and all its other metrics."""

    id: str
    title: str
    facts: tuple[tuple[str, str], ...]
    remark: str
    headlines: tuple[TableText, ...]
    others: tuple[Matrix, ...]


@dataclass(frozen=True)
class FamilyText:
    """One metric over the data sets of a family: a line for each of them and one for their mean, a column for each row."""

    id: str
    title: str
    facts: tuple[tuple[str, str], ...]
    matrix: Matrix


@dataclass(frozen=True)
class DataSection:
    """One data set, or a family of them."""

    id: str
    name: str
    overview: Matrix | None
    groups: tuple[Group, ...]
    families: tuple[FamilyText, ...] = ()


@dataclass(frozen=True)
class Page:
    """All of it."""

    records: int
    seeds_to_rank: int
    sections: tuple[DataSection, ...]
    sources: tuple[Source, ...]


def page_of(board: Board) -> Page:
    """The page of a board."""
    sources = _Sources()
    sections = [
        DataSection(f"family-{slug(prefix)}", f"{prefix}:*", None, (), tuple(_family(family, sources) for family in families))
        for prefix, families in groupby(board.families, key=lambda family: family.prefix)
    ]
    for name, tables in groupby(board.tables, key=lambda table: table.data.name):
        of_data = list(tables)
        headlines: list[Table] = []
        groups = []
        apart = _told_apart(of_data)
        for _, group in groupby(of_data, key=lambda table: canonical_json([*_setting(table), table.feature])):
            of_group = list(group)
            shown = _headlines(of_group)
            headlines += shown
            groups.append(_group(of_group, shown, apart[of_group[0].id], sources))
        anchor = f"data-{slug(name).lower()}"
        if any(section.id == anchor for section in sections):  # two names may share a slug
            anchor += f"-{sha256_of(name)[:8]}"
        sections.append(DataSection(anchor, name, _overview(headlines) if len(headlines) > 1 else None, tuple(groups)))
    return Page(board.records, SEEDS_TO_RANK, tuple(sections), sources.all())


def _setting(table: Table) -> list[Any]:
    return [table.data, table.probe_data, table.protocol, table.evaluator]


def _headlines(tables: Sequence[Table]) -> list[Table]:
    """The tables shown in full: those of the primary metrics, not taken apart by variable; none where they would be many."""
    primary = [table for table in tables if table.metric is None or table.metric.primary]
    whole = [table for table in primary if table.metric is None or not table.metric.of]
    candidates = whole or primary or list(tables)
    return candidates if len(candidates) <= MOST_HEADLINES else []


def _group(tables: Sequence[Table], headlines: Sequence[Table], apart: str, sources: _Sources) -> Group:
    first = (headlines or tables)[0]
    in_full = {table.id for table in headlines}
    rest = [table for table in tables if table.id not in in_full]
    return Group(
        id=f"group-{first.id}",
        title=f"{first.evaluator.name} on {first.feature}{apart}",
        facts=_facts(first),
        remark=_remark(tables),
        headlines=tuple(_table(table, sources) for table in headlines),
        others=_others(rest, first, sources),
    )


# ------------------------------------------------------------------------------------------------------- families


def _family(family: Family, sources: _Sources) -> FamilyText:
    metric = family.metric
    decimals = _enough_decimals(
        metric.unit, [row.mean for row in family.rows] + [number.value for row in family.rows for number in row.published]
    )
    labels = [
        label + (" (published only)" if not row.recipe else "")
        for label, row in zip(_labels(family.rows), family.rows, strict=True)
    ]
    lines = [(name, tuple(_member(row.members.get(name), decimals, sources) for row in family.rows)) for name in family.data]
    lines.append(
        (f"mean over {len(family.data)}", tuple(_family_mean(row, len(family.data), decimals, sources) for row in family.rows))
    )
    title = metric.name + (f" of {_pairs(metric.of)}" if metric.of else "") + (f" ({metric.unit})" if metric.unit != "1" else "")
    return FamilyText(
        id=family.id,
        title=f"{family.evaluator.name} on {family.feature}: {title}",
        facts=(
            ("protocol", f"{family.protocol.id}/{family.protocol.version}"),
            ("data", f"{len(family.data)} data sets" + _options(family.options)),
            ("evaluator", _evaluator(family.evaluator)),
        ),
        matrix=Matrix("data set", tuple(labels), tuple(lines)),
    )


def _member(member: Member | None, decimals: int, sources: _Sources) -> CellText:
    if member is None:
        return CellText()
    value = "" if member.mean is None else f"{_mean_sd(member, decimals)} ({member.seeds})"
    return CellText(value, tuple(_published(number, decimals, sources) for number in member.published))


def _family_mean(row: FamilyRow, members: int, decimals: int, sources: _Sources) -> CellText:
    missing = f", {row.count} of {members}" if row.count < members else ""
    value = "" if row.mean is None else _number(row.mean, decimals) + missing
    return CellText(value, tuple(_published(number, decimals, sources) for number in row.published))


# ------------------------------------------------------------------------------------------------- tables in full


def _table(table: Table, sources: _Sources) -> TableText:
    decimals = _decimals(table)
    rows = tuple(_row(row, table, decimals, sources) for row in table.rows)
    only = tuple((number.method, _published(number, decimals, sources)) for number in table.published_only)
    return TableText(
        id=table.id,
        title=_metric_title(table),
        direction=_direction(table),
        facts=_facts(table),
        remark=_remark([table]),
        rows=rows,
        published_only=only,
        plot=plot_of(table),
    )


def _metric_title(table: Table, *, whole: bool = False) -> str:
    """Such as "accuracy (%)" or "mutual information of variable=player_x, estimate (nats)".

    :param whole: leave out what the number is of.
    """
    metric = table.metric
    if metric is None:
        return "no number"
    words = metric.name + (f" of {_pairs(metric.of)}" if metric.of and not whole else "")
    words += f", {metric.split} part" if metric.split != "test" else ""
    words += ", estimate" if _is_estimate(table) and metric.name != "estimate" else ""
    return words + (f" ({metric.unit})" if metric.unit != "1" else "")


def _arrow(table: Table) -> str:
    return {True: " ↑", False: " ↓", None: ""}[table.metric.higher_is_better if table.metric else None]


def _direction(table: Table) -> str:
    if table.metric is None:
        return ""
    return {True: "higher is better", False: "lower is better", None: "neither direction is better"}[table.metric.higher_is_better]


def _facts(table: Table) -> tuple[tuple[str, str], ...]:
    data, evaluator = table.data, table.evaluator
    facts = [
        ("protocol", f"{table.protocol.id}/{table.protocol.version}"),
        ("data", f"revision {data.revision}, recipe {data.recipe_sha256[:12]}" + _options(data.options)),
        ("evaluator", _evaluator(evaluator)),
    ]
    if table.probe_data is not None:
        facts.insert(
            2, ("judged on", f"{table.probe_data.name}, revision {table.probe_data.revision}" + _options(table.probe_data.options))
        )
    return tuple(facts)


def _evaluator(evaluator: Component) -> str:
    return f"{evaluator.name} {evaluator.spec_version} of {evaluator.distribution}" + _options(evaluator.options)


def _options(options: Mapping[str, Any]) -> str:
    return f"; {_pairs(options)}" if options else ""


def _pairs(values: Mapping[str, Any], most: int = 12) -> str:
    """Such as "C=1.0, folds=5", in the order of the alphabet."""
    shown = [f"{key}={_short(value)}" for key, value in sorted(values.items())]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def _short(value: Any, most: int = 60) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= most else text[: most - 1] + "…"


def _is_estimate(table: Table) -> bool:
    return table.metric is not None and table.metric.unit == "nats"


def _remark(tables: Sequence[Table]) -> str:
    """Numbers in nats are estimates of an information quantity, and estimates have bounds."""
    estimates = [table for table in tables if _is_estimate(table)]
    if not estimates:
        return ""
    sizes = sorted({cell.samples for table in estimates for row in table.rows for cell in row.cells if cell.samples})
    here = f", here {_number(math.log(sizes[-1]), 2)} nats (n = {sizes[-1]:,})" if sizes else ""
    return f"Values in nats are estimates: an InfoNCE or Donsker-Varadhan value from n samples cannot exceed about log n{here}."


def _row(row: Row, table: Table, decimals: int, sources: _Sources) -> RowText:
    kind = "reference" if row.reference else "supervised" if row.supervised else "plain" if row.rank else "unranked"
    return RowText(
        kind=kind,
        rank=str(row.rank) if row.rank else "–",
        method=row.method,
        detail=_detail(row, table),
        value=_mean_sd(row, decimals),
        interval=f"{_number(row.interval[0], decimals)} to {_number(row.interval[1], decimals)}" if row.interval else "",
        seeds=_seeds(row),
        within="; ".join(f"± {_number(spread.std, decimals)} over {spread.over}" for spread in row.within),
        time=_training(row),
        published=tuple(_published(number, decimals, sources) for number in row.published),
        notes=tuple(_notes(row, decimals)),
    )


def _detail(row: Row, table: Table) -> str:
    words = [row.encoder]
    if row.feature != table.feature:
        words.append(f"feature {row.feature}")
    if row.variant:
        words.append(_pairs(row.variant, most=4))
    return ", ".join(words)


def _mean_sd(row: Row | Member, decimals: int) -> str:
    if row.mean is None:
        return ""
    return _number(row.mean, decimals) + ("" if row.sd is None else f" ± {_number(row.sd, decimals)}")


def _training(row: Row) -> str:
    """How long an encoder trained; nothing where nothing was trained."""
    return duration(row.train_s) if row.train_s else ""


def _seeds(row: Row) -> str:
    """Such as "5", or "3 of 5" where some have no value."""
    return str(row.seeds) if row.seeds == len(row.cells) else f"{row.seeds} of {len(row.cells)}"


def _notes(row: Row, decimals: int) -> Iterable[Note]:
    if row.reference:
        yield Note("reference", "reference")
    if row.supervised:
        yield Note("supervised", "supervised: trained with labels")
    if row.unranked == "few seeds":
        yield Note("quiet", f"not ranked: fewer than {SEEDS_TO_RANK} seeds")
    for status, count in row.statuses.items():
        if status != "ok":
            yield Note("bad", f"{count} {status}")
    if row.reproduced is False:
        by = f" (differs by up to {_number(row.largest_difference, decimals)})" if row.largest_difference else ""
        yield Note("bad", f"not reproduced{by}")
    if row.reproduced:
        yield Note("good", "reproduced")
    if row.trainings > 1:
        yield Note("quiet", "other evaluators judged other trainings of it")
    if row.trusted_first:
        yield Note("bad", "data trusted on first sight")
    for budget in row.budgets:
        if budget != "paper":
            yield Note("quiet", f"budget {budget}")
    for tuning in row.tuning:
        if tuning in ("searched", "given"):
            yield Note("quiet", f"options {tuning}")


def _published(number: Published, decimals: int, sources: _Sources) -> PublishedText:
    return PublishedText(
        value=_number(number.value, decimals) + ("" if number.std is None else f" ± {_number(number.std, decimals)}"),
        difference="" if number.difference is None else _number(number.difference, decimals, sign=True),
        distance="" if number.distance == "same" else number.distance,
        source=sources.number(number),
    )


# ------------------------------------------------------------------------------------------------------- matrices


def _others(tables: Sequence[Table], headline: Table, sources: _Sources) -> tuple[Matrix, ...]:
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


def _pivot(tables: Sequence[Table], sources: _Sources) -> Matrix | None:
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
    decimals = min(_decimals(table) for table in tables)
    rows = {row.id: row for table in tables for row in table.rows if row.mean is not None}
    cells: dict[tuple[str, ...], dict[Any, CellText]] = defaultdict(dict)
    for label, row_id in sorted(zip(_labels(rows.values()), rows, strict=True)):
        for table in tables:
            here = next((row for row in table.rows if row.id == row_id and row.mean is not None), None)
            if table.metric and here:
                line = (label, *(_value(table.metric.of.get(key)) for key in down), row_id)
                cells[line][table.metric.of.get(across)] = _matrix_cell(here, decimals, sources)
    lines = [
        (
            ", ".join(line[:-1]),
            (*(found.get(column, CellText()) for column in columns), CellText(_training(rows[line[-1]]))),
        )
        for line, found in cells.items()
    ]
    return Matrix(
        corner=", ".join(["method", *down]),
        columns=(*(f"{across} {_value(column)}" for column in columns), "training"),
        rows=tuple(lines),
        title=_metric_title(tables[0], whole=True) + _arrow(tables[0]),
    )


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _by_metric(tables: Sequence[Table], headline: Table, sources: _Sources) -> Matrix:
    """A line for each metric, a column for each row of the tables."""
    columns = {row.id: row for row in headline.rows} | {row.id: row for table in tables for row in table.rows}
    lines = []
    for table in tables:
        rows, decimals = {row.id: row for row in table.rows}, _decimals(table)
        cells = tuple(_matrix_cell(rows.get(column), decimals, sources) for column in columns)
        lines.append((_metric_title(table) + _arrow(table), cells))
    return Matrix("metric", tuple(_labels(columns.values())), tuple(lines))


def _overview(tables: Sequence[Table]) -> Matrix:
    """All headline tables of a data set: a line for each recipe, a column for each table."""
    recipes: dict[str, list[Row]] = defaultdict(list)
    for table in tables:
        for row in table.rows:
            recipes[row.recipe].append(row)
    ordered = sorted(
        recipes.values(), key=lambda rows: (rows[0].reference, rows[0].supervised, rows[0].method, rows[0].encoder, rows[0].recipe)
    )
    lines = []
    for label, rows in zip(_labels(rows[0] for rows in ordered), ordered, strict=True):
        cells = []
        for table in tables:
            here = [row for row in table.rows if row.recipe == rows[0].recipe]
            cells.append(_matrix_cell(here[0] if here else None, _decimals(table), None))
        lines.append((label, tuple(cells)))
    apart = _told_apart(tables)
    columns = tuple(f"{table.evaluator.name} on {table.feature}{apart[table.id]}: {_metric_title(table)}" for table in tables)
    return Matrix("method", columns, tuple(lines))


def _told_apart(tables: Sequence[Table]) -> dict[str, str]:
    """By table id: what tells tables of the same evaluator, feature and metric apart, as " (row_normalise=true)", else nothing."""
    words: dict[str, str] = {}
    for table in tables:
        title = (table.evaluator.name, table.feature, _metric_title(table))
        alike = [other for other in tables if (other.evaluator.name, other.feature, _metric_title(other)) == title]
        values = _setting_values(table)
        differing = {
            key: value for key, value in values.items() if any(_setting_values(other).get(key) != value for other in alike)
        }
        words[table.id] = f" ({_pairs(differing)})" if differing else ""
    return words


def _setting_values(table: Table) -> dict[str, Any]:
    """What a setting is made of, by name."""
    data, probe_data = table.data, table.probe_data
    return {
        **data.options,
        **table.evaluator.options,
        "protocol": f"{table.protocol.id}/{table.protocol.version}",
        "revision": data.revision,
        "recipe": data.recipe_sha256[:12],
        "evaluator version": table.evaluator.spec_version,
        "data version": data.spec_version,
        "judged on": None if probe_data is None else probe_data.name,
    }


def _labels(rows: Iterable[Row | FamilyRow]) -> list[str]:
    """A name for each row, with as much beside the method's as is needed to tell them apart."""
    given = list(rows)
    methods = [row.method for row in given]
    labels = []
    for row in given:
        label = row.method
        if methods.count(row.method) > 1:
            more = [row.encoder, *([_pairs(row.variant, most=4)] if row.variant else [])]
            label += f" ({', '.join(more)})"
        labels.append(label)
    return labels


def _matrix_cell(row: Row | None, decimals: int, sources: _Sources | None) -> CellText:
    if row is None:
        return CellText()
    failed = ", ".join(f"{count} {status}" for status, count in row.statuses.items() if status != "ok")
    value = f"{_mean_sd(row, decimals)} ({_seeds(row)})" if row.mean is not None else failed
    return CellText(value, tuple(_published(number, decimals, sources) for number in row.published) if sources else ())


# -------------------------------------------------------------------------------------------------------- numbers


def _decimals(table: Table) -> int:
    """Decimals for all numbers of a table."""
    if table.metric is None:
        return 0
    return _enough_decimals(table.metric.unit, [row.mean for row in table.rows] + [number.value for number in table.published_only])


def _enough_decimals(unit: str, values: Iterable[float | None]) -> int:
    """Decimals with which the largest of these has four digits, or two of a percentage."""
    if unit == "%":
        return 2
    means = [abs(value) for value in values if value]
    if not means:
        return 3
    return min(max(3 - math.floor(math.log10(max(means))), 0), 12) if max(means) < 1e4 else 0


def _number(value: float, decimals: int, *, sign: bool = False) -> str:
    """A number with a real minus sign, and never a minus zero."""
    text = f"{value:{'+' if sign else ''}.{decimals}f}" if abs(value) < 1e15 else f"{value:.4g}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


@dataclass
class _Sources:
    """Footnotes, numbered in the order in which they are first needed."""

    numbers: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def number(self, published: Published) -> int:
        key = (published.source, published.distance, published.note)
        return self.numbers.setdefault(key, len(self.numbers) + 1)

    def all(self) -> tuple[Source, ...]:
        return tuple(Source(n, source, DISTANCES[distance], note) for (source, distance, note), n in self.numbers.items())

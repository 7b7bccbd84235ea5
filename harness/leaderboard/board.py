"""The board: tables made of records and of nothing else. Equal records, in any order, give an equal board.

    setting   data set, protocol and evaluator with all their options; nothing is ever compared or averaged across settings
    table     one setting, one feature, one metric
    row       identity without the seed
    cell      one seed of a row; its newest ok attempt counts

The mean, the standard deviation and the interval of a row are over its seeds, that is over encoders. What a metric says of the
spread over probes, restarts or samples within one cell is kept apart, under its own name.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from harness.contracts.specs import PublishedNumber
from harness.leaderboard.families import beside, families_of, measures
from harness.leaderboard.intervals import interval_95, mean_and_sd
from harness.leaderboard.tables import BOARD_SCHEMA, Board, Cell, Published, Quantity, Row, Table, Unranked, Within, quantity_order
from harness.ledger.identity import canonical_json, sha256_of
from harness.ledger.records import Component, Identity, Metric, Record, Spread
from harness.names import slug

SEEDS_TO_RANK = 3
"""Rows with fewer seeds are shown and not ranked."""


def build_board(records: Iterable[Record], published: Iterable[PublishedNumber] = ()) -> Board:
    """The board of these records, with the published numbers beside them."""
    distinct = _in_order_of_attempts(records)
    known = sorted({canonical_json(number): number for number in published}.items())
    numbers = [number for _, number in known]
    variants, trainings = _variants(distinct), _trainings(distinct)
    tables: list[Table] = []
    for setting in _grouped(distinct, _setting).values():
        by_feature = _by_feature(setting)
        for feature in sorted(by_feature):
            tables += _tables(feature, by_feature[feature], variants, trainings, numbers, is_only_feature=len(by_feature) == 1)
    ordered = tuple(sorted(tables, key=_table_order))
    return Board(schema=BOARD_SCHEMA, records=len(distinct), tables=ordered, families=families_of(ordered, numbers))


def _in_order_of_attempts(records: Iterable[Record]) -> list[Record]:
    """Each record once, attempts at one cell from the oldest.

    Those that two stores numbered alike are told apart by their time, then by their text.
    """
    distinct = {canonical_json(record): record for record in records}
    ordered = sorted((record.attempt, record.created, text) for text, record in distinct.items())
    return [distinct[text] for _, _, text in ordered]


# ------------------------------------------------------------------------------------------- settings and features

T = TypeVar("T")


def _grouped(items: Iterable[T], key: Callable[[T], Any]) -> dict[bytes, list[T]]:
    groups: dict[bytes, list[T]] = defaultdict(list)
    for item in items:
        groups[canonical_json(key(item))].append(item)
    return groups


def _setting(record: Record) -> list[Any]:
    identity = record.identity
    return [identity.data, identity.probe_data, identity.protocol, identity.evaluator]


def _by_feature(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of each feature.

    A reference row on a feature that no compared row has (`raw` on the input, `majority` on a constant) stands in the tables of all
    features, since it is what each of them has to beat.
    """
    compared = {record.identity.feature for record in records if not record.reference}
    own: dict[str, list[Record]] = defaultdict(list)
    everywhere: list[Record] = []
    for record in records:
        if compared and record.reference and record.identity.feature not in compared:
            everywhere.append(record)
        else:
            own[record.identity.feature].append(record)
    return {feature: [*mine, *everywhere] for feature, mine in own.items()}


# ------------------------------------------------------------------------------------------------------- tables


Variants = dict[tuple[str, str], dict[str, Any]]
"""By data set and recipe."""
Trainings = dict[str, int]
"""By run: how many times it was trained, as far as the records that count tell."""


def _tables(
    feature: str,
    records: Sequence[Record],
    variants: Variants,
    trainings: Trainings,
    numbers: Sequence[PublishedNumber],
    *,
    is_only_feature: bool,
) -> list[Table]:
    """The tables of one feature, one for each metric."""
    rows = [_Attempts(row) for row in _grouped(records, lambda record: record.identity.row_sha256).values()]
    metrics = _grouped(
        (metric for row in rows for record in row.counted.values() for metric in record.metrics),
        lambda metric: [metric.name, metric.of, metric.split, metric.unit, metric.higher_is_better],
    )
    identity = records[0].identity
    tables = []
    for group in metrics.values() if metrics else [None]:
        quantity = _quantity(group) if group else None
        matching = [number for number in numbers if _matches(number, identity, quantity)]
        built = _ranked([_row(row, quantity, variants, trainings, matching) for row in rows if _has_part(row, quantity)], quantity)
        present = {row.method for row in built}
        # A number for no feature in particular is not repeated in the tables of every feature without a row it stands beside.
        here = (feature, None) if is_only_feature else (feature,)
        parts = [identity.data, identity.probe_data, identity.protocol, identity.evaluator, feature, quantity]
        words = [identity.data.name, identity.evaluator.name, feature, *([quantity.name] if quantity else [])]
        tables.append(
            Table(
                id="-".join([*(slug(word).lower() for word in words), sha256_of(parts)[:8]]),
                data=identity.data,
                probe_data=identity.probe_data,
                protocol=identity.protocol,
                evaluator=identity.evaluator,
                feature=feature,
                metric=quantity,
                rows=built,
                published_only=_best_first(
                    (number for number in matching if number.method not in present and number.feature in here), quantity
                ),
            )
        )
    return tables


def _quantity(metrics: Sequence[Metric]) -> Quantity:
    """What these metrics, equal in all but their numbers, are."""
    one = metrics[0]
    return Quantity(
        name=one.name,
        of=one.of,
        split=one.split,
        unit=one.unit,
        higher_is_better=one.higher_is_better,
        primary=any(metric.primary for metric in metrics),
    )


def _table_order(table: Table) -> tuple[Any, ...]:
    return (
        table.data.name,
        canonical_json(table.data),
        canonical_json(table.probe_data),
        table.protocol.id,
        table.protocol.version,
        table.evaluator.name,
        canonical_json(table.evaluator),
        table.feature,
        quantity_order(table.metric),
    )


def _variants(records: Iterable[Record]) -> Variants:
    """For each data set and recipe, the options and versions in which recipes of the same method and encoder differ."""
    families: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for record in records:
        identity = record.identity
        leaves = _leaves(identity)
        families[identity.data.name, identity.method.name, identity.encoder.name][sha256_of(leaves)] = leaves
    variants: Variants = {}
    for (data, _, _), family in families.items():
        keys = sorted({key for leaves in family.values() for key in leaves})
        telling = [key for key in keys if len({canonical_json(leaves.get(key)) for leaves in family.values()}) > 1]
        variants |= {(data, recipe): {key: leaves.get(key) for key in telling} for recipe, leaves in family.items()}
    return variants


def _trainings(records: Iterable[Record]) -> Trainings:
    """How many models the evaluators of each run judged: more than one where some of them came after it had been trained anew."""
    newest = {record.id: record for record in records if record.status == "ok"}
    models: dict[str, set[str]] = defaultdict(set)
    for record in newest.values():
        if record.artifacts.checkpoint_sha256 is not None:
            models[record.run].add(record.artifacts.checkpoint_sha256)
    return {run: len(those) for run, those in models.items()}


def _leaves(identity: Identity) -> dict[str, Any]:
    """What was run, flat: {"objective.lr": 0.001, "encoder version": 1, ...}."""
    flat: dict[str, Any] = {"core_numerics": identity.core_numerics}
    for part in ("method", "encoder", "objective"):
        component: Component = getattr(identity, part)
        flat |= {f"{part}.{key}": value for key, value in component.options.items()}
        flat |= {
            f"{part} name": component.name,
            f"{part} package": component.distribution,
            f"{part} version": component.spec_version,
        }
    flat |= {f"train.{key}": value for key, value in msgspec.structs.asdict(identity.training).items()}
    return flat


# --------------------------------------------------------------------------------------------------------- rows


class _Attempts:
    """All attempts at the cells of one row, in their order."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.identity = records[0].identity
        self.id = self.identity.row_sha256
        self.records = records
        self.by_cell: dict[str, list[Record]] = defaultdict(list)
        for record in sorted(records, key=lambda record: record.identity.seed):
            self.by_cell[record.id].append(record)
        self.ok = {cell: [record for record in tried if record.status == "ok"] for cell, tried in self.by_cell.items()}
        self.counted = {cell: tried[-1] for cell, tried in self.ok.items() if tried}
        """The newest ok attempt at each cell."""


def _row(
    row: _Attempts, quantity: Quantity | None, variants: Variants, trainings: Trainings, numbers: Sequence[PublishedNumber]
) -> Row:
    cells = tuple(_cell(tried, row.counted.get(cell), quantity) for cell, tried in row.by_cell.items())
    values = [cell.value for cell in cells if cell.value is not None]
    mean, sd = mean_and_sd(values) if values else (None, None)
    shown = list(row.counted.values()) or row.records
    statuses = [cell.status for cell in cells]
    reproduced, largest_difference = _reproduction(row, quantity)
    recipe = sha256_of(_leaves(row.identity))
    return Row(
        id=row.id,
        recipe=recipe,
        method=row.identity.method.name,
        encoder=row.identity.encoder.name,
        objective=row.identity.objective.name,
        feature=row.identity.feature,
        variant=variants[row.identity.data.name, recipe],
        reference=any(record.reference for record in row.records),
        supervised=any(record.supervised for record in row.records),
        trusted_first=any(record.trusted_first for record in shown),
        budgets=tuple(sorted({record.budget for record in shown})),
        tuning=tuple(sorted({record.tuning.source for record in shown})),
        cells=cells,
        statuses={status: statuses.count(status) for status in sorted(set(statuses))},
        seeds=len(values),
        mean=mean,
        sd=sd,
        interval=interval_95(values) if values else None,
        within=_within(cells),
        trainings=max((trainings.get(record.run, 1) for record in row.counted.values()), default=1),
        train_s=statistics.mean(record.time_s.train for record in row.counted.values()) if row.counted else None,
        rank=None,
        unranked=None,
        reproduced=reproduced,
        largest_difference=largest_difference,
        published=tuple(
            beside(number, mean)
            for number in numbers
            if number.method == row.identity.method.name and number.feature in (None, row.identity.feature)
        ),
    )


def _cell(tried: Sequence[Record], counted: Record | None, quantity: Quantity | None) -> Cell:
    record = counted or tried[-1]
    metric = _metric(record, quantity) if counted else None
    return Cell(
        seed=record.identity.seed,
        record_id=record.id,
        attempts=len(tried),
        status=record.status,
        value=metric.value if metric else None,
        std=metric.std if metric else None,
        over=metric.over if metric else None,
        n=metric.n if metric else None,
        samples=record.n.get(metric.split) if metric else None,
    )


def _has_part(row: _Attempts, quantity: Quantity | None) -> bool:
    """Whether a row stands in the table of one of several things: what its evaluator never meant to report of it is no gap."""
    if quantity is None or not quantity.of or not row.counted:
        return True
    return any(_metric(record, quantity) for record in row.counted.values())


def _metric(record: Record, quantity: Quantity | None) -> Metric | None:
    """The record's number for a table, where it has one."""
    if quantity is None:
        return None
    wanted = (quantity.name, quantity.of, quantity.split, quantity.unit, quantity.higher_is_better)
    return next((m for m in record.metrics if (m.name, m.of, m.split, m.unit, m.higher_is_better) == wanted), None)


def _within(cells: Sequence[Cell]) -> tuple[Within, ...]:
    by_kind: dict[Spread, list[float]] = defaultdict(list)
    for cell in cells:
        if cell.std is not None and cell.over is not None:
            by_kind[cell.over].append(cell.std)
    return tuple(Within(over=over, std=statistics.mean(by_kind[over]), seeds=len(by_kind[over])) for over in sorted(by_kind))


def _reproduction(row: _Attempts, quantity: Quantity | None) -> tuple[bool | None, float | None]:
    """Whether repeated ok attempts agree, and by how much they differ at most."""
    repeated = [tried for tried in row.ok.values() if len(tried) > 1]
    if not repeated:
        return None, None
    agree, largest = True, 0.0
    for tried in repeated:
        metrics = [_metric(record, quantity) for record in tried]
        values = [metric.value for metric in metrics if metric]
        agree &= not values or (len(set(values)) == 1 and len(values) == len(metrics))
        largest = max(largest, max(values) - min(values)) if values else largest
    return agree, largest if math.isfinite(largest) else None


# --------------------------------------------------------------------------------- ranks and published numbers


def _ranked(rows: Sequence[Row], quantity: Quantity | None) -> tuple[Row, ...]:
    """The rows from best to worst, those without a value last, with ranks.

    A row's rank is one more than the number of ranked rows whose whole interval lies on the better side of its own. Two rows whose
    intervals overlap are therefore never told apart by each other.
    """
    direction = quantity.higher_is_better if quantity else None
    sign = 1.0 if direction else -1.0
    reasons = [_unranked(row, direction) for row in rows]
    contest = [_signed(row.interval, sign) for row, reason in zip(rows, reasons, strict=True) if reason is None and row.interval]
    ranked = []
    for row, reason in zip(rows, reasons, strict=True):
        rank = None
        if reason is None and row.interval:
            _, high = _signed(row.interval, sign)
            rank = 1 + sum(low > high for low, _ in contest)
        ranked.append(msgspec.structs.replace(row, rank=rank, unranked=reason))

    def order(row: Row) -> tuple[Any, ...]:
        merit = 0.0 if direction is None or row.mean is None else -sign * row.mean
        return row.mean is None, merit, row.method, row.encoder, row.feature, row.id

    return tuple(sorted(ranked, key=order))


def _best_first(numbers: Iterable[PublishedNumber], quantity: Quantity | None) -> tuple[Published, ...]:
    """Published numbers without a row of ours; by method where neither direction is better."""
    direction = quantity.higher_is_better if quantity else None
    sign = 0.0 if direction is None else -1.0 if direction else 1.0
    ordered = sorted(numbers, key=lambda number: (sign * number.value, number.method, number.value, number.source))
    return tuple(beside(number, None) for number in ordered)


def _signed(interval: tuple[float, float], sign: float) -> tuple[float, float]:
    """The interval on an axis where higher is better."""
    low, high = sign * interval[0], sign * interval[1]
    return min(low, high), max(low, high)


def _unranked(row: Row, direction: bool | None) -> Unranked | None:
    if row.reference:
        return "reference"
    if row.supervised:
        return "supervised"
    if row.mean is None:
        return "no value"
    if direction is None:
        return "no direction"
    return "few seeds" if row.seeds < SEEDS_TO_RANK else None


def _matches(number: PublishedNumber, identity: Identity, quantity: Quantity | None) -> bool:
    """Whether a published number is of this quantity: papers report the held-out part, and one number per metric."""
    named = number.data == identity.data.name
    return named and measures(number, identity.data.options, identity.evaluator.name, quantity)

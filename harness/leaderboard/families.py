"""Families: what a method reaches over all data sets named `PREFIX:...`, where a number for the whole family is published.

Nothing else is averaged over data sets. A mean is over the data sets that a row has, and says how many those are.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import msgspec

from harness.contracts.specs import PublishedNumber
from harness.leaderboard.tables import Family, FamilyRow, Member, Published, Quantity, Row, Table, quantity_order
from harness.ledger.identity import canonical_json, sha256_of
from harness.names import slug

ALL = ":*"
"""What follows the prefix in the data set of a number that is published of a whole family."""


def families_of(tables: Sequence[Table], numbers: Sequence[PublishedNumber]) -> tuple[Family, ...]:
    """The families of these tables: by prefix, then those of one setting together, its primary metrics first."""
    groups: dict[bytes, list[Table]] = defaultdict(list)
    for table in tables:
        if any(_is_of(number, table) for number in numbers):
            groups[canonical_json(_setting(table))].append(table)
    return tuple(sorted((_family(group, numbers) for group in groups.values()), key=_order))


def beside(number: PublishedNumber, mean: float | None) -> Published:
    """A published number beside our `mean`."""
    return Published(
        method=number.method,
        value=number.value,
        std=number.std,
        source=number.source,
        distance=number.distance,
        note=number.note,
        difference=None if mean is None else mean - number.value,
    )


def measures(number: PublishedNumber, options: Mapping[str, Any], evaluator: str, quantity: Quantity | None) -> bool:
    """Whether a published number, whatever its data set, is of this quantity: papers report the held-out part.

    :param options: of the data set.
    """
    return (
        quantity is not None
        and quantity.of == number.of
        and quantity.split not in ("train", "validation")
        and all(options.get(option) == value for option, value in number.data_options.items())
        and number.evaluator == evaluator
        and number.metric == quantity.name
    )


def _is_of(number: PublishedNumber, table: Table) -> bool:
    """Whether a number is one of a whole family, of what this table measures on one of its data sets."""
    return (
        number.data == _prefix(table) + ALL
        and number.feature in (None, table.feature)
        and measures(number, table.data.options, table.evaluator.name, table.metric)
    )


def _prefix(table: Table) -> str:
    return table.data.name.partition(":")[0]


def _setting(table: Table) -> list[Any]:
    """All that the tables of a family have in common."""
    data = table.data
    return [_prefix(table), data.options, data.spec_version, table.protocol, table.evaluator, table.feature, table.metric]


def _order(family: Family) -> tuple[Any, ...]:
    return (
        family.prefix,
        family.protocol.id,
        family.protocol.version,
        family.evaluator.name,
        canonical_json(family.evaluator),
        canonical_json(family.options),
        family.feature,
        quantity_order(family.metric),
    )


def _family(tables: Sequence[Table], numbers: Sequence[PublishedNumber]) -> Family:
    one = tables[0]
    assert one.metric is not None  # `_is_of` sees to it
    whole = [number for number in numbers if _is_of(number, one)]
    averaged = {
        number.data
        for number in numbers
        if number.evaluator == one.evaluator.name and number.data.startswith(_prefix(one) + ":") and not number.data.endswith(ALL)
    }
    of_this = {number.data for number in numbers if number.data in averaged and dict(number.of) == dict(one.metric.of)}
    rows: dict[str, dict[str, Row]] = defaultdict(dict)
    for table in tables:
        for row in table.rows:
            rows[row.recipe][table.data.name] = row
    ours = [_row(found, whole, averaged) for found in rows.values()]
    methods = {row.method for row in ours}
    direction = one.metric.higher_is_better
    return Family(
        id="-".join([slug(_prefix(one)), slug(one.evaluator.name), slug(one.metric.name), sha256_of(_setting(one))[:8]]),
        prefix=_prefix(one),
        options=one.data.options,
        protocol=one.protocol,
        evaluator=one.evaluator,
        feature=one.feature,
        metric=one.metric,
        data=tuple(table.data.name for table in tables),
        published_over=len(of_this) or None,
        rows=_best_first([*ours, *_published_only(tables, whole, methods)], direction),
    )


def _row(found: Mapping[str, Row], whole: Iterable[PublishedNumber], averaged: Set[str]) -> FamilyRow:
    """One recipe's row out of its rows by data set.

    :param averaged: the data sets that have published numbers of their own: a mean over fewer of them is not compared with the
        published one.
    """
    one = next(iter(found.values()))
    judged = {name: row for name, row in found.items() if row.mean is not None}
    mean = statistics.fmean(row.mean for row in judged.values() if row.mean is not None) if judged else None
    compared = mean if averaged <= judged.keys() else None
    return FamilyRow(
        recipe=one.recipe,
        method=one.method,
        encoder=one.encoder,
        variant=one.variant,
        reference=any(row.reference for row in found.values()),
        supervised=any(row.supervised for row in found.values()),
        members={
            name: Member(mean=row.mean, sd=row.sd, seeds=row.seeds, published=row.published) for name, row in sorted(found.items())
        },
        mean=mean,
        count=len(judged),
        published=tuple(beside(number, compared) for number in whole if number.method == one.method),
        published_here=_mean_of_published([row.published for row in judged.values()], mean),
    )


def _mean_of_published(members: Sequence[tuple[Published, ...]], mean: float | None) -> Published | None:
    """The mean of the published numbers of some data sets beside our `mean` over the same."""
    numbers = [published[0] for published in members if len(published) == 1]
    kinds = {(number.source, number.distance, number.note) for number in numbers}
    if len(numbers) < len(members) or len(kinds) != 1:
        return None
    value = statistics.fmean(number.value for number in numbers)
    return msgspec.structs.replace(numbers[0], value=value, std=None, difference=None if mean is None else mean - value)


def _published_only(tables: Sequence[Table], whole: Sequence[PublishedNumber], ours: Set[str]) -> list[FamilyRow]:
    """A row for each method that has published numbers alone."""
    members: dict[str, dict[str, Member]] = defaultdict(dict)
    for table in tables:
        for printed in table.published_only:
            if printed.method not in ours:
                members[printed.method][table.data.name] = Member(mean=None, sd=None, seeds=0, published=(printed,))
    for number in whole:
        if number.method not in ours:
            members.setdefault(number.method, {})
    return [
        FamilyRow(
            recipe="",
            method=method,
            encoder="",
            variant={},
            reference=False,
            supervised=False,
            members=dict(sorted(found.items())),
            mean=None,
            count=0,
            published=tuple(beside(number, None) for number in whole if number.method == method),
            published_here=_mean_of_published(
                [found[table.data.name].published if table.data.name in found else () for table in tables], None
            ),
        )
        for method, found in sorted(members.items())
    ]


def _best_first(rows: Sequence[FamilyRow], higher_is_better: bool | None) -> tuple[FamilyRow, ...]:
    sign = 0.0 if higher_is_better is None else -1.0 if higher_is_better else 1.0

    def order(row: FamilyRow) -> tuple[Any, ...]:
        first = row.published[0].value if row.published else 0.0
        return row.mean is None, sign * (first if row.mean is None else row.mean), row.method, row.encoder, row.recipe

    return tuple(sorted(rows, key=order))

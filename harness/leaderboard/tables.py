"""What a board is: frozen values that say all that its pages show. `board.json` is this and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from harness.ledger.identity import canonical_json
from harness.ledger.records import Component, DataIdentity, ProtocolIdentity, Spread, Status

BOARD_SCHEMA = 5
"""Raised when the layout below, and so `board.json`, changes."""

Unranked = Literal["reference", "supervised", "no direction", "no value", "few seeds"]


class _Part(Struct, frozen=True, kw_only=True):
    """Base of all pieces of a board."""


class Quantity(_Part, frozen=True, kw_only=True):
    """What the numbers of a table are."""

    name: str
    of: Mapping[str, Any]
    split: str
    unit: str
    higher_is_better: bool | None
    primary: bool


def quantity_order(quantity: Quantity | None) -> tuple[Any, ...]:
    """By which the metrics of one setting are ordered: primary ones first, then by name, then by what they are of."""
    if quantity is None:
        return True, [], canonical_json(None)
    return not quantity.primary, [quantity.name, *_of_order(quantity.of)], canonical_json(quantity)


def _of_order(of: Mapping[str, Any]) -> list[tuple[str, bool, float, str]]:
    """What a number is of, by which 2 comes before 10 and both before words."""
    return [
        (key, True, 0.0, str(value)) if isinstance(value, bool) or not isinstance(value, int | float) else (key, False, value, "")
        for key, value in sorted(of.items())
    ]


class Cell(_Part, frozen=True, kw_only=True):
    """One seed."""

    seed: int
    record_id: str
    attempts: int
    status: Status
    """ok if any attempt is, else that of the newest attempt."""
    value: float | None
    std: float | None
    over: Spread | None
    n: int | None
    samples: int | None
    """Samples in the metric's split."""


class Within(_Part, frozen=True, kw_only=True):
    """The spread inside cells: the mean over seeds of the sample standard deviation over probes, restarts or samples."""

    over: Spread
    std: float
    seeds: int


class Published(_Part, frozen=True, kw_only=True):
    """A number from the literature."""

    method: str
    value: float
    std: float | None
    source: str
    distance: Literal["same", "near", "different"]
    note: str
    difference: float | None
    """The row's mean minus the published value; None where the row has no value."""


class Row(_Part, frozen=True, kw_only=True):
    """A method as it was run, over its seeds."""

    id: str
    recipe: str
    """Digest of what was trained and how, apart from data set and seed: the same in all tables."""
    method: str
    encoder: str
    objective: str
    feature: str
    """The table's feature, except for a reference row that stands in the tables of all features."""
    variant: Mapping[str, Any]
    """What tells this row from the other rows of the same method and encoder on this data set."""
    reference: bool
    supervised: bool
    trusted_first: bool
    budgets: tuple[str, ...]
    tuning: tuple[str, ...]
    cells: tuple[Cell, ...]
    statuses: Mapping[str, int]
    seeds: int
    """Seeds with a value."""
    mean: float | None
    sd: float | None
    """Sample standard deviation over seeds."""
    interval: tuple[float, float] | None
    """95 % confidence interval of the mean over seeds, by Student's t."""
    within: tuple[Within, ...]
    trainings: int
    """How many times one seed was trained, at most, over all evaluators: 1 where all of them judged the same model."""
    train_s: float | None
    """Seconds that the training of one encoder took, the mean over seeds, each on its own machine; None without a value."""
    rank: int | None
    unranked: Unranked | None
    reproduced: bool | None
    """Whether all ok attempts at each cell have equal values; None where no cell has two."""
    largest_difference: float | None
    """Between ok attempts at one cell."""
    published: tuple[Published, ...]


class Table(_Part, frozen=True, kw_only=True):
    """One metric of one evaluator on one feature of one data set under one protocol."""

    id: str
    data: DataIdentity
    probe_data: DataIdentity | None
    protocol: ProtocolIdentity
    evaluator: Component
    feature: str
    metric: Quantity | None
    """None where every attempt failed, so that nobody knows what would have been measured."""
    rows: tuple[Row, ...]
    published_only: tuple[Published, ...]
    """Published numbers of methods without a row here."""


class Member(_Part, frozen=True, kw_only=True):
    """What a row of a family has on one of its data sets."""

    mean: float | None
    sd: float | None
    seeds: int
    published: tuple[Published, ...]


class FamilyRow(_Part, frozen=True, kw_only=True):
    """A method as it was run, over the data sets of a family."""

    recipe: str
    """Digest of what was trained and how; empty for a method whose numbers are published only."""
    method: str
    encoder: str
    variant: Mapping[str, Any]
    reference: bool
    supervised: bool
    members: Mapping[str, Member]
    """By data set, those with a value of ours or a published one."""
    mean: float | None
    """Over the data sets with a value of ours; None without any."""
    count: int
    """How many those are."""
    published: tuple[Published, ...]
    """Of the family as a whole."""
    published_here: Published | None
    """The mean of the published numbers of the very data sets that `mean` is over (those of the family, without a value of ours);
    None where one of them has none, or where they are of several sources."""


class Family(_Part, frozen=True, kw_only=True):
    """One metric of one evaluator on one feature over the data sets `PREFIX:...` under one protocol and the same options."""

    id: str
    prefix: str
    options: Mapping[str, Any]
    """Of all its data sets."""
    protocol: ProtocolIdentity
    evaluator: Component
    feature: str
    metric: Quantity
    data: tuple[str, ...]
    """Its data sets with a table."""
    published_over: int | None
    """How many data sets its published means are over: as many as have published numbers of their own; None where none has."""
    rows: tuple[FamilyRow, ...]
    """From best to worst, those without a value of ours last."""


class Board(_Part, frozen=True, kw_only=True):
    """The leaderboard."""

    schema: int
    records: int
    tables: tuple[Table, ...]
    families: tuple[Family, ...]
    """Of metrics of which somebody has published a mean over a family."""

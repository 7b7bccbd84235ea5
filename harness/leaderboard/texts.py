"""What the templates of the pages are given: text, arranged."""

from __future__ import annotations

from dataclasses import dataclass

from harness.leaderboard.plots import Plot


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
class ContentsLine:
    """A line of the table of contents: the data sets of one family, or those that are of none."""

    family: str
    links: tuple[tuple[str, str], ...]
    """Id of the section and what it is called there."""


@dataclass(frozen=True)
class Page:
    """All of it."""

    records: int
    seeds_to_rank: int
    contents: tuple[ContentsLine, ...]
    sections: tuple[DataSection, ...]
    sources: tuple[Source, ...]

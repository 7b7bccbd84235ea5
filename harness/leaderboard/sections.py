"""What the pages say, as text: a section for each family and each data set. The templates only arrange it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from harness.leaderboard.board import SEEDS_TO_RANK
from harness.leaderboard.footnotes import Footnotes
from harness.leaderboard.full_tables import full_table
from harness.leaderboard.matrices import family_text, other_metrics, overview_of
from harness.leaderboard.tables import Board, Table
from harness.leaderboard.texts import DataSection, Group, Page
from harness.leaderboard.words import facts_of, remark_on, told_apart
from harness.ledger.identity import canonical_json, sha256_of
from harness.names import slug

MOST_HEADLINES = 3
"""Tables shown in full for one evaluator and feature; where more metrics ask for it, all stand in one matrix."""


def page_of(board: Board) -> Page:
    """The page of a board."""
    sources, apart = Footnotes(), told_apart(board.families)
    sections = [
        DataSection(
            f"family-{slug(prefix)}",
            f"{prefix}:*",
            None,
            (),
            tuple(family_text(family, apart[family.id], sources) for family in families),
        )
        for prefix, families in groupby(board.families, key=lambda family: family.prefix)
    ]
    for name, tables in groupby(board.tables, key=lambda table: table.data.name):
        of_data = list(tables)
        headlines: list[Table] = []
        groups = []
        of_table = told_apart(of_data)
        for _, group in groupby(of_data, key=lambda table: canonical_json([*_setting(table), table.feature])):
            of_group = list(group)
            shown = _headlines(of_group)
            headlines += shown
            groups.append(_group(of_group, shown, of_table[of_group[0].id], sources))
        anchor = f"data-{slug(name).lower()}"
        if any(section.id == anchor for section in sections):  # two names may share a slug
            anchor += f"-{sha256_of(name)[:8]}"
        sections.append(DataSection(anchor, name, overview_of(headlines) if len(headlines) > 1 else None, tuple(groups)))
    return Page(board.records, SEEDS_TO_RANK, tuple(sections), sources.all())


def _setting(table: Table) -> list[Any]:
    return [table.data, table.probe_data, table.protocol, table.evaluator]


def _headlines(tables: Sequence[Table]) -> list[Table]:
    """The tables shown in full: those of the primary metrics, not taken apart by variable; none where they would be many."""
    primary = [table for table in tables if table.metric is None or table.metric.primary]
    whole = [table for table in primary if table.metric is None or not table.metric.of]
    candidates = whole or primary or list(tables)
    return candidates if len(candidates) <= MOST_HEADLINES else []


def _group(tables: Sequence[Table], headlines: Sequence[Table], apart: str, sources: Footnotes) -> Group:
    first = (headlines or tables)[0]
    in_full = {table.id for table in headlines}
    rest = [table for table in tables if table.id not in in_full]
    return Group(
        id=f"group-{first.id}",
        title=f"{first.evaluator.name} on {first.feature}{apart}",
        facts=facts_of(first),
        remark=remark_on(tables),
        headlines=tuple(full_table(table, sources) for table in headlines),
        others=other_metrics(rest, first, sources),
    )

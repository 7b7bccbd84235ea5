"""What the pages say, as text: a section for each data set, and one before those of a family. The templates only arrange it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from itertools import groupby
from typing import Any

from harness.leaderboard.board import SEEDS_TO_RANK
from harness.leaderboard.families import ALL
from harness.leaderboard.footnotes import Footnotes
from harness.leaderboard.full_tables import full_table
from harness.leaderboard.matrices import family_text, other_metrics, overview_of
from harness.leaderboard.tables import Board, Table
from harness.leaderboard.texts import ContentsLine, DataSection, Group, Page
from harness.leaderboard.words import facts_of, remark_on, told_apart
from harness.ledger.identity import canonical_json, sha256_of
from harness.names import slug

MOST_HEADLINES = 3
"""Tables shown in full for one evaluator and feature; where more metrics ask for it, all stand in one matrix."""


def page_of(board: Board) -> Page:
    """The page of a board."""
    sources, apart = Footnotes(), told_apart(board.families)
    families = {prefix + ALL: list(group) for prefix, group in groupby(board.families, key=lambda family: family.prefix)}
    data_sets = {name: list(group) for name, group in groupby(board.tables, key=lambda table: table.data.name)}
    sections: list[DataSection] = []
    contents = []
    for family, names in _in_lines([*families, *data_sets]):
        links = []
        for name in names:
            if name in families:
                texts = tuple(family_text(each, apart[each.id], sources) for each in families[name])
                section = DataSection(f"family-{slug(family or name)}", name, None, (), texts)
            else:
                section = _data_section(name, data_sets[name], {section.id for section in sections}, sources)
            sections.append(section)
            links.append((section.id, name.partition(":")[2].replace("*", "all") if family else name))
        contents.append(ContentsLine(family, tuple(links)))
    return Page(board.records, SEEDS_TO_RANK, tuple(contents), tuple(sections), sources.all())


def _in_lines(names: Iterable[str]) -> list[tuple[str, list[str]]]:
    """The sections in their order, a line for each family of several after one for all others."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[name.partition(":")[0]].append(name)
    alone = sorted(name for group in groups.values() if len(group) == 1 for name in group)
    several = [(family, group) for family, group in sorted(groups.items()) if len(group) > 1]
    return [*([("", alone)] if alone else []), *several]


def _data_section(name: str, tables: Sequence[Table], taken: Set[str], sources: Footnotes) -> DataSection:
    """One data set. `taken` are the ids of other sections: two names may share a slug."""
    headlines: list[Table] = []
    groups = []
    of_table = told_apart(tables)
    for _, group in groupby(tables, key=lambda table: canonical_json([*_setting(table), table.feature])):
        of_group = list(group)
        shown = _headlines(of_group)
        headlines += shown
        groups.append(_group(of_group, shown, of_table[of_group[0].id], sources))
    anchor = f"data-{slug(name).lower()}"
    if anchor in taken:
        anchor += f"-{sha256_of(name)[:8]}"
    return DataSection(anchor, name, overview_of(headlines) if len(headlines) > 1 else None, tuple(groups))


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

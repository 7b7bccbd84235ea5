"""Tables shown in full: a line for each row, with all that is known of it."""

from __future__ import annotations

from collections.abc import Iterable

from harness.leaderboard.board import SEEDS_TO_RANK
from harness.leaderboard.footnotes import Footnotes, published_text
from harness.leaderboard.numbers import decimals_of, mean_sd, number_text
from harness.leaderboard.plots import plot_of
from harness.leaderboard.tables import Row, Table
from harness.leaderboard.texts import Note, RowText, TableText
from harness.leaderboard.words import (
    direction,
    facts_of,
    metric_title,
    pairs,
    remark_on,
    seeds_text,
    training_time,
)


def full_table(table: Table, sources: Footnotes) -> TableText:
    """A table with all its rows, and the published numbers without a row."""
    decimals = decimals_of(table)
    rows = tuple(_row(row, table, decimals, sources) for row in table.rows)
    only = tuple((number.method, published_text(number, decimals, sources)) for number in table.published_only)
    return TableText(
        id=table.id,
        title=metric_title(table),
        direction=direction(table),
        facts=facts_of(table),
        remark=remark_on([table]),
        rows=rows,
        published_only=only,
        plot=plot_of(table),
    )


def _row(row: Row, table: Table, decimals: int, sources: Footnotes) -> RowText:
    kind = "reference" if row.reference else "supervised" if row.supervised else "plain" if row.rank else "unranked"
    return RowText(
        kind=kind,
        rank=str(row.rank) if row.rank else "–",
        method=row.method,
        detail=_detail(row, table),
        value=mean_sd(row, decimals),
        interval=f"{number_text(row.interval[0], decimals)} to {number_text(row.interval[1], decimals)}" if row.interval else "",
        seeds=seeds_text(row),
        within="; ".join(f"± {number_text(spread.std, decimals)} over {spread.over}" for spread in row.within),
        time=training_time(row),
        published=tuple(published_text(number, decimals, sources) for number in row.published),
        notes=tuple(_notes(row, decimals)),
    )


def _detail(row: Row, table: Table) -> str:
    words = [row.encoder]
    if row.feature != table.feature:
        words.append(f"feature {row.feature}")
    if row.variant:
        words.append(pairs(row.variant, most=4))
    return ", ".join(words)


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
        by = f" (differs by up to {number_text(row.largest_difference, decimals)})" if row.largest_difference else ""
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

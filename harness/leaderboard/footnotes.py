"""Published numbers as the pages print them, and the footnotes that say where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.leaderboard.numbers import number_text
from harness.leaderboard.tables import Published
from harness.leaderboard.texts import PublishedText, Source

DISTANCES = {"same": "same protocol", "near": "near protocol", "different": "different protocol"}


@dataclass
class Footnotes:
    """Numbered in the order in which they are first needed."""

    numbers: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def number(self, published: Published) -> int:
        """The number of the footnote that says where a published number comes from."""
        key = (published.source, published.distance, published.note)
        return self.numbers.setdefault(key, len(self.numbers) + 1)

    def all(self) -> tuple[Source, ...]:
        """Those that have been needed."""
        return tuple(Source(n, source, DISTANCES[distance], note) for (source, distance, note), n in self.numbers.items())


def published_text(number: Published, decimals: int, sources: Footnotes, over: str = "") -> PublishedText:
    """A published number beside ours.

    :param over: of a mean, what it is over.
    """
    spread = "" if number.std is None else f" ± {number_text(number.std, decimals)}"
    return PublishedText(
        value=number_text(number.value, decimals) + spread + (f" over {over}" if over else ""),
        difference="" if number.difference is None else number_text(number.difference, decimals, sign=True),
        distance="" if number.distance == "same" else number.distance,
        source=sources.number(number),
    )

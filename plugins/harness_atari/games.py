"""The annotated games: which byte of the console's RAM each variable is, and the digest of each ROM. Imports nothing heavy.

From the Atari Annotated RAM Interface (Anand, Racah, Ozair, Bengio, Côté, Hjelm 2019). A game is called by the id of its ROM, such
as "ms_pacman".
"""

from __future__ import annotations

import difflib
import functools
import importlib.resources
import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from harness import UnknownNameError


class Game(Struct, frozen=True, kw_only=True):
    """One game."""

    name: str = ""
    """The id of its ROM."""
    rom_sha256: str
    in_paper: bool
    """Whether it is one of the 22 games of the published table."""
    variables: dict[str, int | list[int]]
    """Place in RAM by name; a list is one variable per entry."""

    @property
    def places(self) -> Mapping[str, int]:
        """Place in RAM of every variable, those of a list named <variable>_<position from 0>."""
        found: dict[str, int] = {}
        for name, place in self.variables.items():
            found |= {name: place} if isinstance(place, int) else {f"{name}_{k}": byte for k, byte in enumerate(place)}
        return found


class _Table(Struct, frozen=True):
    """What games.json holds."""

    about: dict[str, str]
    games: dict[str, Game]


@functools.cache
def games() -> Mapping[str, Game]:
    """All games by name, in alphabetical order."""
    content = importlib.resources.files("harness_atari").joinpath("games.json").read_bytes()
    table = msgspec.json.decode(content, type=_Table)
    return {name: msgspec.structs.replace(game, name=name) for name, game in table.games.items()}


def game(name: str) -> Game:
    """The game of this name. Raises UnknownNameError with the names that may be meant."""
    if name not in games():
        raise UnknownNameError("annotated Atari game", name, _nearest(name), tuple(games()))
    return games()[name]


def _nearest(name: str) -> tuple[str, ...]:
    """The games that `name` may stand for; names of gymnasium's environments, such as "ALE/MsPacman-v5", are understood."""
    bare = re.sub(r"^ALE/|(NoFrameskip|Deterministic)?(-v\d+)?$", "", name)
    letters = {re.sub(r"\W|_", "", known): known for known in games()}
    found = difflib.get_close_matches(re.sub(r"\W|_", "", bare).lower(), letters, n=2)
    if found and found[0] == re.sub(r"\W|_", "", bare).lower():
        found = found[:1]
    return tuple(letters[match] for match in found)

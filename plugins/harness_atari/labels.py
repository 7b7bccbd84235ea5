"""What a protocol keeps of a collection: variables, episodes and their division into parts.

`aari`: a frame's values are the RAM of its own instant; variables are chosen by their entropy in the training part; episodes are
shuffled before they are divided. `aari-legacy` is the code of the paper: the first frame of an episode has the RAM of the step that
ended the one before; variables are chosen by their entropy in all kept episodes; these are divided in the order they were collected
in. In both, episodes of 64 frames or fewer are dropped, and test frames that are byte for byte a training or validation frame are
removed.

Anand, Racah, Ozair, Bengio, Côté, Hjelm (2019), and atariari/benchmark/episodes.py of its code. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness import UnfitError
from harness_atari.collection import Collection, seeded
from harness_atari.games import Game
from harness_atari.spec_data import AARI_LEGACY, BATCH, LEAST_ENTROPY

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """What is judged of a probe collection of T frames."""

    factors: Mapping[str, NDArray[np.int64]]
    """The variables that are judged, each [T], in the order of the game's table."""
    entropy: Mapping[str, float]
    """Nats of every variable of the game, also of those that are not judged."""
    train: Index
    validation: Index
    test: Index
    """Numbers of the frames of each part, ascending."""


def judged(collection: Collection, game: Game, protocol: str, seed: int) -> Judged:
    """Variables and parts of a probe collection.

    :param protocol: "aari" or "aari-legacy".
    :param seed: of the data, from which `aari` shuffles; never the run's.
    :raises UnfitError: when there are too few episodes to divide, no variable varies enough, or no test frame is left.
    """
    legacy = protocol == AARI_LEGACY.name
    episodes = _Episodes.longer_than(BATCH, collection.episodes)
    order = episodes.in_order if legacy else episodes.shuffled(f"{protocol}/{seed}/probe")
    # As whole numbers of episodes, rounded down like this: 0.7 and 0.8 of ten episodes are seven and eight.
    cuts = int(0.7 * len(order)), int(0.8 * len(order))
    parts = np.split(order, cuts)
    if not all(len(part) for part in parts):
        raise UnfitError(
            f"{episodes.described(game)}, which cannot be divided 70/10/20 into parts that each have one; ask for more frames with "
            "-o data.probe_frames=."
        )
    train, validation, test = (episodes.frames(part) for part in parts)
    seen = np.concatenate([train, validation])
    test = test[~np.isin(collection.digests[test], collection.digests[seen])]
    if legacy:
        test = _without_single_frames(test, collection.episodes)
    if not len(test):
        raise UnfitError(
            f"Every test frame of {game.name} is byte for byte a training or validation frame, so nothing is left to judge; ask "
            "for more frames with -o data.probe_frames=."
        )
    ram = collection.step_ram if legacy else collection.ram
    chosen_by = ram[episodes.frames(order) if legacy else train]
    entropy = {name: entropy_nats(chosen_by[:, place]) for name, place in game.places.items()}
    factors = {name: ram[:, place].astype(np.int64) for name, place in game.places.items() if entropy[name] >= LEAST_ENTROPY}
    if not factors:
        raise UnfitError(
            f"No variable of {game.name} varies by {LEAST_ENTROPY} nats or more in these frames; ask for more with "
            "-o data.probe_frames=."
        )
    return Judged(factors, entropy, train, validation, test)


def pretraining(collection: Collection, game: Game, protocol: str, seed: int, validation: float) -> tuple[Index, Index]:
    """Numbers of the frames to train on and of those that the stop rule watches, ascending, of a pretraining collection.

    :param validation: share of the episodes that the stop rule watches; with 0 the second part is empty.
    :raises UnfitError: when there are too few episodes.
    """
    episodes = _Episodes.longer_than(BATCH, collection.episodes)
    order = episodes.in_order if protocol == AARI_LEGACY.name else episodes.shuffled(f"{protocol}/{seed}/pretrain")
    cut = int((1 - validation) * len(order)) if validation else len(order)
    if cut == 0 or (validation and cut == len(order)):
        kept = f" and keep {validation:.0%} of them from training; set data.validation=0 or" if validation else ";"
        raise UnfitError(
            f"{episodes.described(game)}, too few to train on{kept} ask for more frames with -o data.pretrain_frames=."
        )
    return episodes.frames(order[:cut]), episodes.frames(order[cut:])


def entropy_nats(values: NDArray[np.uint8]) -> float:
    """Entropy of the empirical distribution of bytes [n], in nats."""
    share = np.bincount(values, minlength=256) / len(values)
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


class _Episodes:
    """Some of the episodes of a collection.

    :param starts: [E] number of each one's first frame, ascending.
    :param lengths: [E] number of its frames.
    :param total: how many episodes the collection has.
    """

    def __init__(self, starts: Index, lengths: Index, total: int) -> None:
        self._starts, self._lengths, self._total = starts, lengths, total
        self.in_order: Index = np.arange(len(starts))
        """[E] places of the episodes, in the order they were collected in, console after console."""

    @classmethod
    def longer_than(cls, length: int, episodes: NDArray[np.int64]) -> _Episodes:
        """Those of more than `length` frames. `episodes` [T] holds the number of each frame's first frame of its episode."""
        starts, lengths = np.unique(episodes, return_counts=True)
        kept = lengths > length
        return cls(starts[kept], lengths[kept], len(starts))

    def shuffled(self, label: str) -> Index:
        """[E] places of the episodes in an order that depends on `label` alone."""
        return seeded(label).permutation(len(self._starts))

    def frames(self, places: Index) -> Index:
        """Numbers of all frames of the episodes at these places, ascending."""
        starts, lengths = self._starts[places], self._lengths[places]
        before = np.cumsum(lengths) - lengths
        return np.sort(np.repeat(starts - before, lengths) + np.arange(lengths.sum()))

    def described(self, game: Game) -> str:
        """How many there are, as the beginning of a sentence."""
        return f"Of {self._total} episodes of {game.name} {len(self._starts)} are longer than {BATCH} frames"


def _without_single_frames(test: Index, episodes: NDArray[np.int64]) -> Index:
    """Without the frames of episodes that have only one of them."""
    _, place, counts = np.unique(episodes[test], return_inverse=True, return_counts=True)
    return test[counts[place] > 1]

"""What becomes of ST-DIM when the two frames of a pair are not of one episode: localisation must be lost.

    python benchmarks/faithful/atari_across_episodes.py --out benchmarks/faithful/atari_across_episodes.json

Trains `st-dim` in budget fast on the same frames twice: on pairs of consecutive frames, and on pairs whose later frame is a random
one of another episode. All else is the same, the seeds and the earlier frames too. What the contrast can learn of such a pair is
nothing of where things are. Beside them stand the untrained encoder and the most frequent values.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

import harness
from harness.data.files import cache_folder
from harness.line.loading import data_context
from harness_atari.frames import build_atari
from harness_atari.spec_data import AtariOptions, resolve_atari


class AcrossEpisodes(harness.Source[Any]):
    """Frames whose pairs have a random frame of another episode in place of the later one."""

    def __init__(self, frames: harness.FrameSource) -> None:
        self._frames, self.description = frames, frames.description
        first = frames.description.samples - len(frames.episodes)
        self._episode = frames.episodes[frames.index - first]

    def epoch(self, sampling: harness.Sampling, batch_size: int, generator: torch.Generator) -> harness.Epoch[Any]:
        """Every pair of the frames once; its later frame is drawn when the batch is."""
        pairs = self._frames.epoch(sampling, batch_size, generator)
        return _Across(pairs, self, int(torch.randint(2**62, (), generator=generator)))

    def of_other_episodes(self, number: Tensor, generator: torch.Generator) -> Tensor:
        """Pixels of a random frame of another episode for each of these frames [n]."""
        mine = self._episode[torch.searchsorted(self._frames.index, number)]
        other = torch.randint(len(self._episode), mine.shape, generator=generator)
        while (same := self._episode[other] == mine).any():
            other[same] = torch.randint(len(self._episode), (int(same.sum()),), generator=generator)
        return self._frames.pixels(self._frames.index[other])

    def in_order(self, batch_size: int) -> Iterator[Any]:
        """Every frame once."""
        return self._frames.in_order(batch_size)

    def to(self, device: torch.device | str) -> AcrossEpisodes:
        """The same on `device`."""
        return AcrossEpisodes(self._frames.to(device))

    def content_sha256(self) -> str:
        """That of the frames: another name tells the two data sets apart."""
        return self._frames.content_sha256()


class _Across(harness.Epoch[Any]):
    def __init__(self, pairs: harness.Epoch[Any], source: AcrossEpisodes, seed: int) -> None:
        self._pairs, self._source, self._seed = pairs, source, seed

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, position: int) -> harness.FramePairs:
        pair: harness.FramePairs = self._pairs[position]
        drawn = torch.Generator().manual_seed(self._seed + position)
        return replace(pair, second=self._source.of_other_episodes(pair.index, drawn))


def data_of(game: str, *, across: bool) -> harness.UserData:
    """The frames of budget fast, whose pairs are within episodes or across them."""
    spec = resolve_atari(game)
    options = msgspec.convert(spec.budgets["fast"], AtariOptions)
    word = "across" if across else "within"

    def build(context: harness.DataContext, _: Any) -> harness.DataSet:
        game_context = data_context(spec, {}, cache_folder(), protocol=context.protocol, progress=context.progress)
        made = build_atari(game_context, options)
        assert isinstance(made.pretrain, harness.FrameSource)
        return replace(made, pretrain=AcrossEpisodes(made.pretrain)) if across else made

    recipe = harness.GeneratedRecipe(generator="pairs", settings={"pairs": word, **msgspec.to_builtins(options)})
    named = msgspec.structs.replace(
        spec, name=f"user-{game}-{word}", recipe=recipe, options=harness.Options, budgets={}, prepare=None
    )
    return harness.UserData(named, build)


def scores_of(record: Any) -> dict[str, float]:
    """Mean F1, and that of each category."""
    return {
        metric.of.get("category", "f1"): round(metric.value, 4) for metric in record.metrics if metric.name in ("f1", "category_f1")
    }


def main() -> None:
    """Train, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--game", default="pong")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders go, and what is done is found again")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {}
    for across in (False, True):
        data = data_of(given.game, across=across)
        records = harness.run(
            "st-dim", data, seeds=given.seeds, budget="fast", threads=given.threads, out=given.runs, references=not across
        )
        for record in records:
            name = record.identity.method.name
            row = f"{name}, pairs {'across' if across else 'within'} episodes" if name == "st-dim" else name
            found.setdefault(row, []).append(scores_of(record))
    for row, runs in found.items():
        means = {name: statistics.fmean(run[name] for run in runs) for name in runs[0]}
        print(f"{row:40}", "  ".join(f"{name} {value:.3f}" for name, value in means.items()))
    if given.out:
        environment = {"torch": torch.__version__, "machine": platform.machine(), "threads": given.threads}
        document = {"game": given.game, "budget": "fast", "seeds": given.seeds, "environment": environment, "f1": found}
        given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

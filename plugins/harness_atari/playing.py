"""Games as a policy of your own plays them, for `harness.run(data=...)`.

import harness, harness_atari

def policy(frames, generator):                     # frames [8, 210, 160] of eight consoles -> an action for each
    return generator.integers(1, len(harness_atari.actions("pong")), size=8)

seen = harness_atari.play("pong", policy, "pong-by-my-policy", pretrain_frames=20_000, probe_frames=15_000)
harness.run(method="st-dim", data=seen)
seen = harness_atari.played("pong-by-my-policy")   # another day
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness import DataContext, DataSet, DataSetSpec, GeneratedRecipe, Options, Progress, UsageError, UserData, no_progress
from harness_atari.array_folders import write_note
from harness_atari.collecting import Policy, collect_by_policy
from harness_atari.collection import Collection, Plan, open_collection
from harness_atari.emulation import Emulator
from harness_atari.frames import data_set
from harness_atari.games import game
from harness_atari.spec_data import BUDGETS_OF_PLAYED, AtariOptions, FrameSize, Validation, resolve_atari

_NOTE = "played.json"
"""Holds the digests of both parts, that to train on first, and is written last."""


class PlayedOptions(Options, frozen=True, kw_only=True):
    """Options of frames that lie there already."""

    validation: Validation = 0.2
    size: FrameSize = None


def actions(name: str) -> tuple[str, ...]:
    """The actions of a game in the order of their numbers, such as ("NOOP", "FIRE", "RIGHT", ...).

    Raises UnknownNameError where no such game is annotated, DataError when ale-py is not installed.
    """
    return Emulator(game(name), np.random.default_rng(0)).action_names


def play(
    name: str,
    policy: Policy,
    folder: str | Path,
    *,
    pretrain_frames: int = 100_000,
    probe_frames: int = 50_000,
    seed: int = 42,
    progress: Progress = no_progress,
) -> UserData:
    """Let a policy play a game, keep what is seen with the RAM of every step in `folder`, and return it as data.

    :param name: of one of the 24 games, such as "ms_pacman".
    :param policy: called as `policy(frames, generator)` with what eight consoles show, [8, 210, 160] uint8, and a NumPy generator
        of its own; gives eight numbers of `actions(name)`.
    :param folder: where the frames go; what was played into it before is replaced.
    :param pretrain_frames, probe_frames: to train on, and to judge by; each a multiple of 8.
    :param seed: of the consoles, the policy's generator and the split.
    :param progress: told how far it is: (done, total, "frames").

    Raises UnknownNameError for another game, UsageError for numbers that cannot be, UnfitError when the policy gives something
    else than eight actions, DataError when there is no emulator or the disk has no room.
    """
    playing, folder = game(name), Path(folder)
    if not callable(policy):
        raise UsageError(f"`policy` is a {type(policy).__name__}; give a function of frames [8, 210, 160] and a generator.")
    sizes = {"pretrain_frames": pretrain_frames, "probe_frames": probe_frames, "seed": seed}
    try:
        msgspec.convert(sizes, AtariOptions)
    except msgspec.ValidationError as error:
        raise UsageError(f"Frames and the seed are whole numbers, the former multiples of 8: {error}.") from None
    training_plan = Plan(game=playing.name, part="pretrain", frames=pretrain_frames, seed=seed)
    probing_plan = Plan(game=playing.name, part="probe", frames=probe_frames, seed=seed)
    training = collect_by_policy(folder / training_plan.part, training_plan, policy, progress=progress)
    probing = collect_by_policy(folder / probing_plan.part, probing_plan, policy, progress=progress)
    write_note(folder / _NOTE, [training.content_sha256, probing.content_sha256])
    return _user_data(training, probing, None)


def played(folder: str | Path, *, name: str | None = None) -> UserData:
    """What `play` kept in a folder, as data for `harness.run(data=...)`, `harness.evaluate` and `harness.report`.

    :param name: its name in records; default "user-", the game and the first letters of the content's digest.

    Raises UsageError when nothing whole lies there.
    """
    training, probing = (open_collection(Path(folder) / part) for part in ("pretrain", "probe"))
    # Where playing was interrupted, one of them may be older than the other.
    if training is None or probing is None or _noted(Path(folder)) != [training.content_sha256, probing.content_sha256]:
        raise UsageError(f"{folder} holds no frames that harness_atari.play has finished, or they are damaged; play again.")
    return _user_data(training, probing, name)


def _noted(folder: Path) -> Any:
    """The digests of both parts that were played together; None where they are not told."""
    try:
        return json.loads((folder / _NOTE).read_bytes())
    except (OSError, ValueError):
        return None


def _user_data(training: Collection, probing: Collection, name: str | None) -> UserData:
    playing, seed = probing.plan.game, probing.plan.seed
    digest = hashlib.sha256(f"{training.content_sha256}{probing.content_sha256}{seed}".encode()).hexdigest()
    of_game = resolve_atari(playing)
    spec: DataSetSpec = msgspec.structs.replace(
        of_game,
        name=name or f"user-{playing.replace('_', '-')}-{digest[:8]}",
        summary=f"{of_game.summary.partition(' played at random')[0]} played by a policy",
        recipe=GeneratedRecipe(generator="harness_atari.play", settings={"game": playing, "content_sha256": digest}),
        build="harness_atari.playing:played",
        options=PlayedOptions,
        budgets=BUDGETS_OF_PLAYED,
        prepare=None,
        requires=(),
        samples=len(probing.episodes),
    )

    def build(context: DataContext, options: Any) -> DataSet:
        return data_set(training, probing, context, seed=seed, validation=options.validation, size=options.size)

    return UserData(spec, build)

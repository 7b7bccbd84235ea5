"""A collection: what is seen in a game, frame after frame, with the RAM of every step, in files that are mapped into memory.

Eight consoles play side by side, each with its own seed and an equal share of the frames, which lie one console after the other.
Imports no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from harness_atari.array_folders import Forms, plan_of, whole_folder
from harness_atari.emulation import HEIGHT, RAM_BYTES, WIDTH, Bytes
from harness_atari.spec_data import EMULATORS, collection_recipe


class Plan(Struct, frozen=True, kw_only=True):
    """What is collected."""

    game: str
    part: Literal["pretrain", "probe"]
    """To train on, or to judge by: two parts of one seed are different frames."""
    frames: int
    """A multiple of 8."""
    seed: int
    has_frames: bool = True
    """False: RAM and digests of the frames alone."""

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.part}-s{self.seed}-{self.frames}" + ("" if self.has_frames else "-labels")

    @property
    def share(self) -> int:
        """Frames of each console."""
        return self.frames // EMULATORS

    @property
    def forms(self) -> Forms:
        """Shape and type of each array."""
        forms: dict[str, tuple[tuple[int, ...], Any]] = {
            "ram": ((self.frames, RAM_BYTES), np.uint8),
            "step_ram": ((self.frames, RAM_BYTES), np.uint8),
            "episodes": ((self.frames,), np.int64),
            "digests": ((self.frames,), np.uint64),
        }
        return forms | ({"frames": ((self.frames, 1, HEIGHT, WIDTH), np.uint8)} if self.has_frames else {})


@dataclass(frozen=True)
class Collection:
    """A finished collection of T frames, mapped read-only."""

    folder: Path
    plan: Plan
    content_sha256: str
    frames: Bytes | None
    """[T, 1, 210, 160]; None where only RAM and digests were kept."""
    ram: Bytes
    """[T, 128] the RAM of the instant of each frame."""
    step_ram: Bytes
    """[T, 128] the RAM at the end of the step that gave the frame: that of `ram`, but at the first frame of an episode that of the
    step that ended the episode before."""
    episodes: NDArray[np.int64]
    """[T] the episode of each frame, called by the number of its first frame."""
    digests: NDArray[np.uint64]
    """[T] the first 64 bits of the sha256 of each frame."""


def open_collection(folder: Path, recipe: Mapping[str, Any] | None = None) -> Collection | None:
    """The finished collection in `folder`; None where there is none, it is damaged, or it is of another recipe than this one."""
    recipe = plan_of(folder) if recipe is None else recipe
    found = whole_folder(folder, recipe, content_sha256)
    if found is None or recipe is None:
        return None
    arrays, content = found
    return Collection(
        folder=folder,
        plan=msgspec.convert(recipe["plan"], Plan),
        content_sha256=content,
        frames=arrays.get("frames"),
        ram=arrays["ram"],
        step_ram=arrays["step_ram"],
        episodes=arrays["episodes"],
        digests=arrays["digests"],
    )


def recipe_of(plan: Plan) -> dict[str, Any]:
    """All that the arrays depend on."""
    return collection_recipe(plan.game) | {"plan": msgspec.to_builtins(plan), "form": 1}


def rows_of(plan: Plan, stream: int) -> slice:
    """The rows of one console."""
    return slice(stream * plan.share, (stream + 1) * plan.share)


def seeded(label: str) -> np.random.Generator:
    """Random numbers that depend on `label` alone."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big"))


# ----------------------------------------------------------------------------------------------------------- digests


def digest(frame: Bytes) -> int:
    """The first 64 bits of its sha256."""
    return int.from_bytes(hashlib.sha256(frame.data).digest()[:8], "little")


def console_sha256(arrays: Mapping[str, NDArray[Any]], rows: slice) -> str:
    """Digest of what one console left; frames enter through their own digests, and "" says that these are not theirs."""
    if "frames" in arrays and not np.array_equal(digests(arrays["frames"][rows]), arrays["digests"][rows]):
        return ""
    content = hashlib.sha256()
    for name in ("ram", "step_ram", "episodes", "digests"):
        content.update(arrays[name][rows].data)
    return content.hexdigest()


def digests(frames: Iterable[Bytes]) -> NDArray[np.uint64]:
    """[T] those of frames [T, ...]."""
    return np.array([digest(frame) for frame in frames], dtype=np.uint64)


def content_sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Digest of a whole collection."""
    share = len(arrays["ram"]) // EMULATORS
    return joined([console_sha256(arrays, slice(k * share, (k + 1) * share)) for k in range(EMULATORS)])


def joined(marks: Sequence[str]) -> str:
    """The digest of a collection from those of its consoles."""
    return hashlib.sha256("".join(marks).encode()).hexdigest()

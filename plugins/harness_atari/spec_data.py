"""Specs of the Atari games and of their protocols, and what a collection of frames is made by. Imports nothing heavy."""

from __future__ import annotations

import importlib.metadata
from typing import Annotated, Any, Literal

from harness import DataSetFamilySpec, DataSetSpec, GeneratedRecipe, Meta, Options, ProtocolSpec
from harness_atari.games import game

SCREEN = (1, 210, 160)
"""Channels, height and width of a frame."""
SMALL_SCREEN = 84
"""Height and width of the smaller frames."""

# What a collection is made by: another value makes other frames.
EMULATORS = 8
"""Consoles that play side by side, each with a seed of its own and an equal share of the frames."""
FRAME_SKIP = 4
"""Frames of the console that a step repeats its action for; what is seen is the maximum of the last two."""
MOST_NOOPS = 30
"""Of the frames of NOOP, at least one, that go by after the console is reset."""
LONGEST = 400_000
"""Frames of the console after which a game is over, whatever happens."""

# What the protocols keep of it.
BATCH = 64
"""Episodes of this many frames or fewer are dropped: the paper's batch size."""
LEAST_ENTROPY = 0.6
"""Nats: a variable of less is not judged."""

REFERENCES = ("random", "majority")
"""Rows beside every result, as in the paper. Raw pixels, 33,600 numbers a frame, are not among them."""

TESTED_EMULATOR = "0.12.1"
"""The version of ale-py that is named where none is installed."""

_FRAMES = Meta(ge=8, multiple_of=EMULATORS)


# ------------------------------------------------------------------------------------------------------ options


Validation = Annotated[
    Annotated[float, Meta(ge=0, le=0.9)],
    Meta(description="share of the training episodes that the stop rule watches instead; 0: none"),
]
FrameSize = Annotated[
    Literal[84] | None,
    Meta(description="height and width that frames are brought to by averaging over areas; none: 210 x 160 as they are"),
]


class AtariOptions(Options, frozen=True, kw_only=True):
    """Options of the Atari games."""

    pretrain_frames: Annotated[
        Annotated[int, _FRAMES], Meta(description="frames to train the encoder on, before short episodes are dropped")
    ] = 100_000
    probe_frames: Annotated[
        Annotated[int, _FRAMES], Meta(description="frames to judge it on, from other episodes, before short ones are dropped")
    ] = 50_000
    validation: Validation = 0.2
    size: FrameSize = None
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1, description="of the random agent, of the console and of the split")] = 42


class AtariLabelOptions(Options, frozen=True, kw_only=True):
    """Options of the labels alone."""

    probe_frames: Annotated[Annotated[int, _FRAMES], Meta(description="as of the game's data set with frames")] = 50_000
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1, description="as of the game's data set with frames")] = 42


_PROBE_BUDGETS: dict[str, dict[str, Any]] = {"fast": {"probe_frames": 15_000}, "smoke": {"probe_frames": 4_000}}
BUDGETS_OF_PLAYED: dict[str, dict[str, Any]] = {"fast": {"validation": 0.0}, "smoke": {"validation": 0.0}}
"""Of frames that are there already: their number is what it is."""
_BUDGETS: dict[str, dict[str, Any]] = {
    "fast": {"pretrain_frames": 20_000, **_PROBE_BUDGETS["fast"], **BUDGETS_OF_PLAYED["fast"]},
    "smoke": {"pretrain_frames": 4_000, **_PROBE_BUDGETS["smoke"], **BUDGETS_OF_PLAYED["smoke"]},
}

# ---------------------------------------------------------------------------------------------------- protocols

_COLLECTION = (
    "8 consoles without sticky actions, 4 frames a step, at most 30 NOOPs at a reset, FIRE where the game has it, an episode for "
    "every life, an agent that draws every action but NOOP with equal probability; the maximum of a step's last two frames, "
    "210 x 160, as the luminance of the console's palette, 0..255 become 0..1"
)

AARI = ProtocolSpec(
    name="aari",
    version=1,
    summary="RAM variables of Atari games read off a frozen feature by linear probes, off-by-ones of the paper's code mended.",
    track="atari",
    splits="episodes of more than 64 frames of the probe collection, shuffled and divided 70/10/20, the same for every run; "
    "variables of less than 0.6 nats in the training part are not judged; test frames that are byte for byte a training or "
    "validation frame are removed; a frame's values are the RAM of its own instant. Training sees another collection.",
    preprocessing=_COLLECTION,
    evaluators=("ram-probe",),
    features=("y",),
    references=REFERENCES,
)

AARI_LEGACY = ProtocolSpec(
    name="aari-legacy",
    version=1,
    summary="RAM variables of Atari games read off a frozen feature by linear probes, as the paper's code does it.",
    track="atari",
    splits="episodes of more than 64 frames of the probe collection, divided 70/10/20 in the order they were collected in, console "
    "after console; variables of less than 0.6 nats in all of these are not judged; test frames that are byte for byte a training "
    "or validation frame are removed, and test episodes that keep at most one frame; the first frame of an episode has the RAM of "
    "the step that ended the one before. Training sees another collection, frames drawn with replacement from episodes drawn with "
    "replacement.",
    preprocessing=_COLLECTION,
    evaluators=("ram-probe-legacy",),
    features=("y",),
    references=REFERENCES,
)

# ---------------------------------------------------------------------------------------------------- data sets


def emulator() -> str:
    """The emulator with its version, such as "ale-py 0.12.1"."""
    try:
        return f"ale-py {importlib.metadata.version('ale-py')}"
    except importlib.metadata.PackageNotFoundError:
        return f"ale-py {TESTED_EMULATOR}"


def collection_recipe(name: str) -> dict[str, Any]:
    """All that the frames of a game depend on but the number of frames and the seed. Raises UnknownNameError."""
    return {
        "game": name,
        "rom_sha256": game(name).rom_sha256,
        "emulator": emulator(),
        "emulators": EMULATORS,
        "agent": "every action but NOOP with equal probability",
        "sticky_actions": 0.0,
        "frame_skip": FRAME_SKIP,
        "pixels": "luminance of the palette, maximum of the last 2 frames",
        "most_noops": MOST_NOOPS,
        "fire_on_reset": True,
        "episode": "one life",
        "longest_episode": LONGEST,
    }


def _data_set(name: str, argument: str, summary: str, build: str, **details: Any) -> DataSetSpec:
    return DataSetSpec(
        name=f"{name}:{argument}",
        summary=summary,
        track="atari",
        build=f"harness_atari.frames:{build}",
        recipe=GeneratedRecipe(generator="harness_atari.collection", settings=collection_recipe(argument)),
        protocols=(AARI.name, AARI_LEGACY.name),
        annotations=("factors",),
        requires=("ale_py",),
        licence="frames and labels are made by ale-py (GPL-2.0), which brings the ROMs",
        citation="Anand, Racah, Ozair, Bengio, Côté, Hjelm (2019), Unsupervised State Representation Learning in Atari, NeurIPS, "
        "arXiv:1906.08226; Bellemare, Naddaf, Veness, Bowling (2013), The Arcade Learning Environment, JAIR",
        **details,
    )


def resolve_atari(argument: str) -> DataSetSpec:
    """The frames of a game and the variables in its RAM. Raises UnknownNameError where no such game is annotated."""
    count = len(game(argument).places)
    return _data_set(
        "atari",
        argument,
        f"Frames of {_title(argument)} played at random, with {count} variables of its RAM.",
        "build_atari",
        kind="frames",
        sampling=("items", "pairs", "sequences"),
        shape=SCREEN,
        options=AtariOptions,
        budgets=_BUDGETS,
        prepare="harness_atari.frames:prepare_atari",
    )


def resolve_atari_ram(argument: str) -> DataSetSpec:
    """The variables in a game's RAM without its frames, for what looks at nothing. Raises as `resolve_atari`."""
    count = len(game(argument).places)
    return _data_set(
        "atari-ram",
        argument,
        f"The {count} variables of {_title(argument)} alone, without frames: for the row majority.",
        "build_atari_ram",
        kind="vectors",
        sampling=("items",),
        shape=(1,),
        options=AtariLabelOptions,
        budgets=_PROBE_BUDGETS,
        prepare="harness_atari.frames:prepare_atari_ram",
    )


def _title(argument: str) -> str:
    return argument.replace("_", " ").title()


ATARI = DataSetFamilySpec(
    prefix="atari",
    summary="Frames of one of 24 Atari games played at random, with the variables in its RAM.",
    resolve="harness_atari.spec_data:resolve_atari",
    example="atari:pong",
)

ATARI_RAM = DataSetFamilySpec(
    prefix="atari-ram",
    summary="The variables in the RAM of one of 24 Atari games, without its frames.",
    resolve="harness_atari.spec_data:resolve_atari_ram",
    example="atari-ram:pong",
)

DATASETS: list[DataSetSpec | DataSetFamilySpec] = [ATARI, ATARI_RAM]
PROTOCOLS: list[ProtocolSpec] = [AARI, AARI_LEGACY]

"""Specs of Spatiotemporal Deep InfoMax and of what it is compared with: options, objectives, methods. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from harness import Meta, MethodSpec, ObjectiveSpec, Options
from harness_atari.spec_encoders import ATARI_ENCODERS

# ------------------------------------------------------------------------------------------------------ options

Rate = Annotated[float, Meta(gt=0, description="Adam's learning rate, for every network")]
Offset = Annotated[int, Meta(ge=1, description="steps from the earlier frame of a pair to the later one")]
Count = Annotated[int, Meta(ge=1)]


class STDIMOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `st-dim`."""

    terms: Annotated[
        Literal["both", "global-local", "local-local"],
        Meta(
            description="what of the later frame is to be recognised in the earlier one's local features: y, local features or both"
        ),
    ] = "both"
    offset: Annotated[
        int, Meta(ge=0, description="steps from the earlier frame of a pair to the later one; 0: both are the same frame")
    ] = 1
    lr: Rate = 3e-4


class GlobalTDIMOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `global-t-dim`."""

    offset: Offset = 1
    lr: Rate = 3e-4


class JSDSTDIMOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `jsd-st-dim`."""

    offset: Offset = 1
    lr: Rate = 3e-4


class CPCOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `cpc`."""

    sequence_length: Annotated[int, Meta(ge=2, description="frames in a run")] = 100
    stride: Annotated[Count, Meta(description="steps from the first frame of a run to that of the next in its episode")] = 10
    predict_every: Annotated[Count, Meta(description="one in so many steps ahead is predicted, the next frame first")] = 4
    gru_size: Annotated[Count, Meta(description="units of the recurrent net that sums up the past")] = 256
    gru_layers: Annotated[Count, Meta(description="its layers")] = 2
    lr: Rate = 3e-4


class PixelPredOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `pixel-pred`."""

    offset: Annotated[int, Meta(ge=1, description="steps from the frame that is seen to the one that is predicted")] = 1
    decoder_scale: Annotated[float, Meta(gt=0, description="width of the decoder, as a multiple of the encoder's mirror")] = 1.0
    lr: Rate = 3e-4


# --------------------------------------------------------------------------------------------------- objectives

OBJECTIVES = (
    ObjectiveSpec(
        name="st-dim",
        summary="Each place of a frame recognised among the batch's same places, from the next frame's y and its same place.",
        build="harness_atari.st_dim:build",
        sampling=("pairs", "items"),
        smallest_batch=2,
        options=STDIMOptions,
    ),
    ObjectiveSpec(
        name="global-t-dim",
        summary="The y of a frame recognised among other frames' y, from the next frame's y.",
        build="harness_atari.global_t_dim:build",
        sampling=("pairs",),
        smallest_batch=2,
        options=GlobalTDIMOptions,
    ),
    ObjectiveSpec(
        name="jsd-st-dim",
        summary="ST-DIM with binary cross-entropies, against a random frame of the same episode.",
        build="harness_atari.jsd_st_dim:build",
        sampling=("pairs",),
        options=JSDSTDIMOptions,
    ),
    ObjectiveSpec(
        name="cpc",
        summary="Later y of a sequence recognised among all others, from what a recurrent net has seen so far.",
        build="harness_atari.cpc:build",
        sampling=("sequences",),
        smallest_batch=2,
        options=CPCOptions,
    ),
    ObjectiveSpec(
        name="pixel-pred",
        summary="The next frame's pixels decoded from y, without knowing the action.",
        build="harness_atari.pixel_pred:build",
        sampling=("pairs",),
        needs_decoder=True,
        options=PixelPredOptions,
    ),
)

# ------------------------------------------------------------------------------------------------------ methods

_ANAND = (
    "Anand, Racah, Ozair, Bengio, Côté, Hjelm: Unsupervised State Representation Learning in Atari, NeurIPS 2019, arXiv:1906.08226"
)
_ANAND_CITATION = """\
@inproceedings{anand2019unsupervised,
  title     = {Unsupervised State Representation Learning in {Atari}},
  author    = {Anand, Ankesh and Racah, Evan and Ozair, Sherjil and Bengio, Yoshua and C\\^{o}t\\'{e}, Marc-Alexandre
               and Hjelm, R Devon},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2019}
}"""
_CPC = "van den Oord, Li, Vinyals: Representation Learning with Contrastive Predictive Coding, 2018, arXiv:1807.03748"
_CPC_CITATION = """\
@article{oord2018representation,
  title   = {Representation Learning with Contrastive Predictive Coding},
  author  = {van den Oord, A{\\"a}ron and Li, Yazhe and Vinyals, Oriol},
  journal = {arXiv preprint arXiv:1807.03748},
  year    = {2018}
}"""

FAST_EPOCHS = 4
"""Of 20,000 frames: three to four minutes of ST-DIM on two cores."""


def _without_a_stop_rule(budget: Mapping[str, Any]) -> dict[str, Any]:
    return {**budget, "train": {**budget["train"], "patience": None}}


def _method(
    name: str,
    summary: str,
    objective: str,
    options: Mapping[str, Any] | None = None,
    *,
    fast: Mapping[str, Any] | None = None,
    smoke: Mapping[str, Any] | None = None,
    paper: str = _ANAND,
    citation: str = _ANAND_CITATION,
) -> MethodSpec:
    return MethodSpec(
        name=name,
        summary=summary,
        objective=objective,
        encoders=ATARI_ENCODERS,
        # A stop rule on validation frames, where the budget keeps some.
        options={"train": {"epochs": 100, "batch_size": 64, "patience": 15}} | ({"objective": dict(options)} if options else {}),
        budgets={
            "fast": _without_a_stop_rule(fast or {"train": {"epochs": FAST_EPOCHS}}),
            "smoke": _without_a_stop_rule(smoke or {"train": {"epochs": 1}}),
        },
        paper=paper,
        citation=citation,
    )


METHODS = (
    _method(
        "st-dim",
        "Spatiotemporal Deep InfoMax: global-local and local-local InfoNCE between consecutive frames.",
        "st-dim",
        {"terms": "both", "offset": 1},
    ),
    _method(
        "static-dim",
        "Deep InfoMax on single frames: global-local InfoNCE without a shift in time.",
        "st-dim",
        {"terms": "global-local", "offset": 0},
    ),
    _method("global-t-dim", "InfoNCE between the global vectors of consecutive frames.", "global-t-dim"),
    _method("jsd-st-dim", "ST-DIM with the Jensen-Shannon bound and negatives of the same episode.", "jsd-st-dim"),
    _method(
        "cpc",
        "Contrastive predictive coding: later frames of a sequence predicted in representation space.",
        "cpc",
        # Few and short sequences, each frame in one of them: 600 steps of Adam in the time of the other methods.
        fast={"train": {"epochs": 8, "batch_size": 8}, "objective": {"sequence_length": 32, "stride": 32}},
        smoke={"train": {"epochs": 1, "batch_size": 8}, "objective": {"sequence_length": 16, "stride": 16, "gru_size": 64}},
        paper=_CPC,
        citation=_CPC_CITATION,
    ),
    _method("pixel-pred", "The next frame predicted pixel by pixel, without knowing the action.", "pixel-pred"),
)

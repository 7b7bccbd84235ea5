"""Data sets of Atari games: a collection to train on and another to judge by, as sources of frames."""

from __future__ import annotations

from typing import Any

import torch

from harness import Annotations, DataContext, DataSet, FrameSource, Progress, Splits, VectorSource
from harness_atari.collecting import collect
from harness_atari.collection import Collection, Plan
from harness_atari.games import Game, game
from harness_atari.labels import judged, pretraining
from harness_atari.legacy_frames import LegacyFrames
from harness_atari.shrinking import shrunk_frames
from harness_atari.spec_data import AARI_LEGACY, AtariLabelOptions, AtariOptions


def build_atari(context: DataContext, options: AtariOptions) -> DataSet:
    """The frames of one game: those of the probe collection are judged, training sees those of the other one."""
    training, probing = prepare_atari(context, options)
    return data_set(training, probing, context, seed=options.seed, validation=options.validation, size=options.size)


def data_set(
    training: Collection, probing: Collection, context: DataContext, *, seed: int, validation: float, size: int | None
) -> DataSet:
    """The data set of two collections of a game, as the protocol of `context` wants it.

    :param seed: of the split.
    :param validation: share of the training episodes that the stop rule watches.
    :param size: height and width of frames; None: as they are.
    """
    playing, protocol = game(context.settings["game"]), context.protocol
    legacy = protocol == AARI_LEGACY.name
    labels = judged(probing, playing, protocol, seed)
    splits = Splits(train=labels.train, validation=labels.validation, test=labels.test)
    inputs = FrameSource(_pixels(probing, size, context.progress), probing.episodes)
    beside = FrameSource(_pixels(training, size, context.progress), training.episodes, first=len(inputs))
    seen, watched = (beside.subset(index + len(inputs)) for index in pretraining(training, playing, protocol, seed, validation))
    return DataSet(
        inputs=inputs,
        annotations=Annotations(splits={protocol: splits}, factors=labels.factors),
        pretrain=LegacyFrames(seen) if legacy else seen,
        validation=None if len(watched) == 0 else LegacyFrames(watched) if legacy else watched,
        labelled=LegacyFrames(inputs.subset(labels.train)) if legacy else inputs.subset(labels.train),
    )


def prepare_atari(context: DataContext, options: AtariOptions) -> tuple[Collection, Collection]:
    """Collect what is missing: frames to train on, and frames to judge by."""
    playing = game(context.settings["game"])
    training, probing = (
        collect(context.cache, plan, progress=context.progress)
        for plan in (
            Plan(game=playing.name, part="pretrain", frames=options.pretrain_frames, seed=options.seed),
            Plan(game=playing.name, part="probe", frames=options.probe_frames, seed=options.seed),
        )
    )
    for collection in (training, probing):
        _pixels(collection, options.size, context.progress)
    return training, probing


def build_atari_ram(context: DataContext, options: AtariLabelOptions) -> DataSet:
    """The variables of one game, with an empty input for each frame."""
    playing = game(context.settings["game"])
    labels = judged(prepare_atari_ram(context, options), playing, context.protocol, options.seed)
    splits = Splits(train=labels.train, validation=labels.validation, test=labels.test)
    inputs = VectorSource(torch.zeros(options.probe_frames, 1))
    return DataSet(
        inputs=inputs,
        annotations=Annotations(splits={context.protocol: splits}, factors=labels.factors),
        pretrain=inputs.subset(labels.train),
    )


def prepare_atari_ram(context: DataContext, options: AtariLabelOptions) -> Collection:
    """Collect RAM and digests of the frames to judge by, where they are missing."""
    playing: Game = game(context.settings["game"])
    plan = Plan(game=playing.name, part="probe", frames=options.probe_frames, seed=options.seed, has_frames=False)
    return collect(context.cache, plan, progress=context.progress)


def _pixels(collection: Collection, size: int | None, progress: Progress) -> Any:
    """[T, 1, H, W] uint8 frames in the size that is asked for."""
    return collection.frames if size is None else shrunk_frames(collection, size, progress)

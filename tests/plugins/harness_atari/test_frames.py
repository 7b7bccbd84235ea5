"""Data sets of games."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness import DataContext, FrameSource, Items
from harness_atari.frames import build_atari, build_atari_ram, prepare_atari
from harness_atari.games import game
from harness_atari.labels import judged, pretraining
from harness_atari.legacy_frames import LegacyFrames
from harness_atari.spec_data import AtariLabelOptions, AtariOptions, resolve_atari, resolve_atari_ram

OPTIONS = AtariOptions(pretrain_frames=1_600, probe_frames=1_600, validation=0.2, seed=1)


@pytest.fixture(scope="module")
def context(_needs_emulator, tmp_path_factory):
    """Of pong: each console plays one long episode."""
    cache = tmp_path_factory.mktemp("atari")

    def of(protocol, name="pong", **details):
        return DataContext(files={}, cache=cache / name, settings=resolve_atari(name).recipe.settings, protocol=protocol, **details)

    return of


@pytest.mark.parametrize("protocol", ["aari", "aari-legacy"])
def test_inputs_are_judged_and_training_sees_others(context, protocol):
    data = build_atari(context(protocol), OPTIONS)
    training, probing = prepare_atari(context(""), OPTIONS)
    assert isinstance(data.inputs, FrameSource)
    assert data.inputs.description.shape == (1, 210, 160)
    assert len(data.inputs) == 1_600
    expected = judged(probing, game("pong"), protocol, 1)
    splits = data.annotations.splits[protocol]
    assert list(data.annotations.splits) == [protocol]
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(splits, part), getattr(expected, part))
    assert list(data.annotations.factors) == list(expected.factors)
    assert all(values.shape == (1_600,) for values in data.annotations.factors.values())
    assert torch.equal(data.labelled.index, torch.from_numpy(splits.train))

    seen, watched = pretraining(training, game("pong"), protocol, 1, 0.2)
    assert torch.equal(data.pretrain.index, torch.from_numpy(seen) + 1_600)
    assert torch.equal(data.validation.index, torch.from_numpy(watched) + 1_600)
    assert {type(data.pretrain), type(data.validation)} == {LegacyFrames if protocol == "aari-legacy" else FrameSource}
    batch = next(iter(data.pretrain.epoch(Items(), 4, torch.Generator().manual_seed(0))))
    assert torch.equal((batch.pixels * 255).round().byte(), torch.from_numpy(training.frames[batch.index - 1_600]))
    (batch, *_) = data.inputs.in_order(3)
    assert torch.equal((batch.pixels * 255).round().byte(), torch.from_numpy(np.array(probing.frames[:3])))


def test_without_validation_all_kept_episodes_are_trained_on(context):
    data = build_atari(context("aari"), AtariOptions(pretrain_frames=1_600, probe_frames=1_600, validation=0.0, seed=1))
    assert data.validation is None
    assert len(data.pretrain) == 1_600


def test_frames_can_be_smaller(context):
    told = []
    small = AtariOptions(pretrain_frames=1_600, probe_frames=1_600, seed=1, size=84)
    data = build_atari(context("aari", progress=lambda *progress: told.append(progress)), small)
    assert data.inputs.description.shape == data.pretrain.description.shape == (1, 84, 84)
    assert resolve_atari("pong").shape_under(small) == (1, 84, 84)
    assert told[-1] == (1_600, 1_600, "frames")


def test_labels_alone_are_those_of_the_frames(context):
    labels = AtariLabelOptions(probe_frames=1_600, seed=1)
    alone = build_atari_ram(context("aari"), labels)
    whole = build_atari(context("aari"), OPTIONS)
    assert alone.annotations.factors.keys() == whole.annotations.factors.keys()
    assert all(np.array_equal(values, whole.annotations.factors[name]) for name, values in alone.annotations.factors.items())
    for part, index in whole.annotations.splits["aari"].parts().items():
        assert np.array_equal(index, alone.annotations.splits["aari"].parts()[part])
    assert alone.inputs.description.shape == resolve_atari_ram("pong").shape == (1,)
    assert len(alone.inputs) == 1_600
    assert torch.equal(alone.pretrain.index, torch.from_numpy(alone.annotations.splits["aari"].train))

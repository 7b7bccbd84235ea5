"""Features and images come together as pairs, batch by batch and never whole."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from harness import EvaluationError, ImageSource, Part, VectorSource
from harness_reconstruction import pairs
from harness_reconstruction.pairs import FeatureImagePairs

CPU = torch.device("cpu")


@pytest.fixture
def numbered():
    """Images and features that all say their sample's number; the part has 23 of 40 samples, in no order."""
    numbers = torch.arange(40)
    source = ImageSource(numbers.view(-1, 1, 1, 1).expand(-1, 1, 4, 4).float(), value_range=(0.0, 40.0))
    index = np.random.default_rng(0).permutation(40)[:23]
    features = np.stack([index, index], axis=1).astype(np.float64)
    return FeatureImagePairs(Part(features=features, index=index), source, CPU)


def drawn(batches):
    """The number of every sample; its feature and its image must say the same."""
    found = []
    for features, pixels in batches:
        assert (features.dtype, pixels.dtype) == (torch.float32, torch.float32)
        assert pixels.shape == (len(features), 1, 4, 4)
        assert torch.equal(features[:, 0], pixels[:, 0, 0, 0])
        found += features[:, 0].int().tolist()
    return found


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("batch_size", [1, 5, 23, 100])
def test_every_sample_is_taken_in_the_order_of_the_part(numbered, batch_size):
    assert drawn(numbered.in_order(batch_size)) == numbered.part.index.tolist()


@pytest.mark.parametrize("batch_size", [5, 23, 100])
def test_every_sample_is_drawn_once_in_random_order(numbered, batch_size):
    found = drawn(numbered.shuffled(batch_size, generator()))
    assert sorted(found) == sorted(numbered.part.index)
    assert found != numbered.part.index.tolist()
    assert drawn(numbered.shuffled(batch_size, generator())) == found
    assert drawn(numbered.shuffled(batch_size, generator(1))) != found


def test_a_single_sample_left_over_is_not_drawn_and_is_scored(numbered):
    assert [len(features) for features, _ in numbered.shuffled(11, generator())] == [11, 11]
    assert [len(features) for features, _ in numbered.in_order(11)] == [11, 11, 1]


@pytest.mark.parametrize("block", [1, 100, 200])
def test_how_many_are_gathered_together_changes_nothing(numbered, monkeypatch, block):
    whole = [features for features, _ in numbered.shuffled(4, generator())]
    monkeypatch.setattr(pairs, "BLOCK", block)
    pieces = FeatureImagePairs(numbered.part, numbered.inputs, CPU)
    assert pieces.together < len(pieces)
    for one, other in zip(whole, [features for features, _ in pieces.shuffled(4, generator())], strict=True):
        assert torch.equal(one, other)


def test_of_a_mapped_feature_no_more_is_read_than_is_gathered_together(numbered, tmp_path, monkeypatch):
    np.save(tmp_path / "features.npy", numbered.part.features.astype(np.float32))
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r").view(Watched)
    monkeypatch.setattr(pairs, "BLOCK", 100)
    watched = FeatureImagePairs(dataclasses.replace(numbered.part, features=mapped), numbered.inputs, CPU)
    Watched.taken.clear()
    drawn(watched.shuffled(4, generator()))
    assert max(Watched.taken) <= 100 // (2 + 16)


class Watched(np.memmap):
    """A mapped array that notes how many rows are taken at a time."""

    taken: list[int] = []  # noqa: RUF012

    def __getitem__(self, rows):
        if isinstance(rows, np.ndarray):
            self.taken.append(len(rows))
        return np.asarray(super().__getitem__(rows))


def test_images_are_those_that_were_represented_without_random_views():
    pixels = torch.rand(20, 3, 6, 6, generator=generator())
    source = ImageSource(pixels, value_range=(0.0, 1.0), crop=4, flip=True)
    paired = FeatureImagePairs(Part(features=np.zeros((20, 2), np.float32), index=np.arange(20)), source, CPU)
    seen = torch.cat([images for _, images in paired.shuffled(5, generator())])
    order = torch.randperm(20, generator=generator())
    assert torch.equal(seen, pixels[order][..., 1:5, 1:5])


def test_inputs_that_are_no_images_are_refused():
    paired = FeatureImagePairs(Part(features=np.zeros((4, 2)), index=np.arange(4)), VectorSource(torch.zeros(4, 3)), CPU)
    with pytest.raises(EvaluationError, match=r"^reconstruction compares images, and the inputs .* come as Vectors\.$"):
        next(paired.in_order(2))


# ------------------------------------------------------------------------------------------------- unfit features

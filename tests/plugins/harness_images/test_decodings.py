"""Pictures of what decoders and generators make."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from harness import Splits
from harness_images.decodings import STEPS, reconstructions, samples, traversals

FEATURES = np.random.default_rng(1).normal(size=(40, 5)).astype(np.float32) * np.array([1, 8, 2, 4, 0.5], dtype=np.float32)


class Constant(nn.Module):
    """Every image is grey, as bright as the first number of y."""

    def forward(self, y):
        return y[:, :1, None, None].expand(-1, 3, 4, 4)


class Columns(nn.Module):
    """The four columns of an image are the first four numbers of y, a tenth as large."""

    def forward(self, y):
        return 0.1 * y[:, None, None, :4].expand(-1, 3, 4, 4)


class Noise(nn.Module):
    """Every image is grey, as bright as its noise."""

    def forward(self, n, generator):
        return torch.rand(n, 1, 1, 1, generator=generator).expand(-1, 3, 4, 4) * 2 - 1


# --------------------------------------------------------------------------------------------- reconstructions


def test_a_run_without_a_decoder_has_no_reconstructions(run_view):
    assert reconstructions(run_view()) == []


def test_reconstructions_stand_below_their_inputs(run_view, shown_images, number_of):
    (picture,) = reconstructions(run_view(features=FEATURES, modules={"decoder": Constant()}))
    lines = np.array(shown_images(picture)).reshape(2, 2, 12, 4, 4, 3)
    for inputs, decoded in lines:
        for image, reconstruction in zip(inputs, decoded, strict=True):
            brightness = np.clip((FEATURES[number_of(image), 0] + 1) / 2, 0, 1)
            assert reconstruction == pytest.approx(np.full((4, 4, 3), brightness), abs=1e-6)


def test_fewer_images_than_a_line_are_one_line(run_view, shown_images):
    view = run_view(features=FEATURES, modules={"decoder": Constant()}, splits=Splits(train=np.arange(35), test=np.arange(35, 40)))
    (picture,) = reconstructions(view)
    assert len(shown_images(picture)) == 2 * 5


# ----------------------------------------------------------------------------------------------------- samples


def test_a_run_without_a_generator_has_no_samples(run_view):
    assert samples(run_view(modules={"decoder": Constant()})) == []


def test_samples_are_what_the_generator_makes_with_the_same_random_numbers_for_every_run(run_view, shown_images):
    view = run_view(modules={"generator": Noise()})
    (picture,), (again,) = samples(view), samples(view)
    shown = np.array(shown_images(picture))
    drawn = torch.rand(60, 1, 1, 1, generator=torch.Generator().manual_seed(view.seed)).numpy()
    assert shown == pytest.approx(np.broadcast_to(drawn, (60, 4, 4, 3)), abs=1e-6)
    assert np.array_equal(shown, shown_images(again))


# -------------------------------------------------------------------------------------------------- traversals


def test_without_a_decoder_or_a_vector_nothing_is_traversed(run_view):
    assert traversals(run_view()) == []
    assert traversals(run_view(features=np.zeros((40, 2, 3, 3), np.float32), modules={"decoder": Constant()})) == []


def test_each_line_walks_along_one_dimension_and_those_that_vary_most_come_first(run_view, shown_images):
    view = run_view(features=FEATURES, modules={"decoder": Columns()})
    (picture,) = traversals(view)
    shown = np.array(shown_images(picture)).reshape(5, len(STEPS), 4, 4, 3)
    tests = FEATURES[10:]
    base = FEATURES[view.sample(1)[0]]
    order = np.argsort(-tests.std(axis=0))
    assert order.tolist() == [1, 3, 2, 0, 4]
    for line, dimension in zip(shown, order, strict=True):
        for image, stop in zip(line, STEPS, strict=True):
            y = base.copy()
            y[dimension] = tests[:, dimension].mean() + stop * tests[:, dimension].std()
            expected = np.clip((0.1 * y[:4] + 1) / 2, 0, 1)
            assert image == pytest.approx(np.broadcast_to(expected[None, :, None], (4, 4, 3)), abs=1e-5)


def test_lines_are_named_and_the_ends_of_the_walk_are_marked(run_view):
    (picture,) = traversals(run_view(features=FEATURES, modules={"decoder": Columns()}))
    texts = [text.get_text() for text in picture.figure.axes[0].texts]
    assert texts == ["y[1]", "y[3]", "y[2]", "y[0]", "y[4]", "-3 sd", "mean", "+3 sd"]

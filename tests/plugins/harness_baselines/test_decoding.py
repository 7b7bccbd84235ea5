"""What the baselines with a decoder share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness import Description, Encoder, ObjectiveContext, PluginError, UnfitError
from harness_baselines.decoding import Sampler, mirror_decoder, squared_error, standard_normal

DESCRIPTION = Description(kind="images", shape=(1, 8, 8), samples=4)


class Shaped(Encoder):
    """An encoder of which only the shapes matter."""

    def __init__(self, **shapes):
        super().__init__()
        self.feature_shapes = shapes

    def forward(self, batch):
        raise NotImplementedError


@pytest.mark.parametrize("shapes", [{"node": (5,)}, {"y": (5, 2)}, {}])
def test_an_encoder_without_a_vector_y_is_refused(shapes):
    with pytest.raises(UnfitError, match=r'An encoder with a feature "y" \[D\] is needed'):
        mirror_decoder(Shaped(**shapes), ObjectiveContext(DESCRIPTION), torch.Generator(), 1.0)


def test_the_decoder_is_asked_for_with_the_scale():
    asked = []
    context = ObjectiveContext(DESCRIPTION, decoder=lambda generator, scale: asked.append(scale) or nn.Identity())
    mirror_decoder(Shaped(y=(3,)), context, torch.Generator(), 0.5)
    assert asked == [0.5]


def test_without_a_decoder_it_is_the_cores_fault():
    with pytest.raises(PluginError, match="mirror decoder"):
        mirror_decoder(Shaped(y=(3,)), ObjectiveContext(DESCRIPTION), torch.Generator(), 1.0)


def test_the_squared_error_is_summed_over_an_input_and_averaged_over_the_batch():
    x, decoded = torch.rand(2, 5, 3, 4, 4).double()
    by_hand = sum((a - b) ** 2 for a, b in zip(x.flatten().tolist(), decoded.flatten().tolist(), strict=True)) / 5
    assert squared_error(x, decoded).item() == pytest.approx(by_hand)


def test_an_error_in_half_precision_is_summed_in_full():
    x = torch.rand(4, 3, 32, 32)
    assert squared_error(x, torch.zeros_like(x).bfloat16()).item() == pytest.approx(x.square().sum().item() / 4, rel=1e-6)


def test_the_prior_is_standard_normal():
    z = standard_normal(20_000, 3, torch.Generator().manual_seed(0))
    assert z.mean(dim=0).abs().max() < 0.03
    assert (z.T.cov() - torch.eye(3)).abs().max() < 0.04


def test_a_sampler_decodes_the_prior_and_is_repeated_by_the_seed():
    sampler = Sampler(nn.Linear(3, 3), 3)
    one, other, third = (sampler(5, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, other)
    assert not torch.equal(one, third)
    assert torch.equal(one, sampler.decoder(standard_normal(5, 3, torch.Generator().manual_seed(1))))

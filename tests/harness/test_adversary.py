"""The gradient penalty."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness import gradient_penalty


def test_a_linear_score_has_the_squared_length_of_its_weights():
    layer = nn.Linear(5, 1)
    x = torch.randn(7, 5, requires_grad=True)
    assert gradient_penalty(layer(x), [x]).item() == pytest.approx(layer.weight.square().sum().item(), rel=1e-6)


def test_every_samples_own_gradient_counts_at_all_inputs_together():
    net = nn.Sequential(nn.Linear(7, 9), nn.Tanh(), nn.Linear(9, 1)).double()
    x, z = torch.randn(4, 5).double(), torch.randn(4, 2).double()
    total = 0.0
    for one, other in zip(x, z, strict=True):
        both = torch.cat([one, other]).requires_grad_()
        (slope,) = torch.autograd.grad(net(both), both)
        total += slope.square().sum().item()
    x.requires_grad_()
    z.requires_grad_()
    assert gradient_penalty(net(torch.cat([x, z], dim=1)), [x, z]).item() == pytest.approx(total / 4, rel=1e-10)


def test_it_can_be_differentiated_by_the_weights():
    weight = torch.tensor([2.0, -1.0], requires_grad=True)
    x = torch.randn(3, 2, requires_grad=True)
    gradient_penalty(x @ weight, [x]).backward()
    assert weight.grad.tolist() == pytest.approx([4.0, -2.0])

"""Networks side by side are those networks."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from harness_information.stacked import StackedConvolutions, StackedLinear, stacked_mlp


def rand(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def alone(stacked, number):
    """One of the layers as torch's own."""
    weight = stacked.weight[number]
    layer = nn.Linear(*weight.shape, bias=stacked.bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight.T)
        if stacked.bias is not None:
            layer.bias.copy_(stacked.bias[number, 0])
    return layer


@pytest.mark.parametrize("bias", [True, False])
def test_stacked_layers_are_separate_layers(bias):
    stacked, x = StackedLinear(3, 5, 4, bias=bias), rand(3, 7, 5)
    found = stacked(x)
    assert found.shape == (3, 7, 4)
    for number in range(3):
        torch.testing.assert_close(found[number], alone(stacked, number)(x[number]))
    assert (stacked.bias is None) is not bias


def test_one_input_is_shown_to_all():
    stacked, x = StackedLinear(3, 5, 4), rand(7, 5)
    torch.testing.assert_close(stacked(x), torch.stack([alone(stacked, number)(x) for number in range(3)]))


def test_a_network_s_gradients_do_not_touch_another_s():
    stacked = StackedLinear(3, 5, 4)
    stacked(rand(3, 7, 5))[1].square().sum().backward()
    assert [bool((gradient != 0).any()) for gradient in stacked.weight.grad] == [False, True, False]
    assert [bool((gradient != 0).any()) for gradient in stacked.bias.grad] == [False, True, False]


@pytest.mark.parametrize(("bound", "expected"), [(None, 1 / math.sqrt(50)), (0.3, 0.3)])
def test_layers_begin_uniform_within_their_bound_and_differ(bound, expected):
    stacked = StackedLinear(3, 50, 40, bound=bound)
    for values in (*stacked.weight.detach(), *stacked.bias.detach()):
        assert 0.8 * expected < float(values.abs().max()) <= expected
    assert float(stacked.weight.detach().std()) == pytest.approx(expected / math.sqrt(3), rel=0.05)
    assert not torch.equal(stacked.weight[0], stacked.weight[1])


def test_a_stacked_network_is_separate_networks():
    stacked, x = stacked_mlp(2, (5, 8, 6, 1)), rand(2, 7, 5)
    assert [type(layer).__name__ for layer in stacked] == ["StackedLinear", "ReLU"] * 2 + ["StackedLinear"]
    for number in range(2):
        plain = nn.Sequential(*(alone(layer, number) if isinstance(layer, StackedLinear) else nn.ReLU() for layer in stacked))
        torch.testing.assert_close(stacked(x)[number], plain(x[number]))


def test_a_network_of_one_layer_has_no_relu():
    assert [type(layer).__name__ for layer in stacked_mlp(2, (5, 1))] == ["StackedLinear"]


def convolutions_alone(stacked, number):
    """One of the convolutional networks as torch's own."""
    layers, of = [], stacked.stack
    for layer in stacked.convolutions:
        if isinstance(layer, nn.Conv2d):
            outputs = layer.out_channels // of
            mine = slice(number * outputs, (number + 1) * outputs)
            plain = nn.Conv2d(layer.weight.shape[1], outputs, 4, stride=2, padding=1)
            with torch.no_grad():
                plain.weight.copy_(layer.weight[mine])
                plain.bias.copy_(layer.bias[mine])
            layers.append(plain)
        else:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.Flatten(), alone(stacked.linear, number), nn.ReLU())


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16), (2, 12, 20), (1, 28, 28), (1, 4, 4)])
def test_stacked_convolutions_are_separate_networks(shape):
    stacked, x = StackedConvolutions(3, shape, width=4, units=6), rand(5, *shape)
    found = stacked(x)
    assert found.shape == (3, 5, 6)
    for number in range(3):
        torch.testing.assert_close(found[number], convolutions_alone(stacked, number)(x), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize(
    ("shape", "channels", "units"),
    [
        ((3, 32, 32), [5, 10, 20], 20 * 4 * 4),
        ((1, 28, 28), [5, 10], 10 * 7 * 7),
        ((1, 8, 8), [5], 5 * 4 * 4),
        ((1, 4, 4), [5], 5 * 2 * 2),
        ((1, 32, 24), [5, 10, 20], 20 * 4 * 3),
    ],
)
def test_convolutions_halve_the_side_until_it_is_four_or_odd(shape, channels, units):
    stacked = StackedConvolutions(2, shape, width=5, units=6)
    layers = [layer for layer in stacked.convolutions if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels // 2 for layer in layers] == channels
    assert stacked.linear.weight.shape == (2, units, 6)


def test_gradients_stay_within_a_convolutional_network():
    stacked = StackedConvolutions(2, (1, 16, 16), width=4, units=6)
    stacked(rand(5, 1, 16, 16))[1].sum().backward()
    for layer in stacked.convolutions:
        if isinstance(layer, nn.Conv2d):
            first, second = layer.weight.grad.chunk(2)
            assert float(first.abs().max()) == 0
            assert float(second.abs().max()) > 0

"""Critics of Deep InfoMax, against literal slow versions: one pair at a time, one place at a time."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness_images.critics import ConcatCritic, DotCritic, Places, ResidualNet, WholeMap, other_images

N, CHANNELS, SIDE, LATENT, HIDDEN = 5, 6, 3, 4, 24
PLACES = SIDE * SIDE
CPU = torch.device("cpu")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed))


def shaken(module, seed=5):
    """The module with all its parameters drawn anew, so that none is 0 or 1 and a missing one would be seen."""
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(-0.7, 0.7, generator=generator)
    return module


LOCAL, Y = normal(N, CHANNELS, SIDE, SIDE, seed=1), normal(N, LATENT, seed=2)


# ------------------------------------------------------------------------------------------- the residual net


def residual_by_rows(net, vectors):
    """Batch statistics over all rows, and every row through plain matrices by itself."""
    first, norm, _, second = net.main
    rows = vectors.reshape(-1, vectors.shape[-1])
    hidden = rows @ first.weight.T
    hidden = (hidden - hidden.mean(0)) / (hidden.var(0, correction=0) + norm.eps).sqrt() * norm.weight + norm.bias
    embedded = []
    for row, h in zip(rows, hidden, strict=True):
        summed = second.weight @ h.clamp(min=0) + second.bias + net.shortcut.weight @ row
        centred = summed - summed.mean()
        embedded.append(centred / (centred.square().mean() + net.norm.eps).sqrt() * net.norm.weight + net.norm.bias)
    return torch.stack(embedded).view(*vectors.shape[:-1], -1)


VECTORS = Places()(LOCAL)


def test_places_are_the_vectors_of_the_map_row_by_row():
    expected = [[LOCAL[i, :, row, column].tolist() for row in range(SIDE) for column in range(SIDE)] for i in range(N)]
    assert VECTORS.tolist() == expected


def test_places_of_a_map_that_lies_channels_last_are_no_copy():
    local = LOCAL.to(memory_format=torch.channels_last)
    assert Places()(local).data_ptr() == local.data_ptr()


@pytest.mark.parametrize(("hidden", "units"), [(8, 8), (7, 3)])
def test_the_residual_net_is_that_of_plain_matrices_row_by_row(hidden, units):
    net = shaken(ResidualNet(CHANNELS, hidden, units))
    torch.testing.assert_close(net(VECTORS), residual_by_rows(net, VECTORS), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net(VECTORS[:, 0]), residual_by_rows(net, VECTORS[:, 0]), rtol=1e-4, atol=1e-5)


def test_the_embedding_of_a_place_is_normalised_over_the_units():
    embedded = ResidualNet(CHANNELS, 8, 8)(VECTORS)
    torch.testing.assert_close(embedded.mean(dim=2), torch.zeros(N, PLACES), rtol=0, atol=1e-5)
    torch.testing.assert_close(embedded.square().mean(dim=2), torch.ones(N, PLACES), rtol=0, atol=1e-3)


def test_no_place_is_mixed_with_another():
    net = shaken(ResidualNet(CHANNELS, 8, 8)).eval()
    changed = VECTORS.clone()
    changed[2, 3] += 1
    moved = (net(changed) != net(VECTORS)).any(dim=2)
    assert moved.nonzero().tolist() == [[2, 3]]


def test_the_shortcut_begins_as_a_noisy_identity():
    weight = ResidualNet(CHANNELS, 4, 9).shortcut.weight.detach()
    noise = weight - torch.eye(9, CHANNELS)
    assert torch.equal(weight.diagonal(), torch.ones(CHANNELS))
    assert 0.005 < noise.abs().max() <= 0.01
    assert (noise[~torch.eye(9, CHANNELS, dtype=torch.bool)] != 0).all()


def test_a_shortcut_that_is_too_narrow_for_an_identity_begins_as_any_layer():
    weight = ResidualNet(100, 4, 9).shortcut.weight.detach()
    assert 0.09 < weight.abs().max() <= 0.1  # torch's own bound: 1 / sqrt(inputs)


def test_only_the_last_layer_of_the_main_branch_has_a_bias():
    net = ResidualNet(CHANNELS, 8, 8)
    maps = [module for module in net.modules() if isinstance(module, nn.Linear)]
    assert [each for each in maps if each.bias is not None] == [net.main[-1]]


# ------------------------------------------------------------------------------------ encode and dot product


def bare(negatives=None):
    """A critic that embeds nothing: scores are inner products of what it is given."""
    return DotCritic(Places(), nn.Identity(), negatives)


def residual(units, negatives=None):
    """The critic of the paper."""
    return DotCritic(nn.Sequential(Places(), ResidualNet(CHANNELS, units, units)), ResidualNet(LATENT, units, units), negatives)


def on_embeddings(f, g):
    """Scores of embedded places [N, L, U] and global vectors [N, U]."""
    return DotCritic(nn.Identity(), nn.Identity(), None)(f, g, seeded())


def test_scores_are_inner_products():
    y = normal(N, CHANNELS)
    positive, negative = bare()(LOCAL, y, seeded())
    places = LOCAL.flatten(2)
    expected_positive = [[torch.dot(y[i], places[i, :, place]) for place in range(PLACES)] for i in range(N)]
    expected_negative = [
        [torch.dot(y[i], places[j, :, place]) for j in range(N) if j != i for place in range(PLACES)] for i in range(N)
    ]
    torch.testing.assert_close(positive, torch.tensor(expected_positive))
    torch.testing.assert_close(negative, torch.tensor(expected_negative))


def test_scores_are_inner_products_of_both_embeddings():
    critic = residual(8)
    f, g = critic.local_net(LOCAL), critic.global_net(Y)
    for mine, expected in zip(critic(LOCAL, Y, seeded()), on_embeddings(f, g), strict=True):
        torch.testing.assert_close(mine, expected)


def image_numbers():
    """A map whose every place holds the number of its image, and global vectors that read it."""
    return torch.arange(N).float()[:, None, None, None].expand(N, 1, SIDE, SIDE), torch.ones(N, 1)


def test_the_negatives_of_an_image_are_all_places_of_all_others():
    _, negative = bare()(*image_numbers(), seeded())
    assert negative.tolist() == [[j for j in range(N) if j != i for _ in range(PLACES)] for i in range(N)]


def test_there_are_n_times_n_minus_one_times_the_places_of_them():
    positive, negative = bare()(*image_numbers(), seeded())
    assert (positive.numel(), negative.numel()) == (N * PLACES, N * (N - 1) * PLACES)


def test_an_image_is_never_its_own_negative_also_where_negatives_are_drawn():
    for seed in range(20):
        _, negative = bare(negatives=10)(*image_numbers(), seeded(seed))
        assert not (negative == torch.arange(N)[:, None]).any()


@pytest.mark.parametrize("wanted", [1, 7, (N - 1) * PLACES - 1])
def test_drawn_negatives_are_so_many_of_all_and_none_twice(wanted):
    y = normal(N, CHANNELS)
    _, drawn = bare(negatives=wanted)(LOCAL, y, seeded())
    _, all_of_them = bare()(LOCAL, y, seeded())
    assert drawn.shape == (N, wanted)
    for row, candidates in zip(drawn.tolist(), all_of_them.tolist(), strict=True):
        assert len(set(row)) == wanted
        assert set(row) <= set(candidates)


def test_every_negative_is_drawn_some_time():
    y = normal(N, CHANNELS)
    critic, generator = bare(negatives=12), seeded()
    drawn = torch.cat([critic(LOCAL, y, generator)[1] for _ in range(40)], dim=1)
    _, all_of_them = bare()(LOCAL, y, generator)
    assert [set(row) for row in drawn.tolist()] == [set(row) for row in all_of_them.tolist()]


@pytest.mark.parametrize("wanted", [(N - 1) * PLACES, 10_000])
def test_more_negatives_than_there_are_means_all(wanted):
    y = normal(N, CHANNELS)
    assert torch.equal(bare(negatives=wanted)(LOCAL, y, seeded())[1], bare()(LOCAL, y, seeded())[1])


def test_drawing_negatives_leaves_the_joint_pairs_as_they_are():
    y = normal(N, CHANNELS)
    assert torch.equal(bare(negatives=3)(LOCAL, y, seeded())[0], bare()(LOCAL, y, seeded())[0])


def test_in_bfloat16_scores_are_computed_in_float32():
    critic = residual(64)
    with torch.autocast("cpu", torch.bfloat16):
        f, g = critic.local_net(LOCAL), critic.global_net(Y)
        scores = critic(LOCAL, Y, seeded())
    for mine, exact in zip(scores, on_embeddings(f.float(), g.float()), strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, exact, rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------------------------- concatenate and convolve


def concat_scores(critic, local, y):
    """[i, j, l]: the global vector of i copied to every place of j's map, one concatenated input, three 1x1 convolutions."""
    first = torch.cat([critic.on_local.weight, critic.on_global.weight], dim=1)[:, :, None, None]
    _, second, _, third = critic.rest
    images, _, height, width = local.shape
    scores = torch.empty(images, images, height * width)
    for i, j in product(range(images), repeat=2):
        copied = y[i, :, None, None].expand(-1, height, width)
        x = torch.cat([local[j], copied])[None]
        x = F.conv2d(x, first, critic.on_global.bias).relu()
        x = F.conv2d(x, second.weight, second.bias).relu()
        scores[i, j] = F.conv2d(x, third.weight, third.bias).flatten()
    return scores.detach()


def concat(permutations=1):
    return shaken(ConcatCritic(CHANNELS, LATENT, HIDDEN, permutations))


def partners(negative, scores):
    """[i, l]: the one image j whose map, with the global vector of i, has the score at [i, l]; found by comparing scores."""
    same = (negative[:, None, :] - scores).abs() < 1e-5
    assert (same.sum(dim=1) == 1).all()
    return same.float().argmax(dim=1)


def test_scores_of_joint_pairs_are_those_of_the_concatenated_input():
    critic = concat()
    positive, _ = critic(LOCAL, Y, seeded())
    torch.testing.assert_close(positive, concat_scores(critic, LOCAL, Y).diagonal().T)


@pytest.mark.parametrize("seed", range(5))
def test_a_marginal_score_is_that_of_the_rows_global_vector_with_another_image_at_the_columns_place(seed):
    critic = concat()
    _, negative = critic(LOCAL, Y, seeded(seed))
    found = partners(negative, concat_scores(critic, LOCAL, Y))
    assert (found != torch.arange(N)[:, None]).all()


def test_at_each_place_every_image_is_paired_once():
    critic = concat()
    _, negative = critic(LOCAL, Y, seeded())
    found = partners(negative, concat_scores(critic, LOCAL, Y))
    assert torch.equal(found.sort(dim=0).values, torch.arange(N)[:, None].expand(N, PLACES))


def test_the_partner_differs_from_place_to_place():
    critic = concat()
    _, negative = critic(LOCAL, Y, seeded())
    found = partners(negative, concat_scores(critic, LOCAL, Y))
    assert all(len(set(row)) > 1 for row in found.tolist())


def test_each_permutation_adds_as_many_marginal_pairs_as_there_are_joint_ones():
    critic = concat(permutations=3)
    positive, negative = critic(LOCAL, Y, seeded())
    assert (positive.shape, negative.shape) == ((N, PLACES), (N, 3 * PLACES))
    scores = concat_scores(critic, LOCAL, Y)
    drawn = [partners(part, scores) for part in negative.chunk(3, dim=1)]
    assert not torch.equal(drawn[0], drawn[1])


def test_gradients_are_those_of_the_concatenated_input():
    critic, y = concat(), Y.clone().requires_grad_()
    positive, negative = critic(LOCAL, y, seeded())
    found = partners(negative.detach(), concat_scores(critic, LOCAL, Y))
    (mine,) = torch.autograd.grad(positive.sin().sum() + negative.cos().sum(), y)

    first = torch.cat([critic.on_local.weight, critic.on_global.weight], dim=1)
    _, second, _, third = critic.rest
    total = torch.zeros(())
    for i, place in product(range(N), range(PLACES)):
        for j, reading in ((i, torch.sin), (int(found[i, place]), torch.cos)):
            x = torch.cat([LOCAL[j].flatten(1)[:, place], y[i]])
            x = (first @ x + critic.on_global.bias).relu()
            x = (second.weight[:, :, 0, 0] @ x + second.bias).relu()
            total = total + reading(third.weight[:, :, 0, 0] @ x + third.bias).sum()
    torch.testing.assert_close(mine, torch.autograd.grad(total, y)[0], rtol=1e-4, atol=1e-5)


def test_the_first_layer_begins_as_one_layer_of_all_its_inputs():
    critic = ConcatCritic(90, 10, 50, 1)
    bounds = [parameter.abs().max() for parameter in (critic.on_local.weight, critic.on_global.weight, critic.on_global.bias)]
    assert all(0.08 < bound <= 0.1 for bound in bounds)  # 1 / sqrt(90 + 10)


def test_two_hidden_layers_and_one_score():
    critic = ConcatCritic(CHANNELS, LATENT, 512, 1)
    sizes = [(layer.in_channels, layer.out_channels) for layer in critic.modules() if isinstance(layer, nn.Conv2d)]
    assert sizes == [(512, 512), (512, 1)]
    assert (critic.on_local.in_features, critic.on_local.out_features) == (CHANNELS, 512)
    assert (critic.on_global.in_features, critic.on_global.out_features) == (LATENT, 512)


# ---------------------------------------------------------------------------------------------- the whole map


def test_the_whole_map_is_flattened_and_concatenated():
    whole = WholeMap(shaken(ConcatCritic(CHANNELS * PLACES, LATENT, HIDDEN, 1)))
    inner = whole.critic
    first = torch.cat([inner.on_local.weight, inner.on_global.weight], dim=1)
    _, second, _, third = inner.rest
    scores = torch.empty(N, N, 1)
    for i, j in product(range(N), repeat=2):
        x = torch.cat([LOCAL[j].flatten(), Y[i]])
        x = (first @ x + inner.on_global.bias).relu()
        x = (second.weight[:, :, 0, 0] @ x + second.bias).relu()
        scores[i, j] = (third.weight[:, :, 0, 0] @ x + third.bias).detach()
    positive, negative = whole(LOCAL, Y, seeded())
    torch.testing.assert_close(positive, scores.diagonal().T)
    found = partners(negative, scores)
    assert (found != torch.arange(N)[:, None]).all()


def test_the_whole_map_reads_a_map_the_same_in_either_memory_format():
    whole = WholeMap(shaken(ConcatCritic(CHANNELS * PLACES, LATENT, HIDDEN, 1)))
    other = LOCAL.to(memory_format=torch.channels_last)
    assert torch.equal(whole(other, Y, seeded())[0], whole(LOCAL, Y, seeded())[0])


# ----------------------------------------------------------------------------------------------- other images


@pytest.mark.parametrize("images", [2, 3, 8])
def test_no_image_is_its_own_partner(images):
    for numbers in other_images(images, 200, seeded(), CPU):
        assert (numbers != torch.arange(images)[:, None]).all()


@pytest.mark.parametrize("images", [2, 3, 8])
def test_at_each_place_every_image_is_a_partner_once(images):
    for numbers in other_images(images, 200, seeded(), CPU):
        assert torch.equal(numbers.sort(dim=0).values, torch.arange(images)[:, None].expand(images, 200))


@pytest.mark.parametrize("images", [2, 3, 8])
def test_the_two_answers_are_inverse_to_each_other(images):
    after, before = other_images(images, 50, seeded(), CPU)
    itself = torch.arange(images)[:, None].expand(images, 50)
    assert torch.equal(after.gather(0, before), itself)
    assert torch.equal(before.gather(0, after), itself)


@pytest.mark.parametrize("which", [0, 1], ids=["successor", "predecessor"])
def test_every_other_image_is_equally_likely(which):
    """χ² of 4 partners has 3 degrees of freedom: above 16.3 in one of a thousand draws."""
    numbers = other_images(5, 4000, seeded(), CPU)[which]
    for image, row in enumerate(numbers):
        counts = row.bincount(minlength=5).double()
        assert counts[image] == 0
        others = counts[torch.arange(5) != image]
        assert ((others - 1000).square() / 1000).sum() < 16.3


def test_places_are_drawn_independently():
    """Two places agree on an image's partner as often as chance has it: 1 in 4 of five images."""
    after, _ = other_images(5, 4000, seeded(), CPU)
    agreeing = (after[:, ::2] == after[:, 1::2]).float().mean().item()
    assert agreeing == pytest.approx(0.25, abs=0.02)


def test_the_generator_decides():
    first, again, other = (other_images(6, 9, seeded(seed), CPU)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_single_image_has_no_partner():
    with pytest.raises(ValueError, match=r"^Marginal pairs need a batch of two images or more\.$"):
        other_images(1, 4, seeded(), CPU)


class Counting(TorchDispatchMode):
    """Counts tensor operations."""

    def __init__(self):
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "critic",
    [residual(8, negatives=5), concat(permutations=2)],
    ids=["dot", "concat"],
)
def test_more_images_take_no_more_operations(critic):
    """There is no Python loop over samples."""
    counts = []
    for images in (3, 12):
        with Counting() as counting:
            critic(normal(images, CHANNELS, SIDE, SIDE), normal(images, LATENT), seeded())
        counts.append(counting.operations)
    assert counts[0] == counts[1]

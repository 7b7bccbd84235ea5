"""Data sets of known information, built as the catalogue has them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from harness import Items
from harness_information import gaussians
from harness_information.gaussians import equicorrelation, law_of
from harness_information.naming import gaussians_settings


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def everything(source):
    """All of a source in order: x and y side by side, or the vectors."""
    batches = list(source.in_order(100))
    if hasattr(batches[0], "values"):
        return torch.cat([batch.values for batch in batches])
    return torch.cat([torch.cat([batch.x, batch.y], dim=1) for batch in batches])


def assert_halves(splits, n):
    assert splits.train.tolist() == list(range(n))
    assert splits.test.tolist() == list(range(n, 2 * n))
    assert splits.validation is None


# ---------------------------------------------------------------------------------------------------------- gaussians


@pytest.mark.parametrize(
    ("argument", "information", "shape"),
    [
        ("mi=6", 6.0, (20, 20)),
        ("mi=1.5,d=2,cubic", 1.5, (2, 2)),
        ("rho=0.75", 0.4133, (1, 1)),
        ("rho=0.75,swiss-roll", 0.4133, (2, 1)),
        ("dense,d=5", 0.5928, (5, 5)),
        ("sparse,dx=2,dy=3,half-cube", 1.0217, (2, 3)),
        ("student,d=3,dof=2", 0.2909, (3, 3)),
        ("uniform,noise=0.75", 0.3333, (1, 1)),
    ],
)
def test_the_exact_information_comes_with_the_pairs(build_data, argument, information, shape):
    data = build_data(f"gaussians:{argument}", samples=50)
    assert data.annotations.truth == {"mutual_information": pytest.approx(information, abs=5.1e-5)}
    assert data.inputs.description.shape == data.pretrain.description.shape == shape
    assert everything(data.inputs).shape == (100, sum(shape))
    assert data.annotations.labels is None


def test_half_of_the_pairs_are_judged(build_data):
    data = build_data("gaussians:mi=1,d=2", samples=50)
    assert list(data.annotations.splits) == ["known-information"]
    assert_halves(data.annotations.splits["known-information"], 50)


def test_pairs_are_correlated_as_the_name_says(build_data):
    both = everything(build_data("gaussians:rho=-0.6,d=2", samples=5000).inputs)
    expected = torch.eye(4)
    expected[0, 2] = expected[2, 0] = expected[1, 3] = expected[3, 1] = -0.6
    assert float((torch.corrcoef(both.T) - expected).abs().max()) < 5 / math.sqrt(10_000)


def test_maps_are_those_of_the_name(build_data):
    plain, mapped = (everything(build_data(f"gaussians:mi=1,d=2{name}", samples=50).inputs) for name in ("", ",cubic"))
    torch.testing.assert_close(mapped, torch.cat([plain[:, :2], plain[:, 2:] ** 3], dim=1))


def test_training_sees_fresh_pairs_as_many_as_the_training_part_has(build_data):
    data = build_data("gaussians:mi=1,d=2", samples=50)
    epoch = data.pretrain.epoch(Items(), 10, generator())
    assert len(epoch) == 5
    held = {tuple(row) for row in everything(data.inputs).tolist()}
    for batch in epoch:
        assert batch.index.min() >= 100
        assert held.isdisjoint(tuple(row) for row in torch.cat([batch.x, batch.y], dim=1).tolist())


def test_fresh_pairs_are_of_the_same_law(build_data):
    data = build_data("gaussians:rho=0.9,d=1", samples=5000)
    [batch] = data.pretrain.epoch(Items(), 5000, generator())
    both = torch.cat([batch.x, batch.y], dim=1)
    assert float(torch.corrcoef(both.T)[0, 1]) == pytest.approx(0.9, abs=4 * 0.19 / math.sqrt(5000))


def test_training_sees_the_training_part_alone_where_nothing_fresh_is_wanted(build_data):
    data = build_data("gaussians:mi=1,d=2", samples=50, fresh=False)
    train = data.annotations.splits["known-information"].train
    assert torch.equal(everything(data.pretrain), everything(data.inputs)[train])
    index = torch.cat([batch.index for batch in data.pretrain.epoch(Items(), 10, generator())])
    assert sorted(index.tolist()) == train.tolist()


@pytest.mark.parametrize("name", ["gaussians:mi=1,d=2", "equicorrelated:d=3", "staircase"])
def test_a_second_build_gives_the_same_data(build_data, name):
    one, same = (build_data(name).inputs for _ in range(2))
    assert one.content_sha256() == same.content_sha256()


def test_laws_that_differ_give_data_that_differ(build_data):
    names = ["mi=1,d=2", "mi=2,d=2", "mi=1,d=2,cubic", "dense", "sparse", "student"]
    assert len({build_data(f"gaussians:{name}", samples=20).inputs.content_sha256() for name in names}) == len(names)


@pytest.mark.parametrize("name", ["gaussians:student,asinh", "equicorrelated:d=3", "staircase"])
def test_global_random_states_are_neither_read_nor_moved(build_data, name):
    expected = build_data(name).inputs.content_sha256()
    np.random.seed(7)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
        assert build_data(name).inputs.content_sha256() == expected
        assert np.array_equal(np.random.get_state()[1], before[0])
        assert torch.equal(torch.random.get_rng_state(), before[1])


def test_a_correlation_is_taken_as_it_is_and_an_information_turned_into_one():
    assert law_of(gaussians_settings("rho=0.9,d=3")).mutual_information == pytest.approx(3 * 0.830366, abs=1e-5)
    assert law_of(gaussians_settings("mi=2.5,d=3")).mutual_information == pytest.approx(2.5, rel=1e-12)


# ---------------------------------------------------------------------------------------------------------- staircase


def test_the_staircase_rises_from_two_to_ten_nats_in_five_levels(build_data):
    truth = build_data("staircase").annotations.truth
    assert truth == {
        "level 0": 2.0,
        "level 1": 4.0,
        "level 2": 6.0,
        "level 3": 8.0,
        "level 4": 10.0,
        "mutual_information": 10.0,
        "steps": 4000.0,
    }


def test_an_epoch_of_the_staircase_is_all_its_steps(build_data):
    data = build_data("staircase")
    assert len(data.pretrain.epoch(Items(), 64, generator())) == 20_000
    assert data.inputs.description.shape == data.pretrain.description.shape == (20, 20)


def correlation(x, y):
    """Mean correlation of the coordinates of x with their own of y."""
    return np.mean([np.corrcoef(x[:, k], y[:, k])[0, 1] for k in range(x.shape[1])])


def test_every_level_has_its_correlation(build_data):
    data = build_data("staircase", levels=(2.0, 10.0), steps=4)
    epoch = data.pretrain.epoch(Items(), 200, generator())
    assert len(epoch) == 8
    for batches, rho in ((range(4), 0.4258), (range(4, 8), 0.7951)):
        x, y = (torch.cat([getattr(epoch[position], name) for position in batches]) for name in ("x", "y"))
        assert correlation(x, y) == pytest.approx(rho, abs=4 * (1 - rho**2) / math.sqrt(20 * 800))


def test_the_staircase_holds_pairs_of_its_last_level(build_data):
    data = build_data("staircase", levels=(2.0, 6.0))
    both = everything(data.inputs)
    assert_halves(data.annotations.splits["staircase"], gaussians.HELD)
    assert len(both) == 2 * gaussians.HELD
    assert correlation(both[:, :20], both[:, 20:]) == pytest.approx(0.6717, abs=4 * 0.55 / math.sqrt(20 * len(both)))
    assert data.annotations.truth["mutual_information"] == 6.0


def test_fresh_pairs_of_the_staircase_are_numbered_after_those_held(build_data):
    data = build_data("staircase", steps=4)
    assert data.pretrain.epoch(Items(), 2, generator())[0].index.min() == 2 * gaussians.HELD


def test_a_cubic_staircase_has_the_same_levels_and_y_cubed(build_data):
    plain, cubic = build_data("staircase", steps=4), build_data("staircase", steps=4, cubic=True)
    assert cubic.annotations.truth == plain.annotations.truth
    one, other = (data.pretrain.epoch(Items(), 8, generator())[9] for data in (plain, cubic))
    assert torch.equal(other.x, one.x)
    torch.testing.assert_close(other.y, one.y**3)


# ----------------------------------------------------------------------------------------------------- equicorrelated


@pytest.mark.parametrize(("dims", "r", "nats"), [(2, 0.9, 0.830), (10, 0.5, 2.267), (64, 0.1, 2.325), (64, 0.5, 20.09), (5, 0, 0)])
def test_total_correlation_is_the_published_one(dims, r, nats):
    assert equicorrelation(dims, r) == pytest.approx(nats, abs=0.005 if nats > 10 else 0.0005)


@pytest.mark.parametrize(("dims", "r"), [(2, 0.9), (7, 0.3)])
def test_total_correlation_is_that_of_the_determinant(dims, r):
    sigma = torch.eye(dims, dtype=torch.float64) * (1 - r) + r
    assert equicorrelation(dims, r) == pytest.approx(-0.5 * float(torch.linalg.slogdet(sigma).logabsdet), rel=1e-12)


def test_equicorrelated_vectors_are_what_they_say(build_data):
    data = build_data("equicorrelated:d=4,r=0.3", samples=5000)
    sigma = torch.eye(4) * 0.7 + 0.3
    values = everything(data.inputs)
    assert values.shape == (10_000, 4)
    assert float((torch.cov(values.T) - sigma).abs().max()) < 5 * math.sqrt(2 / 10_000)
    assert data.annotations.truth == {"total_correlation": pytest.approx(equicorrelation(4, 0.3))}


def test_equicorrelated_vectors_are_split_and_only_the_training_part_is_trained_on(build_data):
    data = build_data("equicorrelated:d=4,r=0.3", samples=50)
    splits = data.annotations.splits["known-correlation"]
    assert_halves(splits, 50)
    assert torch.equal(everything(data.pretrain), everything(data.inputs)[splits.train])

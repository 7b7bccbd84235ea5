"""How scores are read as nats."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from harness_information.readings import READINGS, READINGS_OF
from harness_information.spec_estimators import Bound, ReadingName

E = math.e
BY_HAND = {
    # Joint pairs score 1 and marginal ones 0: the first three are as far apart as can be told by hand.
    (1.0, 0.0): {
        "infonce": math.log(2) - math.log(1 + 1 / E),
        "nwj": 1 - 1 / E,
        "dv": 1.0,
        "js": 1.0,
        "smile-1": 1.0,
        "smile-5": 1.0,
    },
    # Marginal pairs score 2, beyond the clip of SMILE 1.
    (1.0, 2.0): {
        "infonce": math.log(2) - math.log(1 + E),
        "nwj": 1 - E,
        "dv": -1.0,
        "js": 2 - E**2,
        "smile-1": 0.0,
        "smile-5": -1.0,
    },
    # And 6, beyond that of SMILE 5 too; joint pairs are not clipped.
    (7.0, 6.0): {
        "infonce": math.log(2) - math.log(1 + 1 / E),
        "nwj": 7 - E**5,
        "dv": 1.0,
        "js": 8 - E**6,
        "smile-1": 6.0,
        "smile-5": 2.0,
    },
}


@pytest.mark.parametrize("name", get_args(ReadingName))
@pytest.mark.parametrize("scores", BY_HAND)
def test_constant_scores_are_read_as_computed_by_hand(scores, name):
    positive, negative = torch.full((4, 1), scores[0]), torch.full((4, 1), scores[1])
    assert READINGS[name](positive, negative).item() == pytest.approx(BY_HAND[scores][name], rel=1e-5)


@pytest.mark.parametrize("name", get_args(ReadingName))
def test_a_critic_that_knows_the_density_ratio_is_read_as_the_information(name):
    # Two bits that agree with probability 0.9: r = 1.8 where they do and 0.2 where they do not; rows hold every pair that often.
    information = 0.9 * math.log(1.8) + 0.1 * math.log(0.2)
    positive = torch.tensor([math.log(1.8)] * 9 + [math.log(0.2)])[:, None]
    negative = torch.tensor([math.log(1.8), math.log(0.2)]).repeat(10, 500)
    if name == "nwj":
        positive, negative = positive + 1, negative + 1
    value = READINGS[name](positive, negative).item()
    if name == "smile-1":  # clips log 0.2 to -1
        assert value == pytest.approx(information - math.log(0.9 + 0.5 / E), rel=1e-5)
    else:
        assert value == pytest.approx(information, rel=2e-3 if name == "infonce" else 1e-5)


def test_every_reading_that_can_be_asked_for_is_there():
    assert tuple(READINGS) == get_args(ReadingName)


def test_every_training_has_its_readings_its_own_first():
    assert READINGS_OF == {
        "infonce": ("infonce",),
        "nwj": ("nwj", "dv"),
        "dv": ("dv",),
        "mine": ("dv",),
        "js": ("js", "smile-1", "smile-5", "dv"),
    }
    assert set(READINGS_OF) == set(get_args(Bound))


SHIFTS = {
    # What leaves the bound that a critic is trained by as it is, and so must leave how it is read.
    "infonce": lambda scores: scores + torch.arange(len(scores))[:, None],
    "dv": lambda scores: scores + 3,
    "mine": lambda scores: scores + 3,
}


@pytest.mark.parametrize("bound", SHIFTS)
def test_a_reading_does_not_depend_on_what_its_training_leaves_open(bound):
    scores = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    moved = SHIFTS[bound](scores)
    for name in READINGS_OF[bound]:
        read, again = (READINGS[name](values[:, :1], values[:, 1:]).item() for values in (scores, moved))
        assert again == pytest.approx(read, rel=1e-4)


def test_infonce_never_exceeds_the_logarithm_of_its_candidates():
    for candidates in (2, 8, 64):
        scores = torch.full((10, candidates), -50.0)
        scores[:, 0] = 50.0
        value = READINGS["infonce"](scores[:, :1], scores[:, 1:]).item()
        assert value <= math.log(candidates) + 1e-6
        assert value == pytest.approx(math.log(candidates), rel=1e-5)

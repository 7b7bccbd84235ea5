"""Random places in random episodes."""

from __future__ import annotations

import numpy as np
import torch

from harness_atari.episode_draws import EpisodeDraws, draw_places

CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_an_episode_without_a_place_is_never_drawn_and_every_place_of_the_others_is():
    episode, place = draw_places(torch.tensor([0, 3, 1, 0]), 400, generator())
    assert set(zip(episode.tolist(), place.tolist(), strict=True)) == {(1, 0), (1, 1), (1, 2), (2, 0)}


def test_every_episode_is_drawn_equally_often_and_every_frame_of_it_too():
    episodes = np.array([7, 7, 7, 3, 9, 9, 9, 9, 9, 9])
    drawn = np.bincount(EpisodeDraws(episodes, CPU).draw(30_000, generator()).numpy(), minlength=10)
    expected = 30_000 / 3 / np.array([3, 3, 3, 1, 6, 6, 6, 6, 6, 6])
    assert (np.abs(drawn - expected) < 5 * np.sqrt(expected)).all()


def test_frames_of_an_episode_need_not_stand_side_by_side():
    episodes = np.array([1, 0, 1, 0, 0])
    drawn = np.bincount(EpisodeDraws(episodes, CPU).draw(20_000, generator()).numpy(), minlength=5)
    expected = 10_000 / np.array([2, 3, 2, 3, 3])
    assert (np.abs(drawn - expected) < 5 * np.sqrt(expected)).all()


def test_the_generator_decides():
    draws = EpisodeDraws(np.repeat(np.arange(5), 20), CPU)
    assert torch.equal(draws.draw(40, generator(1)), draws.draw(40, generator(1)))
    assert not torch.equal(draws.draw(40, generator(1)), draws.draw(40, generator(2)))

"""One console under the protocol."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from harness import CorruptDataError, DataError
from harness_atari import emulation
from harness_atari.emulation import LUMINANCE, Emulator, emulator_library, rom_path
from harness_atari.games import game

pytestmark = pytest.mark.usefixtures("_needs_emulator")


def console(name, seed=0):
    return Emulator(game(name), np.random.default_rng(seed))


class Fixed:
    """A generator whose every number is the same."""

    def __init__(self, value):
        self.value = value

    def integers(self, low, high):
        return np.clip(self.value, low, high - 1)


# Breakout loses a life every few steps, freeway has no FIRE, qbert waits without lives: all ways through a reset.
@pytest.mark.parametrize(
    ("name", "steps"), [("pong", 400), ("breakout", 600), ("freeway", 100), ("qbert", 500), ("yars_revenge", 200)]
)
def test_it_shows_and_remembers_what_the_wrappers_of_the_paper_do(slow_console, name, steps):
    fast, slow = console(name), slow_console(name, np.random.default_rng(0))
    assert fast.actions == slow.actions
    fast.reset()
    assert np.array_equal(fast.frame, slow.reset())
    ram, ends = np.zeros(128, dtype=np.uint8), 0
    for action in np.random.default_rng(1).integers(1, fast.actions, steps).tolist():
        ended = fast.step(action)
        seen, ended_slowly = slow.step(action)
        assert ended == ended_slowly
        fast.read_ram(ram)
        assert np.array_equal(ram, slow.ram())
        if ended:
            ends += 1
            fast.reset()
            seen = slow.reset()
            fast.read_ram(ram)
            assert np.array_equal(ram, slow.ram())
        assert np.array_equal(fast.frame, seen)
    assert ends >= 5 or name not in ("breakout", "qbert")


@pytest.mark.parametrize("noops", [1, 30])
@pytest.mark.parametrize(("name", "fired"), [("pong", 8), ("freeway", 0)])
def test_a_new_game_begins_with_noops_and_two_steps_where_it_has_fire(noops, name, fired):
    emulator = Emulator(game(name), Fixed(noops))
    emulator.reset()
    assert emulator._console.getEpisodeFrameNumber() == noops + fired


def test_a_step_is_four_frames_and_actions_are_never_sticky():
    emulator = console("pong")
    emulator.reset()
    before = emulator._console.getEpisodeFrameNumber()
    emulator.step(2)
    assert emulator._console.getEpisodeFrameNumber() == before + 4
    assert emulator._console.getFloat("repeat_action_probability") == 0


def test_a_lost_life_ends_an_episode_and_the_game_goes_on():
    emulator = console("breakout")
    emulator.reset()
    begun = emulator._console.getEpisodeFrameNumber()
    while not emulator.step(1):
        pass
    assert emulator._console.lives() == 4
    emulator.reset()
    assert emulator._console.lives() == 4
    assert emulator._console.getEpisodeFrameNumber() > begun


@pytest.mark.parametrize("name", ["pong", "ms_pacman", "seaquest", "montezuma_revenge"])
def test_grey_values_are_the_emulator_s_own(name):
    emulator = console(name)
    emulator.reset()
    for action in np.random.default_rng(0).integers(1, emulator.actions, 60).tolist():
        if emulator.step(action):
            emulator.reset()
        screen, grey = emulator._console.getScreen(), emulator._console.getScreenGrayscale()
        assert np.array_equal(LUMINANCE[screen], grey)


def test_the_same_generator_gives_the_same_game_and_another_another():
    shown = []
    for seed in (0, 0, 1):
        emulator = console("pong", seed)
        emulator.reset()
        for action in np.random.default_rng(seed).integers(1, emulator.actions, 50).tolist():
            emulator.step(action)
        shown.append(emulator.frame.copy())
    assert np.array_equal(shown[0], shown[1])
    assert not np.array_equal(shown[0], shown[2])


def test_the_emulator_writes_nothing_to_the_user_s_output(capfd):
    emulator = console("pong")
    emulator.reset()
    emulator.step(1)
    assert capfd.readouterr() == ("", "")


def test_without_the_emulator_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(DataError, match=r'not installed; run pip install "infomax-harness\[atari\]"'):
        emulator_library()


def test_a_rom_that_is_missing_or_another_is_refused_before_the_emulator_sees_it(monkeypatch, tmp_path):
    other = rom_path(game("breakout")).read_bytes()
    monkeypatch.setenv("ALE_ROMS_DIR", str(tmp_path))
    with pytest.raises(CorruptDataError, match=r"pong\.bin cannot be read: No such file or directory; install ale-py anew"):
        console("pong")
    (tmp_path / "pong.bin").write_bytes(other)
    with pytest.raises(CorruptDataError, match=r"pong\.bin is not the one that labels are known for: its sha256 is .*ALE_ROMS_DIR"):
        console("pong")
    (tmp_path / "breakout.bin").write_bytes(other)
    console("breakout").reset()


def test_an_emulator_with_other_grey_values_is_refused(monkeypatch):
    monkeypatch.setattr(emulation, "LUMINANCE", LUMINANCE[::-1].copy())
    with pytest.raises(DataError, match=r"other grey values.*pip install ale-py==0\.12\.1"):
        console("pong").reset()

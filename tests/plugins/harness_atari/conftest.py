"""Small collections of real games, and the protocol written down slowly, wrapper by wrapper."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from harness_atari.collecting import collect
from harness_atari.collection import Plan
from harness_atari.emulation import rom_path
from harness_atari.games import game

WITHOUT = "ale-py is not installed"


@pytest.fixture(scope="session")
def _needs_emulator():
    if importlib.util.find_spec("ale_py") is None:
        pytest.skip(WITHOUT)


@pytest.fixture(scope="session")
def played(_needs_emulator, tmp_path_factory):
    """A collection of a game, made once in a session."""
    cache = tmp_path_factory.mktemp("played")

    def made(name, frames, part="probe", **details):
        plan = Plan(game=name, part=part, frames=frames, seed=1, **details)
        return collect(cache / name, plan, workers=1)

    return made


class _Frames:
    """The bare console: one frame a step, as grey values."""

    def __init__(self, name, seed):
        import ale_py

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self.ale = ale_py.ALEInterface()
        self.ale.setInt("random_seed", seed)
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.loadROM(str(rom_path(game(name))))
        self.meanings = [action.name for action in self.ale.getMinimalActionSet()]

    def reset(self):
        self.ale.reset_game()
        return self.ale.getScreenGrayscale()

    def step(self, action):
        self.ale.act(self.ale.getMinimalActionSet()[action])
        return self.ale.getScreenGrayscale(), self.ale.game_over()


class _NoopReset:
    def __init__(self, inner, generator):
        self.inner, self.generator = inner, generator

    def reset(self):
        seen = self.inner.reset()
        for _ in range(self.generator.integers(1, 31)):
            seen, over = self.inner.step(0)
            if over:
                seen = self.inner.reset()
        return seen

    def step(self, action):
        return self.inner.step(action)


class _MaxAndSkip:
    def __init__(self, inner):
        self.inner = inner

    def reset(self):
        return self.inner.reset()

    def step(self, action):
        seen = []
        for _ in range(4):
            frame, over = self.inner.step(action)
            seen.append(frame)
            if over:
                break
        return np.max(seen[-2:], axis=0), over


class _EpisodicLife:
    def __init__(self, inner, ale):
        self.inner, self.ale, self.lives, self.over = inner, ale, 0, True

    def step(self, action):
        seen, over = self.inner.step(action)
        self.over, lives = over, self.ale.lives()
        ended = over or (lives < self.lives and lives > 0)
        self.lives = lives
        return seen, ended

    def reset(self):
        seen = self.inner.reset() if self.over else self.inner.step(0)[0]
        self.over = False
        self.lives = self.ale.lives()
        return seen


class _FireReset:
    def __init__(self, inner):
        self.inner = inner

    def reset(self):
        self.inner.reset()
        for action in (1, 2):
            seen, ended = self.inner.step(action)
            if ended:
                seen = self.inner.reset()
        return seen

    def step(self, action):
        return self.inner.step(action)


class SlowConsole:
    """A console under the protocol, as a stack of wrappers."""

    def __init__(self, name, generator):
        bare = _Frames(name, int(generator.integers(1, 2**31 - 1)))
        self.ale = bare.ale
        self.actions = len(bare.meanings)
        self.inner = _EpisodicLife(_MaxAndSkip(_NoopReset(bare, generator)), bare.ale)
        if "FIRE" in bare.meanings:
            self.inner = _FireReset(self.inner)

    def reset(self):
        return self.inner.reset()

    def step(self, action):
        return self.inner.step(action)

    def ram(self):
        return self.ale.getRAM().copy()


@pytest.fixture(scope="session")
def slow_console(_needs_emulator):
    return SlowConsole

"""Speed of collecting frames and RAM of an Atari game, beside the bare emulator and beside wrappers of gymnasium.

    python benchmarks/speed/atari_collection.py [--games pong breakout] [--out FILE.json]

Three loops play the same game, a piece of each in turn, in one process:

- bare: the emulator alone is told what our loop told it in that piece, action after action and reset after reset; nothing is read.
- harness: our loop. It reads frames and RAM and writes them to their files; digests are made when a console is done and not
  counted. "harness, not written" leaves out the frames' file, and so has what the peer has.
- gymnasium: `AtariPreprocessing` at full size (NOOPs, 4 frames a step, maximum of two, grey) over the environment as `make` gives
  it, an episode a life and FIRE on reset as wrappers of Baselines' kind around it, RAM read from the emulator, frames and RAM put
  into arrays in memory. "gymnasium, grey" has an environment that was asked for grey observations, which it makes in less time.

Times are those of the processor, so that what else runs on the machine counts little. Then whole collections are made by one
process and by two, in turn, by the clock: start of the processes, digests and writing to the disk included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ale_py
import gymnasium
import numpy as np
from gymnasium.wrappers import AtariPreprocessing

from harness_atari.array_folders import partial_folder, writable
from harness_atari.collecting import collect
from harness_atari.collection import Plan
from harness_atari.consoles import Console
from harness_atari.emulation import HEIGHT, RAM_BYTES, WIDTH

Piece = Callable[[], None]
"""Plays `STEPS` steps."""
STEPS = 500
ROM_NAMES = {"pong": "Pong", "breakout": "Breakout", "ms_pacman": "MsPacman", "seaquest": "Seaquest", "yars_revenge": "YarsRevenge"}


class Listening:
    """An emulator that also writes down what it is told to do."""

    def __init__(self, console: Any) -> None:
        self.console, self.told = console, []
        for name in ("game_over", "lives", "getScreen", "getScreenGrayscale", "getRAM"):
            setattr(self, name, getattr(console, name))

    def act(self, code: int) -> int:
        self.told.append(code)
        return self.console.act(code)

    def reset_game(self) -> None:
        self.told.append(-1)
        self.console.reset_game()


# ------------------------------------------------------------------------------------------------------- the loops


def our_loops(game: str, folder: Path, rounds: int) -> dict[str, Piece]:
    """Ours, and the bare emulator told the same. All play on consoles of their own, from the same beginning."""
    plan = Plan(game=game, part="pretrain", frames=8 * STEPS * rounds, seed=0)
    place = partial_folder(folder / game, "timed", plan.forms)
    arrays = writable(place, plan.forms)
    timed, unwritten, listened, bare = (Console(place, plan, 0, arrays) for _ in range(4))
    unwritten._frames = InMemory()
    listened.emulator._console = listening = Listening(listened.emulator._console)
    pieces = np.random.default_rng(0).integers(1, timed.emulator.actions, (rounds, STEPS)).tolist()
    told = []
    for piece in pieces:  # what the emulator is told in each piece, found out beforehand
        listening.told = []
        for action in piece:
            listened.advance(action)
        told.append(listening.told)
    theirs = iter(told)

    def playing(stream: Any) -> Piece:
        mine = iter(pieces)

        def play() -> None:
            for action in next(mine):
                stream.advance(action)

        return play

    def play_bare() -> None:
        act, reset = bare.emulator._console.act, bare.emulator._console.reset_game
        for code in next(theirs):
            if code < 0:
                reset()
            else:
                act(code)

    return {"bare": play_bare, "harness": playing(timed), "harness, not written": playing(unwritten)}


class InMemory:
    """In place of a file: a few rows of memory, over and over."""

    def __init__(self) -> None:
        self.rows, self.row = np.zeros((STEPS, HEIGHT, WIDTH), dtype=np.uint8), -1

    def add(self, row: Any) -> None:
        self.row = (self.row + 1) % STEPS
        self.rows[self.row] = row


class EpisodicLife(gymnasium.Wrapper):
    """An episode ends with a life, and goes on with a step of NOOP where others are left."""

    lives, over = 0, True

    def step(self, action: int) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        seen, reward, over, cut, info = self.env.step(action)
        self.over, lives = over or cut, self.env.unwrapped.ale.lives()
        ended, self.lives = over or 0 < lives < self.lives, lives
        return seen, reward, ended, cut, info

    def reset(self, **details: Any) -> tuple[Any, dict[str, Any]]:
        if self.over:
            seen, info = self.env.reset(**details)
        else:
            seen, _, _, _, info = self.env.step(0)
        self.lives = self.env.unwrapped.ale.lives()
        return seen, info


class FireReset(gymnasium.Wrapper):
    """The second and the third action follow a reset."""

    def reset(self, **details: Any) -> tuple[Any, dict[str, Any]]:
        self.env.reset(**details)
        for action in (1, 2):
            seen, _, over, cut, info = self.env.step(action)
            if over or cut:
                seen, info = self.env.reset(**details)
        return seen, info


def gymnasium_piece(game: str, seen_as: str) -> Piece:
    """Wrappers of gymnasium."""
    env = gymnasium.make(
        f"ALE/{ROM_NAMES[game]}-v5",
        frameskip=1,
        repeat_action_probability=0.0,
        full_action_space=False,
        obs_type=seen_as,
        disable_env_checker=True,
    )
    env = AtariPreprocessing(env, noop_max=30, frame_skip=4, screen_size=(WIDTH, HEIGHT), grayscale_obs=True)
    env = EpisodicLife(env)
    if "FIRE" in env.unwrapped.get_action_meanings():
        env = FireReset(env)
    rng = np.random.default_rng(0)
    frames = np.zeros((STEPS, HEIGHT, WIDTH), dtype=np.uint8)
    ram = np.zeros((STEPS, RAM_BYTES), dtype=np.uint8)
    env.reset(seed=0)

    def play() -> None:
        for step, action in enumerate(rng.integers(1, env.action_space.n, STEPS)):
            seen, _, over, cut, _ = env.step(action)
            if over or cut:
                seen, _ = env.reset()
            frames[step] = seen
            ram[step] = env.unwrapped.ale.getRAM()

    return play


# ------------------------------------------------------------------------------------------------------ comparison


def compare_loops(game: str, rounds: int) -> dict[str, Any]:
    """Processor time of a step in each loop; two rounds beforehand are not counted."""
    with tempfile.TemporaryDirectory() as folder:
        loops = our_loops(game, Path(folder), rounds + 2)
        loops |= {"gymnasium": gymnasium_piece(game, "rgb"), "gymnasium, grey": gymnasium_piece(game, "grayscale")}
        times: dict[str, list[float]] = {name: [] for name in loops}
        for round_number in range(-2, rounds):
            for name, play in loops.items():
                started = time.process_time()
                play()
                if round_number >= 0:
                    times[name].append((time.process_time() - started) / STEPS * 1e6)
    return {
        "game": game,
        "step_us": {name: statistics.median(values) for name, values in times.items()},
        "of_bare_rate": {name: ratio(times["bare"], times[name]) for name in ("harness", "harness, not written")},
        "times_quicker_than": {name: ratio(times[name], times["harness"]) for name in ("gymnasium", "gymnasium, grey")},
    }


def ratio(above: list[float], below: list[float]) -> dict[str, Any]:
    """Median and quartiles over the rounds."""
    values = [a / b for a, b in zip(above, below, strict=True)]
    return {"median": statistics.median(values), "quartiles": statistics.quantiles(values, n=4)[::2]}


def compare_workers(game: str, frames: int, rounds: int) -> dict[str, Any]:
    """Seconds of whole collections by one process and by two."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    used: dict[int, list[float]] = {1: [], 2: []}
    for round_number in range(rounds):
        for workers, found in seconds.items():
            with tempfile.TemporaryDirectory() as folder:
                started, before = time.perf_counter(), processor_time()
                collect(Path(folder), Plan(game=game, part="pretrain", frames=frames, seed=round_number), workers=workers)
                found.append(time.perf_counter() - started)
                used[workers].append(processor_time() - before)
    ratios = [one / two for one, two in zip(seconds[1], seconds[2], strict=True)]
    return {
        "game": game,
        "frames": frames,
        "rounds": rounds,
        "seconds": {str(workers): statistics.median(found) for workers, found in seconds.items()},
        "processor_seconds": {str(workers): statistics.median(found) for workers, found in used.items()},
        "frames_per_second": {str(workers): frames / statistics.median(found) for workers, found in seconds.items()},
        "two_over_one": statistics.median(ratios),
        "two_over_one_range": [min(ratios), max(ratios)],
    }


def processor_time() -> float:
    """Seconds that this process and the ended ones that it started have used."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--games", nargs="+", default=["pong", "breakout"], choices=sorted(ROM_NAMES), help="default pong, breakout"
    )
    parser.add_argument("--rounds", type=int, default=20, help=f"pieces of {STEPS} steps that are timed (default 20)")
    parser.add_argument("--frames", type=int, default=100_000, help="of a whole collection (default 100,000)")
    parser.add_argument("--collections", type=int, default=2, help="by one process and by two (default 2; 0: none)")
    parser.add_argument("--out", type=Path, help="write the result as JSON to this file")
    chosen = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    gymnasium.register_envs(ale_py)

    loops = []
    for game in chosen.games:
        loops.append(compare_loops(game, chosen.rounds))
        print(f"{game}: " + ", ".join(f"{name} {step:.0f}" for name, step in loops[-1]["step_us"].items()) + " us a step")
        for name, found in {**loops[-1]["of_bare_rate"], **loops[-1]["times_quicker_than"]}.items():
            told = "of the bare rate" if "harness" in name else "times quicker than it"
            print(f"    {name:22s} {found['median']:.3f} {told}, quartiles {found['quartiles'][0]:.3f} {found['quartiles'][1]:.3f}")
    workers = compare_workers(chosen.games[0], chosen.frames, chosen.collections) if chosen.collections else None
    if workers:
        rate = workers["frames_per_second"]
        print(f"{workers['frames']:,} frames of {workers['game']}: {rate['1']:,.0f} a second by one process, ", end="")
        print(f"{rate['2']:,.0f} by two, {workers['two_over_one']:.2f} x; ", end="")
        print(" and ".join(f"{seconds:.1f}" for seconds in workers["processor_seconds"].values()) + " s of processor time")
    if chosen.out:
        result = {
            "ale-py": ale_py.__version__,
            "gymnasium": gymnasium.__version__,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "load_before": load,
            "rounds": chosen.rounds,
            "loops": loops,
            "workers": workers,
        }
        chosen.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

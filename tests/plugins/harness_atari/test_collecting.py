"""Collections of frames and RAM."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import msgspec
import numpy as np
import pytest

from harness import DataError, UnfitError, UnknownNameError
from harness_atari import collecting, consoles, workers
from harness_atari import collection as collection_module
from harness_atari.collecting import collect, collect_by_policy
from harness_atari.collection import Plan, open_collection

pytestmark = pytest.mark.usefixtures("_needs_emulator")

PLAN = Plan(game="breakout", part="probe", frames=480, seed=1)
NAMES = ("frames", "ram", "step_ram", "episodes", "digests")


def contents(collection):
    return {name: hashlib.sha256(getattr(collection, name).tobytes()).hexdigest() for name in NAMES}


@pytest.fixture(scope="module")
def whole(played):
    return contents(played("breakout", 480))


@pytest.fixture
def replayed(monkeypatch):
    """Which consoles played in this process."""
    consoles = []

    def play(partial, plan, stream, report, play=collecting.play):
        consoles.append(stream)
        play(partial, plan, stream, report)

    monkeypatch.setattr(collecting, "play", play)
    return consoles


# ------------------------------------------------------------------------------------------------ what is collected


def test_it_is_what_the_wrappers_of_the_paper_show_in_each_console(played, slow_console):
    collection, share = played("breakout", 480), 60
    for stream in (0, 5):
        seed = hashlib.sha256(f"1/probe/{stream}".encode()).digest()[:8]
        generator = np.random.default_rng(int.from_bytes(seed, "big"))
        console = slow_console("breakout", generator)
        console.reset()
        episode = stream * share
        for step, action in enumerate(generator.integers(1, console.actions, share).tolist()):
            row = stream * share + step
            seen, ended = console.step(action)
            assert np.array_equal(collection.step_ram[row], console.ram())
            if ended:
                seen, episode = console.reset(), row
            assert np.array_equal(collection.frames[row, 0], seen)
            assert np.array_equal(collection.ram[row], console.ram())
            assert collection.episodes[row] == episode


def test_only_the_first_frame_of_an_episode_has_the_ram_of_another_step(played):
    collection = played("breakout", 480)
    first = collection.episodes == np.arange(480)
    assert first.sum() > 8
    assert np.array_equal(collection.ram[~first], collection.step_ram[~first])
    begun_by_a_step = first & (np.arange(480) % 60 > 0)
    lives = 57
    assert (collection.step_ram[begun_by_a_step, lives] != 5).all()
    assert (collection.ram[begun_by_a_step] != collection.step_ram[begun_by_a_step]).any(axis=1).all()


def test_digests_are_of_the_frames(played):
    collection = played("breakout", 480)
    expected = [int.from_bytes(hashlib.sha256(frame.tobytes()).digest()[:8], "little") for frame in collection.frames]
    assert collection.digests.tolist() == expected


def test_consoles_parts_and_seeds_play_different_games(played):
    streams = played("pong", 160).frames.reshape(8, -1)
    assert len({stream.tobytes() for stream in streams}) == 8
    assert contents(played("pong", 160)) != contents(played("pong", 160, part="pretrain"))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_processes_gives_the_same_bytes(tmp_path, whole, workers):
    told = []
    collection = collect(tmp_path, PLAN, workers=workers, progress=lambda *progress: told.append(progress))
    assert contents(collection) == whole
    assert {name: (getattr(collection, name).shape, getattr(collection, name).dtype) for name in NAMES} == {
        name: (shape, np.dtype(dtype)) for name, (shape, dtype) in PLAN.forms.items()
    }
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert {tuple(rest) for _, *rest in told} == {(480, "frames")}
    assert workers > 1 or told[-1][0] == 480


def test_labels_alone_are_those_of_the_frames(tmp_path, played, whole):
    alone = collect(tmp_path, msgspec.structs.replace(PLAN, has_frames=False), workers=1)
    assert alone.frames is None
    assert {name: hashlib.sha256(getattr(alone, name).tobytes()).hexdigest() for name in NAMES[1:]} == {
        name: whole[name] for name in NAMES[1:]
    }
    assert alone.content_sha256 == played("breakout", 480).content_sha256
    assert not (alone.folder / "frames.npy").exists()


def test_labels_alone_are_taken_from_frames_that_are_there(played, replayed):
    cache = played("breakout", 480).folder.parent
    assert collect(cache, msgspec.structs.replace(PLAN, has_frames=False)).folder.name == "probe-s1-480"
    assert replayed == []


def test_a_worker_imports_no_torch():
    program = "import sys, harness_atari.workers; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_little_memory_is_taken(tmp_path):
    def anonymous():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

    if not os.path.exists("/proc/self/status"):
        pytest.skip("only Linux says how much of a process's memory is its own")
    before, most = anonymous(), []
    plan = Plan(game="pong", part="probe", frames=2_000, seed=1)
    collect(tmp_path, plan, workers=1, progress=lambda *_: most.append(anonymous()))
    assert max(most) - before < 40  # MiB; the frames are 64


# ---------------------------------------------------------------------------------------- going on, and beginning anew


def test_a_collection_that_is_there_is_taken(tmp_path, whole, replayed):
    collect(tmp_path, PLAN, workers=1)
    assert replayed == list(range(8))
    assert contents(collect(tmp_path, PLAN)) == whole
    assert contents(open_collection(tmp_path / PLAN.name)) == whole
    assert replayed == list(range(8))
    assert sorted(path.name for path in (tmp_path / PLAN.name).iterdir()) == ["arrays.json", *sorted(f"{n}.npy" for n in NAMES)]


def test_other_frames_are_another_collection(tmp_path, replayed):
    collect(tmp_path, PLAN, workers=1)
    collect(tmp_path, msgspec.structs.replace(PLAN, seed=2), workers=1)
    assert len(replayed) == 16


def interrupt(monkeypatch, tmp_path, error=KeyboardInterrupt):
    """Begin a collection, and end it when the fourth console is half through."""
    with monkeypatch.context() as patch:

        def play(partial, plan, stream, report, play=collecting.play):
            def report_and_stop(frames):
                if stream == 3:
                    raise error
                report(frames)

            play(partial, plan, stream, report_and_stop)

        patch.setattr(collecting, "play", play)
        with pytest.raises(error):
            collect(tmp_path, PLAN, workers=1)


def test_an_interrupted_collection_goes_on_with_the_consoles_that_are_missing(tmp_path, whole, monkeypatch):
    interrupt(monkeypatch, tmp_path)
    assert open_collection(tmp_path / PLAN.name) is None
    consoles, told = [], []

    def play(partial, plan, stream, report, play=collecting.play):
        consoles.append(stream)
        play(partial, plan, stream, report)

    monkeypatch.setattr(collecting, "play", play)
    assert contents(collect(tmp_path, PLAN, workers=1, progress=lambda *progress: told.append(progress))) == whole
    assert consoles == [3, 4, 5, 6, 7]
    assert told[0] == (180, 480, "frames")
    assert sorted(path.name for path in tmp_path.iterdir()) == [PLAN.name, f"{PLAN.name}.lock"]


def test_a_console_whose_frames_did_not_reach_the_disk_plays_again(tmp_path, whole, monkeypatch, replayed):
    interrupt(monkeypatch, tmp_path)
    partial = tmp_path / f"{PLAN.name}.partial"
    arrays = collecting.writable(partial, PLAN.forms)
    arrays["frames"][60:65] = 0
    arrays["ram"][130] = 0
    replayed.clear()
    assert contents(collect(tmp_path, PLAN, workers=1)) == whole
    assert replayed == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.slow
def test_a_killed_collection_goes_on(tmp_path, whole):
    plan = msgspec.structs.replace(PLAN, frames=8_000)
    program = f"""
import msgspec
from pathlib import Path
from harness_atari.collecting import collect
from harness_atari.collection import Plan
collect(Path({str(tmp_path)!r}), Plan(game="breakout", part="probe", frames=8_000, seed=1), workers=2)
"""
    process = subprocess.Popen([sys.executable, "-c", program])
    partial = tmp_path / f"{plan.name}.partial"
    while not list(partial.glob("stream-*.json")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list(partial.glob("stream-*.json")))
    assert 0 < done < 8
    told = []
    collection = collect(tmp_path, plan, workers=2, progress=lambda done, *_: told.append(done))
    assert told[0] >= done * 1_000
    again = collect(tmp_path / "again", plan, workers=1)
    assert contents(collection) == contents(again)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["frames", "step_ram", "digests"])
def test_a_damaged_collection_is_played_again(tmp_path, whole, replayed, name):
    folder = collect(tmp_path, PLAN, workers=1).folder
    flip(folder / f"{name}.npy")
    assert open_collection(folder) is None
    assert contents(collect(tmp_path, PLAN, workers=1)) == whole
    assert len(replayed) == 16


def test_a_collection_that_was_copied_is_taken(tmp_path, whole, replayed):
    folder = collect(tmp_path, PLAN, workers=1).folder
    for path in folder.iterdir():
        os.utime(path, ns=(1, 1))
    assert contents(collect(tmp_path, PLAN)) == whole
    assert len(replayed) == 8


def test_a_collection_of_another_emulator_is_not_taken(tmp_path, replayed, monkeypatch):
    collect(tmp_path, PLAN, workers=1)
    monkeypatch.setattr(collection_module, "collection_recipe", lambda name: {"emulator": "ale-py 9.9"})
    collect(tmp_path, PLAN, workers=1)
    assert len(replayed) == 16


def test_two_that_collect_the_same_at_once_share_one(tmp_path, whole, replayed):
    found = []
    threads = [threading.Thread(target=lambda: found.append(contents(collect(tmp_path, PLAN, workers=1)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [whole, whole]
    assert replayed == list(range(8))


# ------------------------------------------------------------------------------------------------------- mistakes


def test_a_full_disk_is_noticed_before_anything_is_played(tmp_path, monkeypatch, replayed):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(DataError, match=r"probe-s1-480 could not be written: the disk is full .* 0\.02 GB .* ask for fewer frames"):
        collect(tmp_path, PLAN)
    assert replayed == []
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_a_disk_that_fails_on_the_way_is_one_sentence(tmp_path, monkeypatch):
    def fails(self, row):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(consoles.RowWriter, "add", fails)
    with pytest.raises(DataError, match=r"probe-s1-480 could not be written: the disk is full"):
        collect(tmp_path, PLAN, workers=1)
    assert open_collection(tmp_path / PLAN.name) is None


def test_without_the_emulator_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(DataError, match="pip install"):
        collect(tmp_path, PLAN)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_game_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'breakout'"):
        collect(tmp_path, msgspec.structs.replace(PLAN, game="brekout"))


@pytest.mark.parametrize(
    ("worker", "said"),
    [
        ("raise OSError('no colours left')", "A process that played breakout failed: OSError: no colours left"),
        ("import os; os.kill(os.getpid(), 9)", "was killed before it was done; try again: what the others did is kept"),
        ("pass", "was killed before it was done"),
    ],
)
def test_a_worker_that_fails_is_one_sentence(tmp_path, monkeypatch, worker, said):
    monkeypatch.setattr(workers, "_WORKER", worker)
    with pytest.raises(DataError, match=said):
        collect(tmp_path, PLAN, workers=2)
    assert open_collection(tmp_path / PLAN.name) is None


def test_an_error_of_the_caller_ends_the_workers(tmp_path):
    plan = msgspec.structs.replace(PLAN, frames=80_000)

    def progress(done, *_):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(tmp_path, plan, workers=2, progress=progress)
    told = np.memmap(tmp_path / f"{plan.name}.partial" / "progress", dtype=np.int64, mode="r")
    before = told.sum()
    assert before < plan.frames
    time.sleep(0.3)
    assert told.sum() == before


# ------------------------------------------------------------------------------------------------------- policies


def test_a_policy_sees_all_consoles_and_chooses_for_each(tmp_path):
    seen, told = [], []

    def policy(frames, generator):
        seen.append(frames)
        return generator.integers(0, 4, size=8)

    plan = msgspec.structs.replace(PLAN, frames=160)
    collection = collect_by_policy(tmp_path / "mine", plan, policy, progress=lambda *progress: told.append(progress))
    assert len(seen) == 20
    assert all(frames.shape == (8, 210, 160) and frames.dtype == np.uint8 for frames in seen)
    shown = collection.frames[:, 0].reshape(8, 20, 210, 160)
    for step in range(1, 20):  # what it is shown is what the step before gave
        assert np.array_equal(seen[step], shown[:, step - 1])
    assert contents(open_collection(tmp_path / "mine")) == contents(collection)
    assert told[0] == (0, 160, "frames")
    again = collect_by_policy(tmp_path / "mine", plan, lambda frames, generator: generator.integers(0, 4, size=8))
    assert contents(again) == contents(collection)


def test_a_policy_that_plays_at_random_gives_what_the_random_agent_gives(tmp_path, played):
    plan = Plan(game="pong", part="probe", frames=160, seed=1)
    generators = [consoles.generator_of(plan, str(stream)) for stream in range(8)]
    actions = []
    for generator in generators:
        generator.integers(1, 2**31 - 1)
        generator.integers(1, 31)
        actions.append(generator.integers(1, 6, size=20))
    steps = iter(np.array(actions).T)
    collection = collect_by_policy(tmp_path / "mine", plan, lambda *_: next(steps))
    assert contents(collection) == contents(played("pong", 160))


@pytest.mark.parametrize("actions", [[0] * 7, [4] * 8, None])
def test_a_policy_without_eight_actions_is_refused_and_leaves_nothing(tmp_path, actions):
    with pytest.raises(UnfitError, match="The policy gave .*; breakout takes 8 whole numbers from 0 to 3, one for each console"):
        collect_by_policy(tmp_path / "mine", PLAN, lambda *_: actions)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


@pytest.mark.parametrize("actions", [[-1] * 8, [0.5] * 8, [True] * 8, 1, "left", [[0] * 8]])
def test_only_places_among_the_actions_are_actions(actions):
    with pytest.raises(UnfitError):
        collecting._checked_actions(actions, 4, "breakout")


def test_a_policy_that_fails_leaves_the_collection_before_it(tmp_path):
    plan = msgspec.structs.replace(PLAN, frames=80)
    before = contents(collect_by_policy(tmp_path / "mine", plan, lambda *_: [1] * 8))
    with pytest.raises(ZeroDivisionError):
        collect_by_policy(tmp_path / "mine", plan, lambda *_: 1 / 0)
    assert contents(open_collection(tmp_path / "mine")) == before

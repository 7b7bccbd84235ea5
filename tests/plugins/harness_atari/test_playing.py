"""Games that a policy of the user's own plays."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import harness
import harness_atari
from harness import UnfitError, UnknownNameError, UsageError
from harness_atari.collection import open_collection

FRAMES = {"pretrain_frames": 640, "probe_frames": 4_000}


def at_random(frames, generator):
    """Moves and never fires, which the game's own random agent would."""
    return generator.integers(2, 6, size=8)


@pytest.fixture(scope="module")
def folder(_needs_emulator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine") / "pong"
    harness_atari.play("pong", at_random, folder, seed=7, **FRAMES)
    return folder


@pytest.fixture(scope="module")
def scored(folder, tmp_path_factory):
    """A run on these frames: its record and its folder."""
    out = tmp_path_factory.mktemp("runs")
    [record] = harness.run(
        method="st-dim",
        data=harness_atari.played(folder),
        encoder="nature-84",
        options={"data.size": 84},
        budget="smoke",
        device="cpu",
        threads=1,
        references=False,
        out=out,
    )
    return record, next((out / record.identity.data.name).iterdir())


def test_a_policy_s_game_is_data_like_any_other(folder, scored):
    record, _ = scored
    assert record.status == "ok"
    assert record.identity.protocol.id == "aari"
    assert record.identity.data.name == harness_atari.played(folder).spec.name
    assert {metric.of["variable"] for metric in record.metrics if metric.name == "variable_f1"} >= {"player_y", "ball_x"}


def test_options_of_the_frames_are_given_with_the_run(scored):
    assert scored[0].identity.data.options == {"size": 84, "validation": 0.0}


def test_an_old_run_is_judged_again_with_the_same_frames(folder, scored):
    _, run = scored
    [again] = harness.evaluate(run, ["rankme"], data=harness_atari.played(folder), device="cpu", threads=1)
    assert again.status == "ok"
    with pytest.raises(UsageError, match=r"pass the same again: harness\.evaluate"):
        harness.evaluate(run, ["rankme"])


def test_the_name_tells_the_content(folder, tmp_path):
    sizes = {"pretrain_frames": 80, "probe_frames": 80}
    one, again, other = (
        harness_atari.play("pong", at_random, tmp_path / name, seed=seed, **sizes).spec
        for name, seed in [("one", 7), ("again", 7), ("other", 8)]
    )
    assert one == again
    assert one.name != other.name
    assert one.recipe != other.recipe
    assert harness_atari.played(folder, name="mine").spec.name == "mine"


@pytest.mark.usefixtures("_needs_emulator")
def test_frames_are_shown_to_the_policy_and_its_actions_are_played(tmp_path):
    shown = []

    def policy(frames, generator):
        shown.append(frames)
        return [0] * 8

    harness_atari.play("pong", policy, tmp_path, pretrain_frames=80, probe_frames=80)
    assert len(shown) == 20
    assert {frames.shape for frames in shown} == {(8, 210, 160)}
    kept = open_collection(tmp_path / "probe").frames
    assert np.array_equal(kept.reshape(8, 10, 210, 160)[:, 0], shown[11])


@pytest.mark.usefixtures("_needs_emulator")
def test_actions_have_names():
    assert harness_atari.actions("pong") == ("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")


def test_an_unknown_game_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="pong"):
        harness_atari.play("pongo", at_random, tmp_path)


def test_what_is_no_policy_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"`policy` is a int; give a function of frames \[8, 210, 160\] and a generator"):
        harness_atari.play("pong", 3, tmp_path)


@pytest.mark.parametrize("sizes", [{"pretrain_frames": 12}, {"probe_frames": 0}, {"probe_frames": 80.5}, {"seed": -1}])
def test_sizes_that_cannot_be_are_refused_before_anything_is_played(tmp_path, sizes):
    with pytest.raises(UsageError, match=f"multiples of 8: .*{next(iter(sizes))}"):
        harness_atari.play("pong", at_random, tmp_path / "none", **sizes)
    assert not (tmp_path / "none").exists()


@pytest.mark.usefixtures("_needs_emulator")
def test_a_policy_that_gives_no_actions_is_refused_and_leaves_nothing_half_written(tmp_path):
    with pytest.raises(UnfitError, match="The policy gave"):
        harness_atari.play("pong", lambda *_: None, tmp_path / "mine", **FRAMES)
    with pytest.raises(UsageError, match="play again"):
        harness_atari.played(tmp_path / "mine")


@pytest.mark.usefixtures("_needs_emulator")
def test_parts_that_were_not_played_together_are_refused(tmp_path):
    sizes = {"pretrain_frames": 80, "probe_frames": 80}
    harness_atari.play("pong", at_random, tmp_path, **sizes)
    steps = iter(range(15))
    with pytest.raises(StopIteration):
        harness_atari.play("pong", lambda *_: [next(steps) * 0] * 8, tmp_path, **sizes)
    with pytest.raises(UsageError, match="play again"):
        harness_atari.played(tmp_path)


def test_a_folder_without_frames_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no frames that harness_atari\.play has finished"):
        harness_atari.played(tmp_path)


def test_importing_the_plugin_imports_nothing_heavy():
    code = "import sys, harness_atari; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_plugin_has_nothing_else():
    with pytest.raises(AttributeError, match="no attribute 'plai'"):
        harness_atari.plai  # noqa: B018

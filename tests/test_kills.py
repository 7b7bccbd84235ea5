"""Real processes, killed and interrupted: what they leave is whole, and the same command ends with the same numbers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SOAK = Path(__file__).parents[1] / "benchmarks" / "soak" / "kills.py"
REQUEST = "run --method ae --data digits --budget fast --no-references --evaluators knn --threads 1 --checkpoint-every 0.2"
REQUEST += " --out runs -o train.epochs=25"
VOLATILE = ("created", "time_s", "peak_memory_bytes")


def start(folder):
    folder.mkdir(exist_ok=True)
    environ = os.environ | {"HARNESS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    program = "from harness.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *REQUEST.split()], cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(folder):
    process = start(folder)
    errors = process.communicate(timeout=300)[1]
    assert process.returncode == 0, errors.decode()


def numbers(folder):
    """Records but for times, and the bytes of the model."""
    [model] = folder.glob("runs/digits/ae-*/model.safetensors")
    records = [json.loads(path.read_bytes()) for path in sorted(folder.glob("runs/records/*/*/*.json"))]
    return model.read_bytes(), [{key: value for key, value in record.items() if key not in VOLATILE} for record in records]


def wait_for_checkpoint(folder, process):
    until = time.monotonic() + 240
    while not list(folder.glob("runs/digits/ae-*/training.safetensors")):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    finish(folder)
    return numbers(folder)


def test_kills_at_random_moments_change_no_number_and_leave_no_half_written_file(tmp_path):
    command = [sys.executable, str(SOAK), "--kills", "6", "--seed", "1", "--folder", str(tmp_path), "--request", REQUEST]
    done = subprocess.run([*command, "--json", str(tmp_path / "summary.json")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["kills"] == 6
    assert summary["restarts"] == 6
    assert summary["completed"] == summary["rounds"] >= 1
    assert summary["files_compared"] >= 4
    for problems in ("mismatches", "broken_files", "temporary_files_left", "failures"):
        assert summary[problems] == []
    one, *others = [numbers(folder) for folder in sorted(tmp_path.iterdir()) if folder.is_dir()]
    assert all(other == one for other in others)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_exits_with_130_and_continues(tmp_path, expected, number):
    process = start(tmp_path)
    wait_for_checkpoint(tmp_path, process)
    process.send_signal(number)
    errors = process.communicate(timeout=240)[1].decode()
    assert process.returncode == 130
    assert errors.endswith("Interrupted. Nothing is lost: the same command continues where it stopped.\n")
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("runs/digits/*/training.json"))
    finish(tmp_path)
    assert numbers(tmp_path) == expected


def test_a_kill_while_it_writes_leaves_the_checkpoint_before(tmp_path, expected):
    process = start(tmp_path)
    wait_for_checkpoint(tmp_path, process)
    until = time.monotonic() + 60
    while not list(tmp_path.glob("runs/digits/ae-*/.tmp-*")) and time.monotonic() < until:
        pass
    process.kill()
    process.communicate()
    finish(tmp_path)
    assert numbers(tmp_path) == expected
    assert not list(tmp_path.glob("runs/digits/**/.tmp-*"))

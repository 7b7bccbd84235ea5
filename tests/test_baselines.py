"""Every baseline on a part of each real image data set, and the soak test of their stability in small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import harness
from harness.api import installed
from harness.data.files import cache_folder, data_roots, locate_files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SOAK = Path(__file__).parents[1] / "benchmarks" / "soak" / "baselines.py"
METHODS = ["ae", "dae", "vae", "beta-vae", "aae", "bigan", "ali", "nat"]
TRAIN, TEST = 1_000, 300


def part_of(name):
    """The first training and test images of an official data set, as anybody's own arrays."""
    entry = installed()[1].dataset(name)
    first = entry.spec.recipe.files[0].path
    if not any((root / first).is_file() for root in data_roots(os.environ)):
        pytest.skip(f"{first} is under no root of HARNESS_DATA")
    files, _ = locate_files(entry.spec, data_roots(), cache_folder())
    dataset = entry.builder()(harness.DataContext(files=files, cache=cache_folder() / name), entry.spec.options())
    tests = len(dataset.annotations.labels) - 10_000
    numbers = torch.cat([torch.arange(TRAIN), torch.arange(tests, tests + TEST)])
    batch = next(dataset.inputs.subset(numbers).in_order(len(numbers)))
    return harness.from_arrays(
        batch.pixels.add(1).mul(127.5).round().to(torch.uint8),
        dataset.annotations.labels[numbers],
        train=np.arange(TRAIN),
        test=np.arange(TRAIN, TRAIN + TEST),
        name=f"some-of-{name}",
        value_range=(-1.0, 1.0),
    )


@pytest.mark.needs_data
@pytest.mark.parametrize("data", ["mnist", "fashion-mnist", "cifar10"])
def test_every_baseline_trains_on_it_better_than_chance_and_decodes(data, tmp_path):
    some = part_of(data)
    for method in METHODS:
        records = harness.run(
            method=method,
            data=some,
            budget="smoke",
            features=["conv"],
            evaluators=["knn"],
            references=False,
            out=tmp_path,
        )
        (record,) = records
        assert record.status == "ok", (method, record.error)
        assert record.metrics[0].value > 15, method
        if method == "nat":
            continue
        (folder,) = (tmp_path / f"some-of-{data}").glob(f"{method}-s0-*")
        trained = harness.load(folder)
        images = trained.decode(np.zeros((3, 64), np.float32))
        assert images.shape == (3, *trained.description.shape)


def test_the_soak_test_finds_every_run_sound_and_every_divergence_caught(tmp_path):
    command = [sys.executable, str(SOAK), "--seeds", "1", "--methods", "ae,nat", "--json", str(tmp_path / "summary.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["problems"] == []
    for found in summary["methods"].values():
        assert (found["ok"], found["values_not_finite"], found["with_a_rate_of_1e30"]["status"]) == (1, 0, "diverged")

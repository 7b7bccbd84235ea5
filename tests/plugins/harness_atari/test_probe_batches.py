"""Features row by row, and passes over them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from harness_atari import probe_batches
from harness_atari.probe_batches import FeatureRows, shuffled_pass, whole_batches

CPU = torch.device("cpu")


def rows_of(features):
    return FeatureRows(np.asarray(features), CPU)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# ------------------------------------------------------------------------------------------------------------ features


def test_rows_are_flattened_float32_copies():
    features = np.arange(24.0).reshape(4, 2, 3)
    found = rows_of(features).take(torch.tensor([2, 0]))
    assert found.dtype == torch.float32
    assert found.tolist() == features[[2, 0]].reshape(2, 6).tolist()
    found += 1
    assert features[0, 0, 0] == 0


def test_a_constant_feature_is_found(monkeypatch):
    monkeypatch.setattr(probe_batches, "BLOCK", 6)
    features = np.tile([1.5, -2.0, 0.0], (7, 1))
    assert rows_of(features).constant()
    features[6, 2] = 1e-6
    assert not rows_of(features).constant()


def test_mapped_features_are_not_copied_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(probe_batches, "BLOCK", 1 << 14)
    np.save(tmp_path / "y.npy", np.ones((4000, 256), np.float32))
    features = np.load(tmp_path / "y.npy", mmap_mode="r")
    tracemalloc.start()
    rows = FeatureRows(features, CPU)
    assert rows.constant()
    rows.take(torch.arange(64))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < features.nbytes / 10


def test_features_move_to_a_device_where_they_take_half_of_what_is_free(monkeypatch):
    features = np.arange(24, dtype=np.float32).reshape(8, 3)
    monkeypatch.setattr(probe_batches, "BLOCK", 6)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * features.nbytes, 10**12))
    rows = rows_of(features)
    rows._whole = rows._moved()
    assert torch.equal(rows._whole, torch.from_numpy(features))
    assert torch.equal(rows.take(torch.tensor([5, 5])), torch.from_numpy(features[[5, 5]]))


def test_features_stay_where_they_are_where_they_take_more_than_half(monkeypatch):
    features = np.zeros((8, 3), np.float32)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * features.nbytes - 2, 10**12))
    assert rows_of(features)._moved() is None


# ------------------------------------------------------------------------------------------------------------- drawing


def test_a_pass_has_every_row_once():
    found = shuffled_pass(50, generator()).tolist()
    assert sorted(found) == list(range(50))
    assert found != sorted(found)


@pytest.mark.parametrize(("n", "batch", "samples"), [(130, 64, 128), (128, 64, 128), (64, 64, 64), (10, 64, 10)])
def test_whole_batches(n, batch, samples):
    assert whole_batches(n, batch) == samples

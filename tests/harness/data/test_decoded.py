"""Decoded data sets."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.data.decoded import Arrays, decoded_arrays


class Maker:
    """Makes the same arrays each time and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Arrays:
        self.calls += 1
        return {"pixels": np.arange(240, dtype=np.uint8).reshape(10, 2, 3, 4), "labels": np.arange(10)}


@pytest.fixture
def make() -> Maker:
    return Maker()


def same(found: Arrays) -> bool:
    expected = Maker()()
    return found.keys() == expected.keys() and all(
        np.array_equal(found[key], array) and found[key].dtype == array.dtype for key, array in expected.items()
    )


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_the_arrays_are_those_that_were_made(tmp_path: Path, make: Maker) -> None:
    assert same(decoded_arrays(tmp_path, "images", make))


def test_they_are_made_once(tmp_path: Path, make: Maker) -> None:
    for _ in range(3):
        assert same(decoded_arrays(tmp_path, "images", make))
    assert make.calls == 1


def test_they_lie_in_a_folder_of_their_name(tmp_path: Path, make: Maker) -> None:
    decoded_arrays(tmp_path, "images", make)
    assert files(tmp_path / "images") == ["arrays.json", "labels.npy", "pixels.npy"]


def test_other_names_are_other_arrays(tmp_path: Path, make: Maker) -> None:
    decoded_arrays(tmp_path, "images", make)
    decoded_arrays(tmp_path, "images-8", make)
    assert make.calls == 2


def test_they_are_mapped_into_memory_from_the_first_time_on(tmp_path: Path, make: Maker) -> None:
    for _ in range(2):
        assert all(isinstance(array.base, np.memmap) for array in decoded_arrays(tmp_path, "images", make).values())


def test_they_are_plain_arrays(tmp_path: Path, make: Maker) -> None:
    assert type(decoded_arrays(tmp_path, "images", make)["pixels"]) is np.ndarray


def test_torch_takes_them_without_a_copy_or_a_warning(tmp_path: Path, make: Maker) -> None:
    pixels = decoded_arrays(tmp_path, "images", make)["pixels"]
    assert torch.from_numpy(pixels).data_ptr() == pixels.ctypes.data


def test_what_is_written_to_them_stays_in_the_process(tmp_path: Path, make: Maker) -> None:
    decoded_arrays(tmp_path, "images", make)["pixels"][:] = 0
    assert same(decoded_arrays(tmp_path, "images", make))


@pytest.mark.parametrize(
    "array", [np.zeros((0, 3)), np.array(5.0), np.asfortranarray(np.arange(6).reshape(2, 3)), np.array(["a", "bc"])]
)
def test_arrays_of_any_shape_order_and_plain_type_are_kept(tmp_path: Path, array: np.ndarray) -> None:
    for _ in range(2):
        found = decoded_arrays(tmp_path, "x", lambda: {"a": array})["a"]
        assert np.array_equal(found, array)
        assert found.shape == array.shape


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        decoded_arrays(tmp_path, "x", lambda: {"a": np.array([{}])})


# ------------------------------------------------------------------------------------------------------------ damage


def truncate(folder: Path) -> None:
    path = folder / "pixels.npy"
    path.write_bytes(path.read_bytes()[:-1])


def change(folder: Path) -> None:
    path = folder / "pixels.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    os.utime(path, ns=(0, 0))


def remove(folder: Path) -> None:
    (folder / "labels.npy").unlink()


def forget(folder: Path) -> None:
    (folder / "arrays.json").unlink()


def scribble(folder: Path) -> None:
    (folder / "arrays.json").write_text("{")


def misread(folder: Path) -> None:
    (folder / "arrays.json").write_text('{"pixels": 3}')


@pytest.mark.parametrize("damage", [truncate, change, remove, forget, scribble, misread])
def test_what_is_missing_or_damaged_is_made_anew(tmp_path: Path, make: Maker, damage: Callable[[Path], None]) -> None:
    decoded_arrays(tmp_path, "images", make)
    damage(tmp_path / "images")
    assert same(decoded_arrays(tmp_path, "images", make))
    assert make.calls == 2
    decoded_arrays(tmp_path, "images", make)
    assert make.calls == 2


def test_files_that_were_only_touched_are_still_good(tmp_path: Path, make: Maker) -> None:
    decoded_arrays(tmp_path, "images", make)
    os.utime(tmp_path / "images" / "pixels.npy", ns=(0, 0))
    assert same(decoded_arrays(tmp_path, "images", make))
    assert make.calls == 1


def test_the_note_states_sizes_and_digests(tmp_path: Path, make: Maker) -> None:
    decoded_arrays(tmp_path, "images", make)
    content = (tmp_path / "images" / "pixels.npy").read_bytes()
    noted = json.loads((tmp_path / "images" / "arrays.json").read_text())["pixels"]
    assert (noted["size"], noted["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_a_failure_to_make_them_is_the_callers_and_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> Arrays:
        raise OSError("the raw file is damaged")

    with pytest.raises(OSError, match="the raw file is damaged"):
        decoded_arrays(tmp_path, "images", fail)
    assert files(tmp_path) == []


def test_without_a_writable_cache_they_are_held_in_memory(tmp_path: Path, make: Maker) -> None:
    (tmp_path / "file").touch()
    assert same(decoded_arrays(tmp_path / "file" / "cache", "images", make))


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path, make: Maker) -> None:
    left = tmp_path / "images" / ".tmp-00000000-1-00000000.npy"
    left.parent.mkdir()
    left.touch()
    os.utime(left, (0, 0))
    decoded_arrays(tmp_path, "images", make)
    assert not left.exists()


# ----------------------------------------------------------------------------------------------------- several at once


def test_many_that_begin_at_once_all_have_the_whole_arrays(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: decoded_arrays(tmp_path, "images", Maker()), range(16)))
    assert all(same(arrays) for arrays in found)
    assert files(tmp_path) == ["arrays.json", "labels.npy", "pixels.npy"]


def test_arrays_that_are_mapped_stay_whole_while_they_are_written_again(tmp_path: Path, make: Maker) -> None:
    before = decoded_arrays(tmp_path, "images", make)
    forget(tmp_path / "images")
    after = decoded_arrays(tmp_path, "images", make)
    assert same(before)
    assert same(after)

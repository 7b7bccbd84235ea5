"""Folders of arrays that are whole or not there."""

from __future__ import annotations

import errno
import os
import shutil

import numpy as np
import pytest

from harness import DataError
from harness_atari.array_folders import (
    RowWriter,
    finish,
    only_one,
    partial_folder,
    plan_of,
    remove_partial,
    whole_folder,
    writable,
)

FORMS = {"a": ((4, 3), np.uint8), "b": ((4,), np.int64)}
PLAN = {"of": "numbers"}


def digest(arrays):
    return str(int(arrays["a"].sum()) + int(arrays["b"].sum()))


def write(folder, plan=PLAN):
    partial = partial_folder(folder, plan, FORMS)
    arrays = writable(partial, FORMS)
    arrays["a"][:] = 7
    arrays["b"][:] = range(4)
    finish(partial, folder, plan, FORMS, digest(arrays))


def refuse(*_):
    raise AssertionError("digested without need")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "numbers"


def test_what_was_written_is_read_without_a_digest(folder):
    assert whole_folder(folder, PLAN, digest) is None
    write(folder)
    arrays, content = whole_folder(folder, PLAN, refuse)
    assert content == "90"
    assert arrays["a"].tolist() == [[7, 7, 7]] * 4
    assert (arrays["b"].dtype, arrays["b"].tolist()) == (np.int64, [0, 1, 2, 3])
    assert not arrays["a"].flags.writeable
    assert sorted(path.name for path in folder.parent.iterdir()) == ["numbers"]
    assert plan_of(folder) == PLAN


def test_another_plan_is_not_what_is_there(folder):
    write(folder)
    assert whole_folder(folder, {"of": "letters"}, digest) is None


def test_a_file_that_was_only_touched_is_digested_and_taken(folder):
    write(folder)
    os.utime(folder / "a.npy", ns=(1, 1))
    assert whole_folder(folder, PLAN, digest)[1] == "90"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "a.npy").write_bytes((folder / "a.npy").read_bytes()[:-1] + b"x"),
        lambda folder: (folder / "a.npy").write_bytes(b""),
        lambda folder: (folder / "a.npy").unlink(),
        lambda folder: (folder / "arrays.json").unlink(),
        lambda folder: (folder / "arrays.json").write_bytes(b"{"),
        lambda folder: (folder / "arrays.json").write_bytes(b"[1]"),
        shutil.rmtree,
    ],
)
def test_what_is_damaged_is_not_taken_and_can_be_written_anew(folder, spoil):
    write(folder)
    spoil(folder)
    assert whole_folder(folder, PLAN, digest) is None
    write(folder)
    assert whole_folder(folder, PLAN, digest) is not None


def test_a_partial_folder_is_not_a_whole_one(folder):
    partial_folder(folder, PLAN, FORMS)
    assert whole_folder(folder, PLAN, digest) is None
    assert plan_of(folder) is None


def test_a_partial_folder_of_the_same_plan_is_gone_on_with(folder):
    writable(partial_folder(folder, PLAN, FORMS), FORMS)["a"][0] = 5
    assert writable(partial_folder(folder, PLAN, FORMS), FORMS)["a"][0].tolist() == [5, 5, 5]
    assert writable(partial_folder(folder, {"of": "letters"}, FORMS), FORMS)["a"].max() == 0


@pytest.mark.parametrize("lost", ["a.npy", "plan.json"])
def test_a_partial_folder_that_lacks_a_file_is_begun_anew(folder, lost):
    partial = partial_folder(folder, PLAN, FORMS)
    writable(partial, FORMS)["b"][0] = 5
    (partial / lost).unlink()
    assert writable(partial_folder(folder, PLAN, FORMS), FORMS)["b"].max() == 0


def test_a_partial_folder_can_be_taken_away(folder):
    partial = partial_folder(folder, PLAN, FORMS)
    remove_partial(folder)
    remove_partial(folder)
    assert not partial.exists()


@pytest.mark.parametrize("block", [1, 2, 3, 10])
def test_rows_are_written_in_their_place_a_few_at_a_time(folder, block):
    forms = {"a": ((9, 2, 3), np.int32), "b": ((9,), np.int64)}
    partial = partial_folder(folder, PLAN, forms)
    rows = np.arange(30).reshape(5, 2, 3)
    writer = RowWriter(partial, "a", forms, 3, block)
    for row in rows:
        writer.add(row)
    writer.close()
    found = writable(partial, forms)["a"]
    assert np.array_equal(found[3:8], rows)
    assert not found[:3].any()
    assert not found[8:].any()


def test_room_is_taken_on_the_disk_before_anything_is_written(folder):
    forms = {"a": ((1000, 1000), np.uint8)}
    status = (partial_folder(folder, PLAN, forms) / "a.npy").stat()
    if hasattr(os, "posix_fallocate"):
        assert status.st_blocks * 512 >= status.st_size


def test_a_full_disk_is_one_sentence_and_leaves_nothing(folder, monkeypatch):
    def full(descriptor, offset, length):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(DataError, match=r"numbers could not be written: the disk is full .* GB are free\) for the 0\.00 GB that"):
        partial_folder(folder, PLAN, FORMS)
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize("cannot", [AttributeError(), OSError(errno.EOPNOTSUPP, "")])
def test_where_room_cannot_be_taken_the_free_space_decides(folder, monkeypatch, cannot):
    def call(*_):
        raise cannot

    monkeypatch.setattr(os, "posix_fallocate", call, raising=False)
    write(folder)
    assert whole_folder(folder, PLAN, digest)
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(DataError, match="the disk is full"):
        partial_folder(folder.with_name("more"), PLAN, FORMS)


def test_another_failure_of_the_disk_is_not_hidden(folder, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "posix_fallocate", broken, raising=False)
    with pytest.raises(DataError, match="could not be written: Input/output error; name another folder in HARNESS_CACHE"):
        partial_folder(folder, PLAN, FORMS)


def test_a_file_where_the_cache_should_be_is_one_sentence(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match="could not be written: "), only_one(tmp_path / "cache" / "numbers"):
        pass


def test_a_folder_without_permission_is_one_sentence(folder, monkeypatch):
    def denied(*_, **__):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("pathlib.Path.mkdir", denied)
    with pytest.raises(DataError, match="Permission denied; change its permissions or name another folder"):
        partial_folder(folder, PLAN, FORMS)

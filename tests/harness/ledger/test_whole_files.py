from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from harness.errors import StorageError
from harness.ledger import whole_files
from harness.ledger.whole_files import TEMPORARY_PREFIX, create_whole, remove_stale, require_writable, whole_path, write_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["hard links", "no hard links"])
def any_file_system(request, monkeypatch):
    """With hard links, and as on file systems that have none."""
    if request.param == "no hard links":

        def refuse(*_):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", refuse)


def fail_with(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


# ------------------------------------------------------------------------------------------------------ write_whole


def test_a_file_is_written(tmp_path):
    write_whole(tmp_path / "a.json", b"text")
    assert (tmp_path / "a.json").read_bytes() == b"text"


def test_a_file_is_replaced(tmp_path):
    write_whole(tmp_path / "a", b"old")
    write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_missing_folders_are_made(tmp_path):
    write_whole(tmp_path / "x" / "y" / "a", b"text")
    assert (tmp_path / "x" / "y" / "a").read_bytes() == b"text"


def test_no_temporary_file_stays(tmp_path):
    write_whole(tmp_path / "a", b"text")
    assert names(tmp_path) == ["a"]


def test_a_path_may_be_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_whole("a", b"text")
    assert (tmp_path / "a").read_bytes() == b"text"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_the_file_has_the_permissions_of_an_ordinary_new_file(tmp_path):
    (tmp_path / "ordinary").write_bytes(b"")
    write_whole(tmp_path / "whole", b"")
    assert stat.S_IMODE((tmp_path / "whole").stat().st_mode) == stat.S_IMODE((tmp_path / "ordinary").stat().st_mode)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_with_what_is_free(tmp_path, monkeypatch, number):
    monkeypatch.setattr(whole_files.os, "fsync", fail_with(number))
    with pytest.raises(StorageError, match=r"a could not be written: the disk is full .*MiB are free.*; free some space") as raised:
        write_whole(tmp_path / "a", b"text")
    assert str(tmp_path / "a") in str(raised.value)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    write_whole(tmp_path / "a", b"old")
    monkeypatch.setattr(whole_files.os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(StorageError):
        write_whole(tmp_path / "a", b"new")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_is_not_writable_is_named(tmp_path, monkeypatch, number):
    monkeypatch.setattr(whole_files.os, "open", fail_with(number))
    with pytest.raises(StorageError, match="the folder .* is not writable"):
        write_whole(tmp_path / "a", b"text")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_write_permission_is_not_written_to(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="not writable"):
        write_whole(tmp_path / "a", b"text")


def test_whether_a_folder_is_writable_is_known_without_a_trace(tmp_path, monkeypatch):
    require_writable(tmp_path / "new")
    assert names(tmp_path / "new") == []
    monkeypatch.setattr(whole_files.os, "open", fail_with(errno.EROFS))
    with pytest.raises(StorageError, match="new"):
        require_writable(tmp_path / "new")


@pytest.mark.parametrize("below", ["a", "x/a", "x/y/a"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, below):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file is a file and not a folder"):
        write_whole(tmp_path / "file" / below, b"text")


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(StorageError, match="it is a folder"):
        write_whole(tmp_path / "a", b"text")
    assert names(tmp_path) == ["a"]


def test_a_name_that_is_too_long_is_said_to_be(tmp_path):
    with pytest.raises(StorageError, match="name is too long"):
        write_whole(tmp_path / ("x" * 300), b"text")


def test_a_message_is_one_sentence(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(StorageError) as raised:
        write_whole(tmp_path / "a", b"text")
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


# ----------------------------------------------------------------------------------------------------- create_whole


@pytest.mark.usefixtures("any_file_system")
def test_a_file_is_created_once(tmp_path):
    assert create_whole(tmp_path / "a", b"first")
    assert not create_whole(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert names(tmp_path) == ["a"]


@pytest.mark.usefixtures("any_file_system")
def test_a_name_taken_at_the_last_moment_is_not_overwritten(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"first")
    monkeypatch.setattr(os.path, "lexists", lambda _: False)
    assert not create_whole(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert names(tmp_path) == ["a"]


def test_a_dangling_link_is_something_too(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "nowhere")
    assert not create_whole(tmp_path / "a", b"text")
    assert names(tmp_path) == ["a"]


def test_creating_makes_missing_folders(tmp_path):
    assert create_whole(tmp_path / "x" / "a", b"text")


@pytest.mark.usefixtures("any_file_system")
def test_a_failure_to_create_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_files.os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(StorageError, match="disk is full"):
        create_whole(tmp_path / "a", b"text")
    assert names(tmp_path) == []


def test_a_claimed_name_is_given_back_if_the_rename_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", fail_with(errno.EPERM))
    monkeypatch.setattr(os, "replace", fail_with(errno.EIO))
    with pytest.raises(StorageError):
        create_whole(tmp_path / "a", b"text")
    assert names(tmp_path) == []


# ------------------------------------------------------------------------------------------------------- whole_path


def test_what_the_writer_wrote_becomes_the_file(tmp_path):
    with whole_path(tmp_path / "a.npy") as temporary:
        np.save(temporary, np.arange(3))
        assert not (tmp_path / "a.npy").exists()
    assert np.load(tmp_path / "a.npy").tolist() == [0, 1, 2]
    assert names(tmp_path) == ["a.npy"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_safetensors_files_are_as_readable_as_others(tmp_path):
    (tmp_path / "ordinary").write_bytes(b"")
    with whole_path(tmp_path / "a.safetensors") as temporary:
        save_file({"x": np.ones(2)}, temporary)
    assert load_file(tmp_path / "a.safetensors")["x"].tolist() == [1, 1]
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_the_temporary_path_lies_beside_and_ends_alike(tmp_path):
    with whole_path(tmp_path / "a.npy") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(TEMPORARY_PREFIX)
        assert temporary.suffix == ".npy"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_error_of_the_block_goes_through_and_leaves_the_old_file(tmp_path, error):
    write_whole(tmp_path / "a", b"old")

    def write_half():
        with whole_path(tmp_path / "a") as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_full_disk_inside_the_block_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="disk is full"), whole_path(tmp_path / "a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_so_is_one_that_only_a_rust_writer_speaks_of(tmp_path):
    with pytest.raises(StorageError, match="disk is full"), whole_path(tmp_path / "a"):
        raise RuntimeError(f"I/O error: No space left on device (os error {errno.ENOSPC})")


def test_a_missing_input_is_not_taken_for_a_failed_write(tmp_path):
    with pytest.raises(FileNotFoundError), whole_path(tmp_path / "a"):
        (tmp_path / "elsewhere" / "input").read_bytes()


def test_a_writer_that_removes_its_file_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError), whole_path(tmp_path / "a") as temporary:
        temporary.unlink()


# ------------------------------------------------------------------------------------------------ kills and leftovers

WRITE_FOREVER = """
import sys
from harness.ledger.whole_files import write_whole
for k in range(10**9):
    write_whole(sys.argv[1], bytes([k % 251]) * 200_000)
    if k == 3:
        print("writing", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_kill_in_the_middle_leaves_a_whole_file(tmp_path):
    path = tmp_path / "a"
    for delay in (0.0, 0.003, 0.011):
        writer = subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, str(path)], stdout=subprocess.PIPE)
        with writer:
            assert writer.stdout.readline() == b"writing\n"
            time.sleep(delay)
            writer.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert len(content) == 200_000
        assert len(set(content)) == 1
    remove_stale(tmp_path)
    assert names(tmp_path) == ["a"]


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leftover(folder, pid, place=None):
    path = folder / f"{TEMPORARY_PREFIX}{place or whole_files._place()}-{pid}-01234567.json"
    path.write_bytes(b"half")
    return path


def test_a_leftover_of_a_dead_process_is_removed(tmp_path):
    path = leftover(tmp_path, dead_process())
    assert remove_stale(tmp_path) == [path]
    assert names(tmp_path) == []


def test_a_file_of_a_living_process_is_left(tmp_path):
    leftover(tmp_path, os.getpid())
    assert remove_stale(tmp_path) == []


def test_another_machines_file_is_left_while_it_is_young(tmp_path):
    leftover(tmp_path, dead_process(), place="00000000")
    assert remove_stale(tmp_path) == []


def test_it_is_removed_when_it_is_old(tmp_path):
    path = leftover(tmp_path, os.getpid(), place="00000000")
    os.utime(path, (0, 0))
    assert remove_stale(tmp_path) == [path]


def test_other_files_are_never_removed(tmp_path):
    for name in ("a.json", ".tmp-mine", ".tmp-XXXX-1-01234567", ".hidden"):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (0, 0))
    assert remove_stale(tmp_path) == []
    assert len(names(tmp_path)) == 4


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path):
    assert remove_stale(tmp_path / "nowhere") == []

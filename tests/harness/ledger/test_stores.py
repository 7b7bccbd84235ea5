from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from harness.errors import RecordError, StorageError
from harness.ledger import whole_files
from harness.ledger.records import Record, decode_record, encode_record
from harness.ledger.stores import FolderStore, record_path
from harness.ledger.whole_files import TEMPORARY_PREFIX


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "records")


# -------------------------------------------------------------------------------------------------------------- add


def test_a_record_is_found_again(store, make_record):
    record = make_record()
    assert store.add(record) == record
    assert list(store.all()) == [record]


def test_its_file_is_named_after_data_method_id_and_attempt(store, make_record):
    record = store.add(make_record())
    path = store.folder / "cora" / "dgi" / f"{record.id[:16]}.1.json"
    assert path.read_bytes() == encode_record(record)
    assert path == store.folder / record_path(record)


def test_another_attempt_gets_the_next_number(store, make_record):
    attempts = [store.add(make_record(status=status)) for status in ("failed", "diverged", "ok")]
    assert [record.attempt for record in attempts] == [1, 2, 3]


def test_attempts_at_another_cell_count_for_themselves(store, make_record):
    store.add(make_record(seed=0))
    assert store.add(make_record(seed=1)).attempt == 1


def test_the_number_the_record_came_with_does_not_matter(store, make_record):
    assert store.add(make_record(attempt=7)).attempt == 1


def test_nothing_is_ever_rewritten(store, make_record):
    first = store.add(make_record())
    before = (store.folder / record_path(first)).read_bytes()
    store.add(make_record())
    assert (store.folder / record_path(first)).read_bytes() == before


def test_a_number_taken_meanwhile_is_passed_over(store, make_record, monkeypatch):
    first = store.add(make_record())
    monkeypatch.setattr(store, "_files", lambda *_: [])
    assert store.add(make_record()).attempt == 2
    assert decode_record((store.folder / record_path(first)).read_bytes()) == first


def test_a_gap_is_never_filled(store, make_record):
    store.add(make_record())
    second = store.add(make_record())
    (store.folder / record_path(second)).rename((store.folder / record_path(second)).with_name(f"{second.id[:16]}.5.json"))
    assert store.add(make_record()).attempt == 6


def test_a_record_that_could_not_be_read_again_is_refused(store, make_record, change):
    record = make_record()
    broken = change(record, time_s=change(record.time_s, train=float("nan")))
    with pytest.raises(RecordError):
        store.add(broken)
    assert list(store.all()) == []


@pytest.mark.parametrize("name", ["hf:owner/name", "../../etc", "a\\b", "..", "x" * 200, "déjà vu", "/root", "a\nb"])
def test_no_name_leads_out_of_the_store(store, make_record, name):
    record = store.add(make_record(data=name, method=name))
    path = store.folder / record_path(record)
    assert path.is_file()
    assert path.resolve().parent.parent.parent == store.folder.resolve()
    assert store.best(record.identity) == record


def test_names_with_one_slug_are_told_apart(store, make_record):
    first, second = store.add(make_record(data="a:b")), store.add(make_record(data="a/b"))
    assert store.attempts(first.identity) == [first]
    assert store.attempts(second.identity) == [second]


def test_a_store_in_the_place_of_a_file_is_a_storage_error(tmp_path, make_record):
    (tmp_path / "records").write_bytes(b"")
    with pytest.raises(StorageError, match="records"):
        FolderStore(tmp_path / "records").add(make_record())


# ----------------------------------------------------------------------------------------------------------- lookup


def test_an_empty_store_knows_nothing(store, make_record):
    identity = make_record().identity
    assert store.best(identity) is None
    assert store.attempts(identity) == []
    assert list(store.all()) == []
    assert identity not in store


def test_best_is_the_newest_ok_attempt(store, make_record, make_metric):
    store.add(make_record(metrics=[make_metric(1.0)]))
    newest = store.add(make_record(metrics=[make_metric(2.0)]))
    store.add(make_record(status="failed"))
    assert store.best(newest.identity) == newest


def test_attempts_come_oldest_first_also_beyond_nine(store, make_record):
    records = [store.add(make_record()) for _ in range(11)]
    assert store.attempts(records[0].identity) == records
    assert list(store.all()) == records


def test_a_bare_id_is_found_too(store, make_record):
    record = store.add(make_record())
    store.add(make_record(data="pubmed"))
    assert store.attempts(record.id) == [record]
    assert store.best(record.id) == record
    assert store.best("f" * 64) is None


def test_only_an_ok_attempt_counts_as_done(store, make_record):
    identity = store.add(make_record(status="failed")).identity
    assert identity not in store
    store.add(make_record())
    assert identity in store


# --------------------------------------------------------------------------------------------------- broken content


def test_a_broken_file_hides_no_other_and_is_reported(store, make_record):
    record = store.add(make_record())
    broken = store.folder / "cora" / "dgi" / f"{'0' * 16}.1.json"
    broken.write_bytes(b"{")
    records, problems = store.read()
    assert records == [record]
    assert [problem.path for problem in problems] == [str(broken)]
    assert str(broken) in str(problems[0])
    assert list(store.all()) == [record]


def test_a_broken_attempt_does_not_count_but_keeps_its_number(store, make_record):
    record = store.add(make_record())
    (store.folder / record_path(record)).write_bytes(b"")
    assert store.best(record.identity) is None
    assert store.add(make_record()).attempt == 2


def test_of_a_broken_attempt_that_is_asked_for_one_is_told_once(store, make_record, caplog):
    record = store.add(make_record())
    path = store.folder / record_path(record)
    path.write_bytes(b"{")
    for _ in range(2):
        assert store.best(record.identity) is None
    [line] = caplog.messages
    assert str(path) in line
    assert line.endswith("It does not count; `harness leaderboard check` tells of all such files.")


def test_a_record_of_another_cell_under_this_name_does_not_count(store, make_record):
    record, other = store.add(make_record()), make_record(seed=1)
    (store.folder / record_path(record)).write_bytes(encode_record(other))
    assert store.best(record.identity) is None


def test_numbers_too_large_for_a_digest_hide_nothing(store, make_record):
    record = store.add(make_record())
    document = encode_record(record).replace(b'"schema": 1', b'"schema": 1' + b"0" * 5000)
    (store.folder / "cora" / "dgi" / f"{'0' * 16}.1.json").write_bytes(document)
    records, problems = store.read()
    assert records == [record]
    assert len(problems) == 1


def test_files_of_others_and_temporary_files_are_passed_over(store, make_record):
    record = store.add(make_record())
    for name in ("notes.txt", f"{TEMPORARY_PREFIX}01234567-1-01234567.json", ".DS_Store"):
        (store.folder / "cora" / "dgi" / name).write_bytes(b"x")
    (store.folder / "README.md").write_bytes(b"x")
    assert store.read() == ([record], [])


def test_what_a_killed_process_was_writing_goes_with_the_next_record(store, make_record, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(whole_files, "_discard", lambda path: None)  # as by a kill between the two names of a record
        killed.setattr(os, "getpid", lambda: 2**31)  # of no living process
        store.add(make_record())
    place = store.folder / "cora" / "dgi"
    assert [path.name.startswith(TEMPORARY_PREFIX) for path in sorted(place.iterdir())] == [True, False]
    store.add(make_record())
    assert sorted(path.suffixes for path in place.iterdir()) == [[".1", ".json"], [".2", ".json"]]


# -------------------------------------------------------------------------------------------------- many processes


def add_many(folder, document, count):
    record = msgspec.json.decode(document, type=Record)
    for _ in range(count):
        FolderStore(folder).add(record)


def test_processes_that_add_at_once_lose_nothing(store, make_record):
    context = multiprocessing.get_context("spawn")
    document = encode_record(make_record())
    workers = [context.Process(target=add_many, args=(store.folder, document, 20)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    records, problems = store.read()
    assert [record.attempt for record in records] == list(range(1, 41))
    assert problems == []


ADD_FOREVER = """
import sys, msgspec
from harness.ledger.records import Record
from harness.ledger.stores import FolderStore
record = msgspec.json.decode(sys.stdin.buffer.read(), type=Record)
print("adding", flush=True)
while True:
    FolderStore(sys.argv[1]).add(record)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_kill_in_the_middle_leaves_no_half_record(store, make_record):
    for delay in (0.01, 0.037):
        adding = subprocess.Popen(
            [sys.executable, "-c", ADD_FOREVER, str(store.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with adding:
            adding.stdin.write(encode_record(make_record()))
            adding.stdin.close()
            assert adding.stdout.readline() == b"adding\n"
            time.sleep(delay)
            adding.send_signal(signal.SIGKILL)
    records, problems = store.read()
    assert problems == []
    assert [record.attempt for record in records] == list(range(1, len(records) + 1))

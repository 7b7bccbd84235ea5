from __future__ import annotations

import json
import os
import sys

import pytest

from harness.leaderboard.checking import MAX_RECORD_BYTES, check_records
from harness.ledger.records import encode_record
from harness.ledger.stores import record_path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of records, below the current one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "records"
    path.mkdir()
    return path


@pytest.fixture
def put(folder):
    """A function that writes a record where it belongs, or a document under a name."""

    def put(content, name=None):
        path = folder / (name or record_path(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else encode_record(content))
        return path

    return put


def messages(*paths):
    problems = [str(problem) for problem in check_records(paths)]
    for message in problems:
        assert message.endswith(".")
        assert "\n" not in message
    return problems


def only_message(*paths):
    (message,) = messages(*paths)
    return message


# ------------------------------------------------------------------------------------------------ one file by itself


def test_good_records_have_no_problems(folder, put, make_row):
    for record in make_row([80.0, 81.0, 82.0]):
        put(record)
    assert messages(folder) == []


def test_an_empty_folder_has_none(folder):
    assert messages(folder) == []


def test_single_files_can_be_checked(put, make_record):
    assert messages(put(make_record())) == []


def test_a_path_that_does_not_exist_is_said_so(folder):
    assert only_message(folder / "nowhere") == "records/nowhere does not exist."


def test_a_problem_names_the_file_relative_to_the_current_folder(folder, put):
    put(b"{", "cora/dgi/a.json")
    assert only_message(folder).startswith("records/cora/dgi/a.json ")
    assert check_records([folder])[0].path == "records/cora/dgi/a.json"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "no integer `schema`"),
        (b'{"schema": 99}', "upgrade infomax-harness"),
        (b'{"schema": 1}', "not a valid record"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[" * 100_000, "JSON"),
        (b'{"schema": 1' + b"0" * 5000 + b"}", "."),
        (b'{"schema": NaN}', "not valid JSON"),
        (b"\x00" * 100, "not valid JSON"),
    ],
)
def test_a_document_that_is_no_record_is_one_problem(folder, put, document, said):
    put(document, "a.json")
    assert said in only_message(folder)


def test_a_wrong_id_is_a_problem(folder, put, make_record, change):
    put(change(make_record(), id="1" * 64), "a.json")
    assert "`id` is not the sha256" in only_message(folder)


def test_a_wrong_run_is_a_problem(folder, put, make_record, change):
    put(change(make_record(), run="1" * 64), "a.json")
    assert "`run` is not the sha256" in only_message(folder)


def test_a_key_that_stands_twice_is_a_problem(folder, put, make_record):
    record = make_record()
    put(encode_record(record).replace(b'"budget": "paper"', b'"budget": "fast",\n "budget": "paper"'), record_path(record))
    assert only_message(folder).endswith("has the key 'budget' twice in one object.")


def test_the_name_has_to_fit_the_content(folder, put, make_record):
    record = make_record()
    put(record, "cora/dgi/mine.json")
    assert (
        only_message(folder) == f"records/cora/dgi/mine.json should be named {record_path(record).name}, after its id and attempt."
    )


def test_a_file_that_is_too_long_is_not_read(folder, put):
    put(b"x" * (MAX_RECORD_BYTES + 1), "a.json")
    assert "1,048,577 bytes" in only_message(folder)


def test_a_folder_named_like_a_record_is_not_a_file(folder):
    (folder / "a.json").mkdir()
    assert only_message(folder) == "records/a.json is not a file."


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo(folder / "a.json")
    assert only_message(folder) == "records/a.json is not a file."
    assert only_message(folder / "a.json") == "records/a.json is not a file."


def test_links_inside_a_folder_are_not_followed(folder, put, make_record, tmp_path):
    target = put(make_record(), tmp_path / "elsewhere.json")
    (folder / "a.json").symlink_to(target)
    assert only_message(folder) == "records/a.json is a link and not a file."


def test_a_link_that_is_given_is_followed(folder, put, make_record, tmp_path):
    record = make_record()
    (tmp_path / "link").symlink_to(folder)
    put(record)
    assert messages(tmp_path / "link") == []


def test_hidden_and_other_files_are_passed_over(folder, put):
    put(b"half", "cora/.tmp-01234567-1-01234567.json")
    put(b"text", "README.md")
    put(b"{", ".git/a.json")
    assert messages(folder) == []


def test_what_a_file_says_cannot_steer_the_terminal(folder, put, make_record):
    plain = json.loads(encode_record(make_record()))
    plain["\x1b[2J\nfine"] = 1
    put(json.dumps(plain).encode(), "a.json")
    message = only_message(folder)
    assert "\x1b" not in message
    assert "surprise" not in message


def test_nor_can_its_name(folder, put):
    put(b"{", "a\x1b[2J.json")
    assert only_message(folder).startswith("records/a?[2J.json ")


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000])
def test_impossible_paths_raise_nothing(folder, path):
    check_records([path])


def test_one_bad_file_does_not_hide_another(folder, put, make_record):
    put(b"{", "a.json")
    put(make_record(), "b.json")
    assert len(messages(folder)) == 2


def test_a_file_given_twice_is_checked_once(folder, put, make_record):
    path = put(make_record())
    assert messages(path, folder, path) == []


# ------------------------------------------------------------------------------------------------ against each other


def test_the_same_attempt_twice_is_a_problem(folder, put, make_record):
    record = make_record()
    put(record, f"a/{record_path(record).name}")
    put(record, f"b/{record_path(record).name}")
    assert only_message(folder) == (
        f"records/b/{record_path(record).name} is the same attempt at the same cell as records/a/{record_path(record).name}."
    )


def test_attempts_in_their_order_are_fine(folder, put, make_record):
    put(make_record(attempt=1, status="failed", created="2026-01-01T00:00:00Z"))
    put(make_record(attempt=2, created="2026-01-02T00:00:00Z"))
    assert messages(folder) == []


def test_an_attempt_that_was_left_out_is_a_problem(folder, put, make_record):
    put(make_record(attempt=2))
    assert only_message(folder).endswith("is attempt 2, but attempt 1 at its cell is not here.")


def test_so_are_several(folder, put, make_record):
    put(make_record(attempt=1))
    put(make_record(attempt=4))
    assert only_message(folder).endswith("is attempt 4, but attempts 2 to 3 at its cell are not here.")


def test_a_later_attempt_is_not_made_earlier(folder, put, make_record):
    put(make_record(attempt=1, created="2026-01-02T00:00:00Z"))
    put(make_record(attempt=2, created="2026-01-01T00:00:00Z"))
    assert "was made before attempt 1" in only_message(folder)


def test_one_recipe_with_two_contents_is_a_problem(folder, put, make_record):
    put(make_record(seed=0, content_sha256="a" * 64))
    put(make_record(seed=1, content_sha256="b" * 64))
    assert "another content_sha256" in only_message(folder)


@pytest.mark.parametrize("other", [{"recipe_sha256": "1" * 64}, {"data_options": {"size": 2}}, {"protocol": "planetoid-random"}])
def test_another_recipe_may_have_another_content(folder, put, make_record, other):
    put(make_record(content_sha256="a" * 64))
    put(make_record(content_sha256="b" * 64, **other))
    assert messages(folder) == []


def test_a_failed_record_without_content_says_nothing(folder, put, make_record):
    put(make_record(seed=0, content_sha256="a" * 64))
    put(make_record(seed=1, status="failed", content_sha256=None))
    assert messages(folder) == []


def test_one_metric_has_one_unit(folder, put, make_record, make_metric):
    put(make_record(seed=0))
    put(make_record(seed=1, metrics=[make_metric(0.8, unit="1")]))
    assert "has the metric 'accuracy' in the unit" in only_message(folder)


def test_and_one_direction(folder, put, make_record, make_metric):
    put(make_record(seed=0))
    put(make_record(seed=1, metrics=[make_metric(80.0, higher_is_better=False)]))
    assert "with another direction" in only_message(folder)


def test_another_evaluator_may_have_another_unit(folder, put, make_record, make_metric):
    put(make_record(seed=0))
    put(make_record(seed=1, evaluator="svm", metrics=[make_metric(0.8, unit="1")]))
    assert messages(folder) == []


def test_a_metric_that_stands_twice_is_a_problem(folder, put, make_record, make_metric):
    put(make_record(metrics=[make_metric(80.0), make_metric(81.0)]))
    assert "has the metric 'accuracy' twice" in only_message(folder)


def test_metrics_of_several_things_may_share_a_name(folder, put, make_record, make_metric):
    put(make_record(metrics=[make_metric(80.0, of={"variable": name}) for name in "xy"]))
    assert messages(folder) == []

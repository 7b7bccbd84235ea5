from __future__ import annotations

import pytest


@pytest.fixture
def built(cli, runs):
    """A leaderboard built from finished runs."""
    answer = cli("leaderboard", "build", "--records", "runs/records", "--out", "board")
    assert answer.code == 0
    return runs.parent / "board"


def test_build_writes_pages_and_says_where(cli, runs):
    answer = cli("leaderboard", "build", "--records", "runs/records", "--out", "board")
    assert answer.out.startswith("4 records, ")
    assert "board/README.md" in answer.out
    assert {"README.md", "board.json", "site"} <= {path.name for path in (runs.parent / "board").iterdir()}


def test_the_same_records_give_the_same_bytes(cli, built):
    before = {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}
    cli("leaderboard", "build", "--records", "runs/records", "--out", "board")
    assert {path: path.read_bytes() for path in built.rglob("*") if path.is_file()} == before


def test_check_ends_with_0_where_nothing_differs(cli, built):
    answer = cli("leaderboard", "build", "--records", "runs/records", "--out", "board", "--check")
    assert (answer.code, answer.out, answer.err) == (0, "board is what its 4 records give.\n", "")


def test_check_ends_with_1_and_names_the_page_that_differs(cli, built):
    (built / "README.md").write_text("edited by hand")
    answer = cli("leaderboard", "build", "--records", "runs/records", "--out", "board", "--check")
    assert answer.code == 1
    assert "README.md" in answer.sentence
    assert (built / "README.md").read_text() == "edited by hand"


def test_check_writes_nothing(cli, runs, tmp_path):
    answer = cli("leaderboard", "build", "--records", "runs/records", "--out", "board", "--check")
    assert answer.code == 1
    assert not (tmp_path / "board").exists()


def test_a_folder_without_records_is_a_mistake(cli):
    answer = cli("leaderboard", "build", "--records", "nowhere")
    assert answer.code == 2
    assert answer.sentence == "There is no folder nowhere; name the folder of the records with --records."


def test_a_damaged_record_is_named_and_the_others_are_shown(cli, runs):
    (record,) = (runs / "records" / "digits" / "raw").iterdir()
    record.write_text("{")
    answer = cli("leaderboard", "build", "--records", "runs/records", "--out", "board")
    assert answer.code == 1
    assert answer.out.startswith("3 records, ")
    assert record.name in answer.err


def test_an_out_that_cannot_be_written_is_one_sentence(cli, runs, tmp_path):
    (tmp_path / "file").touch()
    answer = cli("leaderboard", "build", "--records", "runs/records", "--out", "file/board")
    assert answer.code == 1
    assert "file is a file and not a folder" in answer.sentence


@pytest.mark.parametrize("path", ["runs/records", "runs/records/digits/ae"])
def test_check_of_valid_records_ends_with_0(cli, runs, path):
    answer = cli("leaderboard", "check", path)
    assert (answer.code, answer.out) == (0, "All records are valid and consistent.\n")


def test_check_of_a_changed_record_ends_with_1_and_names_it(cli, runs):
    (record,) = (runs / "records" / "digits" / "ae").iterdir()
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    answer = cli("leaderboard", "check", str(record))
    assert answer.code == 1
    assert record.name in answer.out


def test_check_in_json_is_the_list_of_problems(cli, runs):
    assert cli("leaderboard", "check", "runs/records", "--json").document == []
    (record,) = (runs / "records" / "digits" / "ae").iterdir()
    record.write_text("{")
    (problem,) = cli("leaderboard", "check", "runs/records", "--json").document
    assert record.name in problem["path"]
    assert "is not valid JSON" in problem["message"]


def test_check_of_nothing_is_a_mistake(cli):
    assert cli("leaderboard", "check").code == 2


def test_check_of_a_path_that_is_not_there_ends_with_1(cli):
    answer = cli("leaderboard", "check", "nowhere")
    assert answer.code == 1
    assert "nowhere does not exist." in answer.out

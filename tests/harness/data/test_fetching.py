from __future__ import annotations

import hashlib
import os
from pathlib import Path

import platformdirs
import pytest

from harness.data.fetching import cache_folder, data_roots, file_sha256, find
from harness.errors import MissingDataError


def test_there_are_no_data_roots_by_default():
    assert data_roots({}) == []


def test_data_roots_are_searched_in_the_order_they_are_named(tmp_path):
    assert data_roots({"HARNESS_DATA": f"/one{os.pathsep}{tmp_path}"}) == [Path("/one"), tmp_path]


def test_an_empty_entry_names_no_root():
    assert data_roots({"HARNESS_DATA": os.pathsep}) == []


def test_a_tilde_is_the_home_folder():
    assert data_roots({"HARNESS_DATA": "~/data"}) == [Path.home() / "data"]
    assert cache_folder({"HARNESS_CACHE": "~/cache"}) == Path.home() / "cache"


def test_the_cache_is_the_platforms_unless_it_is_named(tmp_path):
    assert cache_folder({}) == Path(platformdirs.user_cache_dir("harness", appauthor=False))
    assert cache_folder({"HARNESS_CACHE": str(tmp_path)}) == tmp_path


def test_a_file_is_found_in_the_first_folder_that_has_it(tmp_path):
    for folder in ("two", "three"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a").touch()
    assert find("a", [tmp_path / "one", tmp_path / "two", tmp_path / "three"]) == tmp_path / "two" / "a"
    assert find("b", [tmp_path / "two"]) is None


def test_the_digest_is_the_sha256_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"content").hexdigest()


def test_the_digest_of_what_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(MissingDataError, match=r"nothing cannot be read: No such file or directory\.$"):
        file_sha256(tmp_path / "nothing")

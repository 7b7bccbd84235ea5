from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from harness.contracts.specs import DataSetSpec, FileSpec, FilesRecipe, GeneratedRecipe
from harness.data import fetching, files
from harness.data.files import locate_files, read_lock
from harness.errors import CorruptDataError, MissingDataError, StorageError

GOOD = b"the right bytes" * 1000
WRONG = b"other bytes" * 1000
SHA256 = hashlib.sha256(GOOD).hexdigest()


def data_set(*specs, name="toy", place=""):
    return DataSetSpec(
        name=name,
        summary="A data set in files.",
        track="synthetic",
        kind="vectors",
        build="toy:build",
        recipe=FilesRecipe(files=specs) if specs else GeneratedRecipe(generator="toy"),
        protocols=("p",),
        sampling=("items",),
        place=place,
    )


def pinned(path="toy/raw/a.bin", url=None):
    return FileSpec(path=path, sha256=SHA256, url=url)


def unpinned(path="toy/raw/a.bin", url=None):
    return FileSpec(path=path, sha256=None, url=url)


def put(folder, path="toy/raw/a.bin", content=GOOD):
    place = Path(folder, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def listing(folder):
    """Every path below `folder`, with its time of change and, of a file, its content."""
    return {path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None) for path in [folder, *folder.rglob("*")]}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    # pooch writes its messages to what stderr was when it was first imported, in another test.
    monkeypatch.setattr(pooch.get_logger(), "handlers", [])


# ------------------------------------------------------------------------------------------------------ where from


def test_a_generated_data_set_has_no_files(root, cache):
    assert locate_files(data_set(), [root], cache) == ({}, {})


def test_a_file_in_a_data_root_is_used_where_it_is(root, cache):
    place = put(root)
    assert locate_files(data_set(pinned()), [root], cache) == ({"toy/raw/a.bin": place}, {})


def test_the_first_root_that_has_a_file_gives_it(tmp_path, cache):
    one, two = tmp_path / "one", tmp_path / "two"
    put(two, "b.bin")
    first = put(one, "a.bin")
    put(two, "a.bin")
    places, _ = locate_files(data_set(pinned("a.bin"), pinned("b.bin")), [one, two], cache)
    assert places == {"a.bin": first, "b.bin": two / "b.bin"}


def test_data_roots_come_before_the_cache(root, cache):
    place = put(root)
    put(cache / "downloads")
    assert locate_files(data_set(pinned()), [root], cache)[0] == {"toy/raw/a.bin": place}


def test_what_was_downloaded_before_is_found_in_the_cache(root, cache):
    place = put(cache / "downloads")
    assert locate_files(data_set(pinned()), [root], cache)[0] == {"toy/raw/a.bin": place}


def test_the_data_sets_own_folder_comes_before_the_data_roots(tmp_path, root, cache):
    put(root)
    place = put(tmp_path / "mine")
    assert locate_files(data_set(pinned(), place=str(tmp_path / "mine")), [root], cache)[0] == {"toy/raw/a.bin": place}


def test_files_that_the_own_folder_lacks_are_looked_for_as_ever(tmp_path, root, cache):
    place = put(root)
    assert locate_files(data_set(pinned(), place=str(tmp_path)), [root], cache)[0] == {"toy/raw/a.bin": place}


def test_the_own_folder_may_begin_with_a_tilde(monkeypatch, tmp_path, cache):
    monkeypatch.setenv("HOME", str(tmp_path))
    place = put(tmp_path / "mine")
    assert locate_files(data_set(pinned(), place="~/mine"), [], cache)[0] == {"toy/raw/a.bin": place}


def test_a_root_that_does_not_exist_is_passed_over(tmp_path, root, cache):
    place = put(root)
    assert locate_files(data_set(pinned()), [tmp_path / "nowhere", root], cache)[0] == {"toy/raw/a.bin": place}


def test_a_data_root_is_never_written_to(root, cache, server):
    put(root, "a.bin")
    root.chmod(0o555)
    before = listing(root)
    locate_files(data_set(unpinned("a.bin"), pinned("b.bin", server.url("good"))), [root], cache, trust_first=True)
    assert listing(root) == before
    root.chmod(0o755)


def test_a_file_that_is_found_needs_no_cache(root, tmp_path):
    put(root)
    (tmp_path / "file").touch()
    locate_files(data_set(pinned()), [root], tmp_path / "file" / "cache")


# --------------------------------------------------------------------------------------------------------- digests


@pytest.mark.parametrize("content", [WRONG, GOOD[:-1], b""], ids=["other bytes", "truncated", "empty"])
def test_a_file_of_another_content_is_refused_with_both_digests(root, cache, content):
    place = put(root, content=content)
    with pytest.raises(CorruptDataError) as caught:
        locate_files(data_set(pinned()), [root], cache)
    message = str(caught.value)
    assert message.startswith(f"{place} is not the file it should be")
    assert hashlib.sha256(content).hexdigest() in message
    assert SHA256 in message


def test_a_file_of_another_size_is_refused_before_it_is_read(root, cache, monkeypatch):
    monkeypatch.setattr(files, "file_sha256", lambda path: pytest.fail("a truncated file was read"))
    put(root, content=GOOD[:-1])
    with pytest.raises(CorruptDataError, match=f"it has {len(GOOD) - 1} bytes, and the right one {len(GOOD)}"):
        locate_files(data_set(FileSpec(path="toy/raw/a.bin", sha256=SHA256, size=len(GOOD))), [root], cache)


def test_a_file_of_the_right_size_is_used(root, cache):
    put(root)
    assert locate_files(data_set(FileSpec(path="toy/raw/a.bin", sha256=SHA256, size=len(GOOD))), [root], cache)[0]


def test_a_corrupted_file_in_the_cache_is_refused_too(root, cache):
    put(cache / "downloads", content=WRONG)
    with pytest.raises(CorruptDataError):
        locate_files(data_set(pinned()), [root], cache)


def test_a_corrupted_file_stays_as_it_is(root, cache):
    put(root, content=WRONG)
    before = listing(root)
    with pytest.raises(CorruptDataError):
        locate_files(data_set(pinned()), [root], cache, trust_first=True)
    assert listing(root) == before


# --------------------------------------------------------------------------------------------------- trusted first


def test_the_digests_of_unpinned_files_are_returned(root, cache):
    put(root)
    assert locate_files(data_set(unpinned()), [root], cache)[1] == {"toy/raw/a.bin": SHA256}


def test_digests_are_not_written_down_without_trust(root, cache):
    put(root)
    locate_files(data_set(unpinned()), [root], cache)
    assert not cache.exists()


def test_trusted_digests_are_written_down_in_the_cache(root, cache):
    put(root)
    locate_files(data_set(unpinned()), [root], cache, trust_first=True)
    assert json.loads((cache / "locks" / "toy.json").read_text()) == {"toy/raw/a.bin": SHA256}
    assert read_lock(cache, "toy") == {"toy/raw/a.bin": SHA256}


def test_the_lock_of_a_family_member_is_an_ordinary_file(root, cache):
    put(root)
    locate_files(data_set(unpinned(), name="hf:owner/set"), [root], cache, trust_first=True)
    assert [path.name for path in (cache / "locks").iterdir()] == ["hf-owner-set.json"]


@pytest.mark.parametrize("trust_first", [False, True])
def test_a_file_that_changed_since_it_was_trusted_is_refused(root, cache, trust_first):
    put(root)
    locate_files(data_set(unpinned()), [root], cache, trust_first=True)
    put(root, content=WRONG)
    with pytest.raises(CorruptDataError, match=f"{SHA256} is what was trusted first"):
        locate_files(data_set(unpinned()), [root], cache, trust_first=trust_first)


def test_a_file_added_later_can_be_trusted_beside_the_old_ones(root, cache):
    put(root, "a.bin")
    locate_files(data_set(unpinned("a.bin")), [root], cache, trust_first=True)
    put(root, "b.bin")
    locate_files(data_set(unpinned("a.bin"), unpinned("b.bin")), [root], cache, trust_first=True)
    assert set(read_lock(cache, "toy")) == {"a.bin", "b.bin"}


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_lock_holds_nothing(cache, content):
    put(cache, "locks/toy.json", content.encode())
    assert read_lock(cache, "toy") == {}


# --------------------------------------------------------------------------------------------------------- missing


def test_a_missing_file_without_an_address_is_one_sentence_with_all_that_helps(root, cache):
    with pytest.raises(MissingDataError) as caught:
        locate_files(data_set(pinned()), [root], cache)
    message = str(caught.value)
    assert message.startswith("Data set toy lacks the file toy/raw/a.bin, and there is no place to fetch it from.")
    for helpful in (str(root), str(cache / "downloads"), SHA256, "HARNESS_DATA", "--data digits", "--data sbm"):
        assert helpful in message


def test_a_missing_file_that_nobody_pinned_says_so(root, cache):
    with pytest.raises(MissingDataError, match="its sha256 is not pinned"):
        locate_files(data_set(unpinned()), [root], cache)


def test_a_folder_in_the_place_of_a_file_is_no_file(root, cache):
    (root / "toy/raw/a.bin").mkdir(parents=True)
    with pytest.raises(MissingDataError):
        locate_files(data_set(pinned()), [root], cache)


# -------------------------------------------------------------------------------------------------------- download


class Answers(BaseHTTPRequestHandler):
    """/good, /wrong, /short (ends before its announced length), /hang (begins and stops), 404 for the rest."""

    def do_GET(self):
        self.server.asked.append(self.path)
        content = self.server.contents.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.path in ("/short", "/hang"):
            self.wfile.write(content[:100])
            self.wfile.flush()
            if self.path == "/hang":
                self.server.let_go.wait(30)
            self.close_connection = True
        else:
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked, self.let_go = [], threading.Event()
        self.contents = {"/good": GOOD, "/wrong": WRONG, "/short": GOOD, "/hang": GOOD}

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def handle_error(self, request, client_address):
        pass  # the client hung up


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.let_go.set()
        running.shutdown()
        thread.join()


def downloaded(cache):
    """Every file below the cache's downloads, also temporary ones."""
    return [path for path in (cache / "downloads").rglob("*") if path.is_file()]


def test_a_missing_file_is_fetched_into_the_cache(root, cache, server):
    places, _ = locate_files(data_set(pinned(url=server.url("good"))), [root], cache)
    assert places == {"toy/raw/a.bin": cache / "downloads" / "toy/raw/a.bin"}
    assert places["toy/raw/a.bin"].read_bytes() == GOOD
    assert downloaded(cache) == [places["toy/raw/a.bin"]]


def test_a_file_is_fetched_once(root, cache, server):
    for _ in range(2):
        locate_files(data_set(pinned(url=server.url("good"))), [root], cache)
    assert server.asked == ["/good"]


def test_it_is_told_how_much_of_a_large_file_is_there(root, cache, server, monkeypatch):
    monkeypatch.setitem(server.contents, "/good", GOOD * 200)  # 3 MB
    monkeypatch.setattr(fetching, "TOLD_FROM", 10**6)
    told = []
    locate_files(data_set(unpinned(url=server.url("good"))), [root], cache, progress=lambda *said: told.append(said))
    assert told[0] == (1, 3, "MB")
    assert told[-1] == (3, 3, "MB")


def test_nothing_is_told_of_a_small_file(root, cache, server):
    told = []
    locate_files(data_set(pinned(url=server.url("good"))), [root], cache, progress=lambda *said: told.append(said))
    assert told == []


def test_a_file_that_is_there_is_not_fetched(root, cache, server):
    put(root)
    locate_files(data_set(pinned(url=server.url("good"))), [root], cache)
    assert server.asked == []


def test_only_missing_files_are_fetched(root, cache, server):
    put(root, "a.bin")
    locate_files(data_set(pinned("a.bin", server.url("wrong")), pinned("b.bin", server.url("good"))), [root], cache)
    assert server.asked == ["/good"]


def test_an_unpinned_file_is_fetched_and_its_digest_taken(root, cache, server):
    _, taken = locate_files(data_set(unpinned(url=server.url("good"))), [root], cache, trust_first=True)
    assert taken == {"toy/raw/a.bin": SHA256}


def test_another_content_than_the_pinned_one_is_not_kept(root, cache, server):
    with pytest.raises(CorruptDataError) as caught:
        locate_files(data_set(pinned(url=server.url("wrong"))), [root], cache)
    assert f"What {server.url('wrong')} gives is not the file that is pinned (sha256 {SHA256}); nothing was kept." in str(
        caught.value
    )
    assert downloaded(cache) == []


def test_a_fetched_file_that_is_not_the_trusted_one_is_not_kept(root, cache, server):
    locate_files(data_set(unpinned(url=server.url("good"))), [root], cache, trust_first=True)
    (cache / "downloads" / "toy/raw/a.bin").unlink()
    with pytest.raises(CorruptDataError):
        locate_files(data_set(unpinned(url=server.url("wrong"))), [root], cache)
    assert downloaded(cache) == []


def test_a_page_that_is_not_there_is_missing_data_with_the_status(root, cache, server):
    with pytest.raises(MissingDataError, match=r"nothing could not be fetched \(HTTP status 404\)\. It was looked for in"):
        locate_files(data_set(pinned(url=server.url("nothing"))), [root], cache)
    assert downloaded(cache) == []


def test_a_download_that_ends_early_leaves_nothing(root, cache, server):
    with pytest.raises(MissingDataError, match="could not be fetched"):
        locate_files(data_set(pinned(url=server.url("short"))), [root], cache)
    assert downloaded(cache) == []


def test_a_download_that_hangs_is_given_up_and_leaves_nothing(root, cache, server, monkeypatch):
    monkeypatch.setattr(fetching, "FETCH_TIMEOUT_S", 0.2)
    with pytest.raises(MissingDataError, match="could not be fetched"):
        locate_files(data_set(pinned(url=server.url("hang"))), [root], cache)
    assert downloaded(cache) == []


def test_a_server_that_is_not_there_is_missing_data(root, cache, server):
    gone = server.url("good")
    server.shutdown()
    server.server_close()
    with pytest.raises(MissingDataError, match=r"could not be fetched \(ConnectionError\)"):
        locate_files(data_set(pinned(url=gone)), [root], cache)


def test_an_address_of_an_unknown_kind_is_missing_data(root, cache):
    with pytest.raises(MissingDataError, match="could not be fetched"):
        locate_files(data_set(pinned(url="gopher://127.0.0.1/a")), [root], cache)


def test_a_failed_download_can_be_repeated(root, cache, server):
    with pytest.raises(MissingDataError):
        locate_files(data_set(pinned(url=server.url("nothing"))), [root], cache)
    assert locate_files(data_set(pinned(url=server.url("good"))), [root], cache)[0]


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(root, tmp_path, server):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"Not a directory; name another folder with HARNESS_CACHE\.$"):
        locate_files(data_set(pinned(url=server.url("good"))), [root], tmp_path / "file" / "cache")

from __future__ import annotations

import hashlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import huggingface_hub
import pooch
import pytest

from harness.contracts.specs import DataSetSpec, FileSpec, FilesRecipe, HubRecipe
from harness.data import fetching
from harness.data.files import locate_files
from harness.data.hub import HubListing, hub_files
from harness.errors import CorruptDataError, MissingDataError, StorageError, UnpinnedDataError, UsageError

LARGE, SMALL = b"parquet bytes" * 1000, b"a few words"
COMMIT, OLDER, CONVERTED = "c" * 40, "0" * 40, "d" * 40
FOLDER = f"hub/owner/set/{COMMIT}"


def git_id(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def as_large(content):
    """A file in large-file storage, as the hub describes it."""
    pointer = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return {"blobId": git_id(b"the pointer"), "size": len(content), "lfs": pointer}


def as_small(content):
    return {"blobId": git_id(content), "size": len(content)}


FILES = {"data/train.parquet": as_large(LARGE), "README.md": as_small(SMALL)}


class Answers(BaseHTTPRequestHandler):
    """What the hub's server answers: what a revision holds, and the bytes of a file."""

    def do_GET(self):
        self.server.asked.append(unquote(urlsplit(self.path).path))
        self.server.seen.append(dict(self.headers))
        if self.server.status != 200 or self.server.page:
            return self.answer(self.server.status, self.server.page, self.server.code)
        start, _, rest = self.server.asked[-1].partition("/revision/")
        if rest:
            repository = start.removeprefix("/api/datasets/")
            if repository not in self.server.repositories:
                return self.answer(404, b"", "RepoNotFound")
            revisions = self.server.repositories[repository]
            if rest not in revisions:
                return self.answer(404, b"", "RevisionNotFound")
            commit, files = revisions[rest]
            siblings = [{"rfilename": path, **about} for path, about in files.items()]
            return self.answer(200, json.dumps({"id": repository, "sha": commit, "siblings": siblings}).encode())
        content = self.server.contents.get(start)
        return self.answer(404, b"", "EntryNotFound") if content is None else self.answer(200, content)

    def answer(self, status, content, code=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked, self.seen = [], []
        self.status, self.page, self.code = 200, b"", None
        self.repositories = {
            "owner/set": {"main": (COMMIT, FILES), COMMIT: (COMMIT, FILES)},
            "owner/images": {"main": (COMMIT, {"a.png": as_small(b"")}), "refs/convert/parquet": (CONVERTED, FILES)},
            "owner/words": {"main": (COMMIT, {"a.txt": as_small(b"")}), "v1": (OLDER, {"b.txt": as_small(b"")})},
        }
        files = f"/datasets/owner/set/resolve/{COMMIT}"
        self.contents = {f"{files}/data/train.parquet": LARGE, f"{files}/README.md": SMALL}


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def hub(monkeypatch, root, cache, tmp_path):
    """A hub on this machine; no log-in, no data root but `root`, and a home in which nothing may be written."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pooch.get_logger(), "handlers", [])
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no token"))
    with Hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{running.server_port}")
        monkeypatch.setenv("HARNESS_DATA", str(root))
        monkeypatch.setenv("HARNESS_CACHE", str(cache))
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()
    huggingface_hub.close_session()


@pytest.fixture
def offline(hub, monkeypatch):
    """From now on there is no network."""

    def cut():
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    return cut


def data_set(*paths, recipe=None, place=""):
    return DataSetSpec(
        name="toy",
        summary="A data set of the hub.",
        track="images",
        kind="images",
        build="toy:build",
        recipe=recipe or HubRecipe(repository="owner/set", revision=COMMIT, files=paths or ("data/train.parquet",)),
        protocols=("p",),
        sampling=("items",),
        place=place,
    )


def put(folder, path, content):
    place = Path(folder, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


# ------------------------------------------------------------------------------------------------------ a revision


def test_the_main_branch_is_resolved_to_its_commit_and_files(hub):
    assert hub_files("owner/set", None) == HubListing(revision=COMMIT, files=("README.md", "data/train.parquet"))


def test_a_tag_is_resolved_to_its_commit(hub):
    assert hub_files("owner/words", "v1") == HubListing(revision=OLDER, files=("b.txt",))


def test_a_commit_stays_what_it_is(hub):
    assert hub_files("owner/set", COMMIT).revision == COMMIT


def test_a_main_branch_without_parquet_stands_for_the_hubs_conversion(hub):
    assert hub_files("owner/images", "main") == HubListing(revision=CONVERTED, files=("README.md", "data/train.parquet"))


def test_a_main_branch_without_parquet_or_conversion_is_listed_as_it_is(hub):
    assert hub_files("owner/words").files == ("a.txt",)


def test_an_older_revision_is_not_taken_for_the_conversion_of_the_main_branch(hub):
    hub.repositories["owner/images"]["v1"] = (OLDER, {"a.png": as_small(b"")})
    assert hub_files("owner/images", "v1") == HubListing(revision=OLDER, files=("a.png",))


def test_a_name_means_the_same_commit_from_then_on(hub):
    before = hub_files("owner/set")
    hub.repositories["owner/set"]["main"] = (OLDER, {})
    assert hub_files("owner/set") == before


@pytest.mark.parametrize("revision", [None, COMMIT])
def test_what_was_asked_once_is_known_without_a_network(hub, offline, revision):
    before = hub_files("owner/set", revision)
    offline()
    assert hub_files("owner/set", revision) == before


def test_a_cache_copied_into_a_data_root_is_enough(hub, offline, root, cache):
    before = hub_files("owner/set")
    (cache / "hub").rename(root / "hub")
    offline()
    assert hub_files("owner/set") == before


def test_a_name_is_resolved_anew_when_its_note_is_deleted(hub, cache):
    hub_files("owner/set")
    (cache / "hub/owner/set/revisions.json").unlink()
    hub.repositories["owner/set"]["main"] = (OLDER, {})
    assert hub_files("owner/set").revision == OLDER


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"main": 3}', b'{"main": "../../x"}'])
def test_a_damaged_note_is_asked_for_again(hub, cache, note):
    put(cache, "hub/owner/set/revisions.json", note)
    assert hub_files("owner/set").revision == COMMIT


def test_several_names_are_remembered_beside_one_another(hub, offline):
    names = ("main", "v1")
    before = [hub_files("owner/words", name) for name in names]
    offline()
    assert [hub_files("owner/words", name) for name in names] == before


def test_a_cache_that_cannot_be_written_only_forgets(hub, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file" / "cache"))
    assert hub_files("owner/set").revision == COMMIT


def test_paths_that_would_leave_their_folder_are_not_listed(hub):
    paths = ("../a.parquet", "/a.parquet", "a/../../b.parquet", "a\\b.parquet", "c:a.parquet")
    hub.repositories["owner/set"]["main"] = (COMMIT, {path: as_small(b"") for path in paths})
    assert hub_files("owner/set").files == ()


@pytest.mark.parametrize("name", ["set", "owner/set/more", "../set", "owner/", "own er/set"])
def test_what_is_no_name_of_a_repository_is_refused(name):
    with pytest.raises(UsageError, match="is not a repository of the hub; write owner/name"):
        hub_files(name)


def test_an_unknown_repository_is_one_sentence(hub):
    with pytest.raises(
        MissingDataError, match=r"the hub has no data set owner/other, or shows it only to those who log in\. Without"
    ):
        hub_files("owner/other")


def test_an_unknown_revision_is_one_sentence(hub):
    with pytest.raises(MissingDataError, match="owner/set has no revision v9"):
        hub_files("owner/set", "v9")


def test_a_gated_repository_says_what_to_do(hub):
    hub.status, hub.code = 403, "GatedRepo"
    with pytest.raises(
        MissingDataError, match=r"gated; accept its terms on http.*/datasets/owner/set and log in with `hf auth login`"
    ):
        hub_files("owner/set")


def test_a_server_in_trouble_is_named_with_its_status(hub):
    hub.status = 500
    with pytest.raises(MissingDataError, match=r"http://127.0.0.1:\d+ answers with HTTP status 500"):
        hub_files("owner/set")


def test_without_a_network_a_new_name_is_not_known(offline):
    offline()
    with pytest.raises(MissingDataError, match="HF_HUB_OFFLINE forbids asking the hub"):
        hub_files("owner/set")


def test_a_hub_that_cannot_be_reached_is_one_sentence(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(MissingDataError, match=r"http://127.0.0.1:1 could not be asked \(Connect\w*Error\)"):
        hub_files("owner/set")


def test_a_hub_that_hangs_is_given_up(hub, monkeypatch):
    monkeypatch.setattr(fetching, "FETCH_TIMEOUT_S", 0.2)
    monkeypatch.setattr(Answers, "answer", lambda *_: threading.Event().wait(1))
    with pytest.raises(MissingDataError, match="could not be asked"):
        hub_files("owner/set")


@pytest.mark.parametrize("page", [b"<html>", b"[]", b"{}"])
def test_an_answer_that_is_not_the_hubs_is_one_sentence(hub, page):
    hub.page = page
    with pytest.raises(MissingDataError, match="could not be asked"):
        hub_files("owner/set")


def test_the_hubs_library_is_asked_for_when_it_is_missing(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDataError, match="the package huggingface_hub is not installed"):
        hub_files("owner/set")


# --------------------------------------------------------------------------------------------------------- its files


@pytest.mark.parametrize(("path", "content"), [("data/train.parquet", LARGE), ("README.md", SMALL)])
def test_a_file_is_fetched_at_its_commit_into_the_cache(hub, cache, root, path, content):
    places, taken = locate_files(data_set(path), [root], cache)
    assert places == {path: cache / FOLDER / path}
    assert places[path].read_bytes() == content
    assert taken == {}


def test_a_fetched_file_and_its_digest_need_no_network_again(hub, offline, cache, root):
    before = locate_files(data_set(), [root], cache)
    offline()
    assert locate_files(data_set(), [root], cache) == before


def test_a_file_in_a_data_root_is_used_where_it_is(hub, cache, root):
    place = put(root, f"{FOLDER}/data/train.parquet", LARGE)
    assert locate_files(data_set(), [root], cache)[0] == {"data/train.parquet": place}


def test_planning_and_fetching_ask_the_hub_once_what_a_commit_holds(hub, cache, root):
    hub_files("owner/set")
    locate_files(data_set("data/train.parquet", "README.md"), [root], cache)
    assert [path for path in hub.asked if "/api/" in path] == ["/api/datasets/owner/set/revision/main"]


def test_nothing_is_written_outside_the_cache(hub, cache, root, monkeypatch, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    locate_files(data_set(), [root], cache)
    assert list(home.rglob("*")) == []
    assert list(root.iterdir()) == []
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == [f"{COMMIT}.json", "train.parquet"]


def test_nothing_is_printed(hub, cache, root, capfd):
    locate_files(data_set(), [root], cache)
    assert capfd.readouterr() == ("", "")


def test_the_log_in_of_the_user_is_sent(hub, cache, root, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    locate_files(data_set(), [root], cache)
    assert {headers.get("authorization", headers.get("Authorization")) for headers in hub.seen} == {"Bearer hf_secret"}


@pytest.mark.parametrize("path", ["data/train.parquet", "README.md"])
def test_other_bytes_than_the_commit_pins_are_not_kept(hub, cache, root, path):
    hub.contents = {address: b"x" * len(content) for address, content in hub.contents.items()}
    with pytest.raises(CorruptDataError, match="is not the file that .*; nothing was kept"):
        locate_files(data_set(path), [root], cache)
    assert not (cache / FOLDER / path).exists()


@pytest.mark.parametrize(("path", "kind"), [("data/train.parquet", "sha256"), ("README.md", "git id")])
def test_a_cached_file_that_was_changed_is_refused_without_a_network(hub, offline, cache, root, path, kind):
    place = locate_files(data_set(path), [root], cache)[0][path]
    offline()
    place.write_bytes(b"x" * place.stat().st_size)
    with pytest.raises(CorruptDataError, match=f"its {kind} is .* is pinned by commit {COMMIT}; it was not read"):
        locate_files(data_set(path), [root], cache)


def test_a_truncated_file_is_refused_by_its_size(hub, cache, root):
    put(root, f"{FOLDER}/data/train.parquet", LARGE[:-1])
    with pytest.raises(CorruptDataError, match=f"it has {len(LARGE) - 1} bytes, and the right one {len(LARGE)}"):
        locate_files(data_set(), [root], cache)


def test_a_missing_file_without_a_network_is_one_sentence_with_all_that_helps(hub, offline, cache, root):
    offline()
    with pytest.raises(MissingDataError) as caught:
        locate_files(data_set(), [root], cache)
    message = str(caught.value)
    assert message.startswith("Data set toy lacks the file data/train.parquet of owner/set on the hub: HF_HUB_OFFLINE forbids")
    for helpful in (str(root), str(cache), f"{FOLDER}/data/train.parquet", "HARNESS_DATA", "--data digits"):
        assert helpful in message


def test_a_file_that_nobody_can_check_is_refused(hub, offline, cache, root):
    put(root, f"{FOLDER}/data/train.parquet", LARGE)
    offline()
    with pytest.raises(MissingDataError, match=f"cannot be checked.* put {FOLDER}.json from a cache"):
        locate_files(data_set(), [root], cache)


def test_a_file_that_the_commit_does_not_have_is_missing(hub, cache, root):
    with pytest.raises(MissingDataError, match=f"lacks the file data/test.parquet .* commit {COMMIT} has no such file"):
        locate_files(data_set("data/test.parquet"), [root], cache)


def test_a_commit_that_is_not_there_is_missing(hub, cache, root):
    recipe = HubRecipe(repository="owner/set", revision=OLDER, files=("a",))
    with pytest.raises(MissingDataError, match=f"owner/set has no revision {OLDER}"):
        locate_files(data_set(recipe=recipe), [root], cache)


def test_another_commit_than_the_one_asked_for_is_refused(hub, cache, root):
    hub.repositories["owner/set"][COMMIT] = (OLDER, FILES)
    with pytest.raises(MissingDataError, match=f"answers for {OLDER} when asked for {COMMIT}"):
        locate_files(data_set(), [root], cache)


@pytest.mark.parametrize("revision", ["main", "c" * 39, "../" * 10])
def test_a_recipe_that_names_no_commit_is_not_pinned(cache, root, revision):
    with pytest.raises(UnpinnedDataError, match="a recipe names owner/name and a commit"):
        locate_files(data_set(recipe=HubRecipe(repository="owner/set", revision=revision, files=("a",))), [root], cache)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_download_says_how_to_log_in(hub, cache, root, status):
    hub_files("owner/set")
    hub.status = status
    with pytest.raises(MissingDataError, match=rf"HTTP status {status}; if it is gated, accept its terms on .*`hf auth login`"):
        locate_files(data_set(), [root], cache)


def test_a_download_without_a_network_is_not_tried(hub, offline, cache, root):
    hub_files("owner/set")
    offline()
    with pytest.raises(MissingDataError, match="HF_HUB_OFFLINE"):
        locate_files(data_set(), [root], cache)


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(hub, root, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"name another folder with HARNESS_CACHE\.$"):
        locate_files(data_set(), [root], tmp_path / "file" / "cache")


# --------------------------------------------------------------------------------------- the same content elsewhere

ELSEWHERE = HubRecipe(repository="owner/set", revision=COMMIT, files=("data/train.parquet",))


def mirrored(url=None):
    pinned = FileSpec(path="toy/train.bin", sha256=hashlib.sha256(SMALL).hexdigest(), url=url)
    return data_set(recipe=FilesRecipe(files=(pinned,), elsewhere=ELSEWHERE))


def test_the_recipes_own_files_come_first(hub, cache, root):
    place = put(root, "toy/train.bin", SMALL)
    assert locate_files(mirrored(), [root], cache)[0] == {"toy/train.bin": place}
    assert hub.asked == []


def test_files_that_are_nowhere_are_fetched_as_the_hub_has_them(hub, cache, root):
    assert locate_files(mirrored(), [root], cache) == ({"data/train.parquet": cache / FOLDER / "data/train.parquet"}, {})


def test_files_with_an_address_are_fetched_from_there(hub, cache, root):
    url = f"http://127.0.0.1:{hub.server_port}/datasets/owner/set/resolve/{COMMIT}/README.md"
    assert locate_files(mirrored(url), [root], cache)[0] == {"toy/train.bin": cache / "downloads/toy/train.bin"}


def test_what_would_do_as_well_is_named_when_nothing_can_be_had(hub, offline, cache, root):
    offline()
    with pytest.raises(MissingDataError, match=rf"HARNESS_DATA as {FOLDER}/data/train.parquet, or in its stead toy/train.bin\."):
        locate_files(mirrored(), [root], cache)

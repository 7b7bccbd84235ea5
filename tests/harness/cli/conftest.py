from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch
import pytest

import harness
import harness.api
from harness.catalog.catalog import Catalog
from harness.catalog.discovery import load_plugins
from harness.catalog.finding import Candidate, find_plugins
from harness.cli import main
from harness.execution import Pending
from harness.line.planning import Request, plan

AE = ("run", "--method", "ae", "--data", "digits", "--budget", "smoke", "--evaluators", "knn", "--threads", "1")
PLUGIN = Path(__file__).parent / "plugin"


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as one JSON document; fails when anything else is there."""
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one sentence that a mistake is answered with."""
        assert self.out == ""
        last = self.err.splitlines()[-1]
        assert last.startswith("Error: ")
        return last.removeprefix("Error: ")


@pytest.fixture(autouse=True)
def _no_data_roots(monkeypatch):
    monkeypatch.delenv("HARNESS_DATA", raising=False)


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Calls the command line in this process, in an empty folder; no answer may ever hold a traceback. `cli.ae` is a request."""
    monkeypatch.chdir(tmp_path)
    # pooch would write its messages to what stderr was when it was first imported, in another test.
    monkeypatch.setattr(pooch.get_logger(), "handlers", [])

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["/somewhere/bin/harness", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Answer(end.value.code, captured.out, captured.err)

    call.ae = AE
    return call


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "runs"
    harness.run(method="ae", data="digits", budget="smoke", evaluators=["knn"], threads=1, out=out)
    return out


@pytest.fixture
def runs(_finished, tmp_path):
    """A copy of the folder `runs` of `cli.ae`, finished, in the folder that `cli` works in."""
    return Path(shutil.copytree(_finished, tmp_path / "runs"))


@pytest.fixture
def ae_run(runs):
    """The folder of the compared run among `runs`."""
    (folder,) = (runs / "digits").glob("ae-s0-*")
    return folder


@pytest.fixture
def plugins_here(monkeypatch):
    """Installs modules of a folder as plugins beside the real ones: `plugins_here(folder, "module", ...)`."""
    loaded: list[str] = []

    def install(folder: Path, *modules: str) -> None:
        monkeypatch.syspath_prepend(folder)
        loaded.extend(modules)
        brought = [Candidate(name=module, target=module, distribution=f"{module}-dist", version="1.0") for module in modules]
        plugins = load_plugins({}, entry_points=[*find_plugins(), *brought])
        monkeypatch.setattr(harness.api, "installed", lambda: (plugins, Catalog.of(plugins)))

    yield install
    for module in loaded:
        sys.modules.pop(module, None)


@pytest.fixture
def toy_files(plugins_here):
    """The plugin with data sets made of files, as a module."""
    plugins_here(PLUGIN, "toy_files")
    return sys.modules["toy_files"]


@pytest.fixture
def data_root(tmp_path, monkeypatch):
    """An empty data root."""
    root = tmp_path / "data"
    root.mkdir()
    monkeypatch.setenv("HARNESS_DATA", str(root))
    return root


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of this test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("HARNESS_CACHE", str(folder))
    return folder


@pytest.fixture
def work():
    """Two planned runs of `cli.ae` with one cell each, nothing of them done."""
    request = Request(method="ae", data="digits", seeds=(0, 1), evaluators=("knn",), budget="smoke", references=False)
    return [Pending(run=run, missing=list(run.cells), done={}) for run in plan(request, harness.api.installed()[1]).runs]

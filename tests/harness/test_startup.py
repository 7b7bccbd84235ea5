from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "sklearn", "scipy", "pandas", "rich", "lightning_fabric", "jinja2")

SCRIPT = """
import sys
from harness.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    print("code", end.code, file=sys.stderr)
print("imported", *sorted(sys.modules), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("startup")


@pytest.fixture(scope="module")
def start(folder):
    """Starts a process with the command line; gives its exit code, its standard output and the modules it imported."""

    def start_(*arguments):
        answer = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments],
            check=True,
            cwd=folder,
            env={**os.environ, "HARNESS_CACHE": str(folder / "cache")},
            capture_output=True,
            text=True,
        )
        *_, code, imported = answer.stderr.splitlines()
        return code, answer.stdout, set(imported.split())

    return start_


@pytest.mark.parametrize(
    "command",
    [
        "--help", "--version", "run --help", "plugins", "plugins --json", "list", "list --json", "list methods", "show ae",
        "show svm --json", "runs list", "prepare digits",
    ],
)  # fmt: skip
def test_what_computes_nothing_imports_nothing_heavy(start, command):
    code, out, imported = start(*command.split())
    assert code == "code 0"
    assert out
    assert imported.isdisjoint(HEAVY)


def test_a_dry_run_imports_nothing_heavy(start):
    code, out, imported = start("run", "--method", "ae", "--data", "digits", "--dry-run")
    assert code == "code 0"
    assert "would be computed" in out
    assert imported.isdisjoint(HEAVY)


def test_a_refusal_imports_nothing_heavy(start):
    code, _, imported = start("run", "--method", "ae", "--data", "cora")
    assert code == "code 2"
    assert imported.isdisjoint(HEAVY)


REQUEST = (
    "run",
    "--method",
    "ae",
    "--data",
    "digits",
    "--budget",
    "smoke",
    "--evaluators",
    "knn",
    "--threads",
    "1",
    "--out",
    "runs",
)


@pytest.fixture(scope="module")
def finished(folder):
    """A run whose cells are all recorded."""
    import harness

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(folder / "cache"))
        harness.run(method="ae", data="digits", budget="smoke", evaluators=["knn"], threads=1, out=folder / "runs")


@pytest.mark.usefixtures("finished")
def test_the_same_run_again_imports_no_torch_and_no_numpy(start):
    code, out, imported = start(*REQUEST)
    assert code == "code 0"
    assert "0 cells computed, 4 found" in out
    assert imported.isdisjoint({"torch", "numpy", "sklearn", "scipy", "lightning_fabric"})


@pytest.mark.usefixtures("finished")
def test_the_same_run_again_in_json_imports_nothing_heavy(start):
    code, _, imported = start(*REQUEST, "--json")
    assert code == "code 0"
    assert imported.isdisjoint(HEAVY)

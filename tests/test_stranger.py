"""A plugin from elsewhere, through the same door: both wheels are built and installed, and the checkout is out of reach."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STRANGER = ROOT / "tests" / "stranger"
DISTRIBUTION, VERSION = "harness-stranger", "0.3.1"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Installation:
    """A virtual environment with both wheels, and with the heavy libraries of the environment that runs the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", symlinks=os.name != "nt")
        self.scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")

    def install(self, wheels: list[Path]) -> None:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(self.scripts / "python"),
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
        ]
        checked([*pip, *map(str, wheels)], cwd=self.folder, env=self.environment())
        # Borrowed only now, or pip would see the project there as installed. A path in a .pth file comes after the environment's
        # own packages, and .pth files in it (such as that of an editable installation) are not read.
        site_packages = next((self.folder / "venv").rglob("site-packages"))
        (site_packages / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HARNESS_", "PYTHON", "VIRTUAL_ENV"))}
        return {**kept, "HARNESS_CACHE": str(self.folder / "cache"), "OMP_NUM_THREADS": "1"}

    def run(self, command: str, *arguments: str) -> str:
        return checked([str(self.scripts / command), *arguments], cwd=self.folder, env=self.environment())

    def json(self, *arguments: str):
        return json.loads(self.run("harness", *arguments, "--json"))


def checked(command: list[str], **keywords) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, **keywords)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def wheel(project: Path, folder: Path) -> Path:
    # Without isolation nothing is fetched; it needs the build back end in this environment.
    offline = ["--no-isolation"] if importlib.util.find_spec("hatchling") else []
    checked([sys.executable, "-m", "build", "--wheel", *offline, "--outdir", str(folder), str(project)], cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    made = Installation(tmp_path_factory.mktemp("installation"))
    made.install([wheel(ROOT, tmp_path_factory.mktemp("ours")), wheel(STRANGER, tmp_path_factory.mktemp("theirs"))])
    return made


@pytest.fixture(scope="module")
def records(installation):
    return installation.json(
        "run", "--method", "denoising", "--data", "bands", "--budget", "fast", "--device", "cpu", "--threads", "1"
    )


@pytest.fixture(scope="module")
def own_records(records):
    return [record for record in records if not record["reference"]]


@pytest.mark.parametrize("package", ["harness", "harness_reference", "harness_stranger"])
def test_the_wheels_are_imported_and_not_the_checkout(installation, package):
    where = installation.run("python", "-c", f"import {package}; print({package}.__file__)").strip()
    assert Path(where).is_relative_to(installation.folder)


def test_all_plugins_are_ok(installation):
    statuses = {status["name"]: status["status"] for status in installation.json("plugins")}
    assert {"graphs", "images", "probes", "reference", "stranger"} <= set(statuses)
    assert set(statuses.values()) == {"ok"}


def test_the_plugin_is_listed_with_distribution_and_version(installation):
    (status,) = [status for status in installation.json("plugins") if status["name"] == "stranger"]
    assert (status["distribution"], status["version"]) == (DISTRIBUTION, VERSION)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("methods", "denoising"),
        ("datasets", "bands"),
        ("encoders", "vector-mlp"),
        ("objectives", "denoise"),
        ("evaluators", "nearest-mean"),
        ("protocols", "bands-half"),
    ],
)
def test_its_parts_are_listed_beside_ours(installation, kind, name):
    listed = {part["full_name"]: part for part in installation.json("list")[kind]}
    assert listed[f"harness_stranger/{name}"]["distribution"] == DISTRIBUTION


def test_its_method_runs_on_its_data(own_records):
    assert [record["status"] for record in own_records] == ["ok"]


def test_what_it_learned_tells_the_classes_apart(own_records):
    (metric,) = own_records[0]["metrics"]
    assert metric["name"] == "accuracy"
    assert metric["value"] > 70  # four classes: 25 by chance


@pytest.mark.parametrize("part", ["method", "encoder", "objective", "evaluator", "data"])
def test_its_records_name_its_distribution(own_records, part):
    assert own_records[0]["identity"][part]["distribution"] == DISTRIBUTION


def test_its_records_name_its_version(own_records):
    versions = {origin["distribution"]: origin["version"] for origin in own_records[0]["source"]}
    assert versions[DISTRIBUTION] == VERSION


def test_the_reference_rows_stand_beside_it(records):
    names = {record["identity"]["method"]["name"] for record in records if record["reference"]}
    assert {"random", "raw", "majority"} <= names


def test_its_evaluator_judges_a_method_of_ours(installation):
    records = installation.json(
        "run", "--method", "ae", "--data", "digits", "--budget", "smoke", "--evaluators", "nearest-mean", "--no-references"
    )
    assert [(record["identity"]["evaluator"]["distribution"], record["status"]) for record in records] == [(DISTRIBUTION, "ok")]

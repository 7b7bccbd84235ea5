"""A finished run of AE on digits, and what is gathered from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import harness
from harness.api import installed
from harness.catalog.catalog import Catalog, Entry
from harness.reporting import projection
from harness.reporting.gathering import gather
from harness.reporting.report import make_report


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "runs"
    harness.run(method="ae", data="digits", budget="smoke", evaluators=["knn"], threads=1, out=out)
    return out


@pytest.fixture
def folder(_finished, tmp_path):
    """A copy of the run's folder, with the records where they belong."""
    (run,) = Path(shutil.copytree(_finished, tmp_path / "runs")).glob("digits/ae-s0-*")
    return run


@pytest.fixture
def gathered(folder):
    plugins, catalog = installed()
    return gather(folder, catalog, plugins, store=None, device="cpu")


@pytest.fixture
def bare():
    """The catalog without the installed pictures, which take their time."""
    catalog = installed()[1]
    kinds = ("dataset", "encoder", "objective", "method", "protocol", "evaluator")
    return [entry for kind in kinds for entry in catalog.entries(kind)]


@pytest.fixture
def report(folder, bare, monkeypatch):
    """Makes the run's report with a catalog that has these pictures: `report(name=build, ...)`."""
    monkeypatch.setattr(projection, "MOST_SAMPLES", 20)

    def report_(*, kinds=("images",), needs=(), requires=(), progress=print, **builds):
        entries = [_entry(name, build, kinds, needs, requires) for name, build in builds.items()]
        return make_report(folder, Catalog([*bare, *entries]), installed()[0], device="cpu", progress=progress)

    return report_


def _entry(name, build, kinds, needs, requires):
    spec = harness.PictureSpec(name=name, summary=name, kinds=kinds, needs=needs, requires=requires, build="none:none")
    return Entry(
        kind="picture",
        name=name,
        full_name=f"toys/{name}",
        spec=spec,
        plugin="toys",
        distribution="toy-dist",
        version="1.0",
        made=build,
    )

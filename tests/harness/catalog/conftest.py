from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.catalog.catalog import Catalog
from harness.catalog.discovery import load_plugins
from harness.catalog.finding import Candidate

BROKEN_PLUGINS = Path(__file__).parents[2] / "broken_plugins"


@pytest.fixture
def broken_plugins(monkeypatch):
    """Makes the modules of tests/broken_plugins importable, and forgets them afterwards."""
    monkeypatch.syspath_prepend(BROKEN_PLUGINS)
    yield sorted(path.stem for path in BROKEN_PLUGINS.glob("*.py"))
    for path in BROKEN_PLUGINS.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def candidate():
    """Announces a module as a plugin: `candidate("module", requires=...)`."""

    def announce(module, **changes):
        fields = {"name": module, "target": module, "distribution": f"{module}-dist", "version": "1.0"}
        return Candidate(**(fields | changes))

    return announce


@pytest.fixture
def load(broken_plugins, candidate):
    """Loads modules (or candidates) as plugins, with an environment of the test's own."""

    def load_(*modules, environ=None):
        announced = [candidate(module) if isinstance(module, str) else module for module in modules]
        return load_plugins(environ or {}, entry_points=announced)

    return load_


@pytest.fixture
def catalog(load):
    """The catalog of the two healthy test plugins."""
    return Catalog.of(load("healthy_plugin", "second_plugin"))

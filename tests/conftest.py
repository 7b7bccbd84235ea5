"""What holds for all tests: a cache of their own, and all installed plugins."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name in ("HARNESS_PLUGINS", "HARNESS_BLOCK"):
            patch.delenv(name, raising=False)
        yield

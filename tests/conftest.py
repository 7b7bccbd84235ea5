"""What holds for all tests: a cache of their own, all installed plugins, and the same examples at every run."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("same examples", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same examples")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name in ("HARNESS_PLUGINS", "HARNESS_BLOCK"):
            patch.delenv(name, raising=False)
        yield

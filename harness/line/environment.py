"""Where a run is computed, for its records."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import platform
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

import torch

from harness.ledger.records import Environment, Origin

_PACKAGES = ("infomax-harness", "torch", "lightning-fabric", "numpy", "scipy", "scikit-learn")


def describe_environment(device: torch.device) -> Environment:
    """Interpreter, packages, device and numerics in force now."""
    on_gpu = device.type == "cuda"
    return Environment(
        python=platform.python_version(),
        os=f"{platform.system()} {platform.release()} {platform.machine()}",
        packages={name: version for name in _PACKAGES if (version := _version(name)) is not None},
        device=torch.cuda.get_device_name(device) if on_gpu else _processor(),
        cuda=torch.version.cuda if on_gpu else None,
        threads=torch.get_num_threads(),
        matmul_precision=torch.get_float32_matmul_precision(),
        deterministic=torch.are_deterministic_algorithms_enabled(),
    )


def origins(distributions: Iterable[str]) -> tuple[Origin, ...]:
    """Version of each distribution, and the commit it was installed from where its metadata say (PEP 610)."""
    return tuple(_origin(name) for name in sorted(set(distributions)))


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory in use so far: of the GPU where there is one, else of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # not a POSIX system
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


def now() -> str:
    """The time in UTC to the second, ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@functools.cache
def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def _origin(distribution: str) -> Origin:
    version = _version(distribution) or "0"
    try:
        text = importlib.metadata.distribution(distribution).read_text("direct_url.json")
        document = json.loads(text) if text else {}
    except (importlib.metadata.PackageNotFoundError, ValueError):
        document = {}
    vcs = document.get("vcs_info", {})
    if not vcs:  # a folder or an archive: its path is nobody's business and says nothing of the code
        return Origin(distribution=distribution, version=version)
    return Origin(distribution=distribution, version=version, origin=document.get("url"), commit=vcs.get("commit_id"), dirty=False)


@functools.cache
def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()

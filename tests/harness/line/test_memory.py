"""Freed memory is kept by the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from harness.line import memory

FAULTS = """
import resource, statistics, sys, torch
from harness.line.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults_of_a_step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    float((torch.ones(12_000_000) + 1)[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(statistics.median_low(faults_of_a_step() for _ in range(15)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_tensors_reuse_what_others_freed():
    # The median of the steps, as the heap may still have to grow in one of them. Pages of 2 MB would make some forty faults a step.
    def faults(how: str) -> int:
        return int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout)

    assert faults("keep") < 20 < faults("give back")


def test_a_library_without_the_call_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed_memory.__wrapped__() is False

from __future__ import annotations

from harness.contracts import progress
from harness.contracts.progress import no_progress, now_and_then


def test_nobody_listens_by_default():
    assert no_progress(1, 2, "frames") is None


def test_ten_times_a_second_is_often_enough(monkeypatch):
    clock, told = iter([10.0, 10.05, 10.11, 10.12]), []
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    listening = now_and_then(lambda *said: told.append(said))
    for done in range(4):
        listening(done, 100, "frames")
    assert told == [(0, 100, "frames"), (2, 100, "frames")]


def test_the_end_is_told_however_soon_it_comes(monkeypatch):
    monkeypatch.setattr(progress.time, "monotonic", lambda: 10.0)
    told = []
    listening = now_and_then(lambda *said: told.append(said))
    for done in range(101):
        listening(done, 100, "frames")
    assert told == [(0, 100, "frames"), (100, 100, "frames")]

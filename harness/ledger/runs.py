"""Planned runs: plain data that say what is to be computed, as planning makes them and a run's folder keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from msgspec import Struct

from harness.errors import UsageError
from harness.ledger.records import Component, Identity, RunIdentity
from harness.names import slug


class Cell(Struct, frozen=True, kw_only=True):
    """One evaluator on one feature of a run."""

    part: str
    """Full name of the evaluator, "package/name"."""
    evaluator: Component
    feature: str


class PlannedRun(Struct, frozen=True, kw_only=True):
    """A run and its cells. Plain data: with the data roots it determines every number, in this process or another."""

    identity: RunIdentity
    cells: tuple[Cell, ...]
    parts: Mapping[str, str]
    """Full name "package/name" of the method, encoder, objective, data set and protocol."""
    budget: str
    reference: bool
    supervised: bool
    trusted_first: bool
    passed: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Short human name: "dgi on cora, seed 0"."""
        return f"{self.identity.method.name} on {self.identity.data.name}, seed {self.identity.seed}"

    @property
    def folder(self) -> PurePosixPath:
        """The run's folder under OUT: <data>/<method>-s<seed>-<run8>."""
        identity = self.identity
        return PurePosixPath(slug(identity.data.name), f"{slug(identity.method.name)}-s{identity.seed}-{identity.sha256[:8]}")

    @property
    def trains(self) -> bool:
        """Whether its objective is trained at all."""
        return self.identity.training.epochs is not None

    def cell_identity(self, cell: Cell) -> Identity:
        """Identity of one of its cells."""
        return Identity.of(self.identity, cell.evaluator, cell.feature)


class Plan(Struct, frozen=True, kw_only=True):
    """All runs of one or more requests, of each the compared ones first."""

    runs: tuple[PlannedRun, ...]
    left_out: tuple[str, ...] = ()
    """Reference rows, or cells of them, that are not defined here, each with its reason."""

    @property
    def cells(self) -> list[tuple[PlannedRun, Cell]]:
        """Every cell with its run."""
        return [(run, cell) for run in self.runs for cell in run.cells]

    @classmethod
    def of_all(cls, plans: Sequence[Plan]) -> Plan:
        """One plan of many, in their order; a run and a reason that several have stand in it once."""
        runs = {(run.identity.sha256, repr(run.cells)): run for plan in plans for run in plan.runs}
        return cls(
            runs=tuple(runs.values()),
            left_out=tuple(dict.fromkeys(reason for plan in plans for reason in plan.left_out)),
        )


def read_run(folder: Path) -> PlannedRun:
    """The planned run of a run's folder. Raises UsageError when it is none."""
    try:
        return msgspec.json.decode((folder / "run.json").read_bytes(), type=PlannedRun)
    except FileNotFoundError:
        raise UsageError(f"{folder} is not a run folder: it has no run.json; `harness runs list` shows the runs.") from None
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(
            f"{folder / 'run.json'} cannot be read ({error}); the run's own command with --rerun makes it anew."
        ) from None

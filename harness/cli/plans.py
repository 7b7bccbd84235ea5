"""What the command line shows before a run: what is planned, and about how long it takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

from harness.cli.printing import count, pairs, print_json
from harness.execution import Pending, Settings
from harness.ledger.runs import PlannedRun
from harness.names import duration


def show_plan(work: Sequence[Pending], *, as_json: bool) -> None:
    """What a dry run prints."""
    if as_json:
        document = [
            {
                "run": each.run.identity.sha256,
                "method": each.run.identity.method.name,
                "data": each.run.identity.data.name,
                "seed": each.run.identity.seed,
                "reference": each.run.reference,
                "folder": str(each.run.folder),
                "cells": [
                    {
                        "id": each.run.cell_identity(cell).sha256,
                        "evaluator": cell.evaluator.name,
                        "feature": cell.feature,
                        "done": each.run.cell_identity(cell).sha256 in each.done,
                    }
                    for cell in each.run.cells
                ],
            }
            for each in work
        ]
        print_json(document)
        return
    names = titles(work)
    for each in work:
        cells = ", ".join(
            f"{cell.evaluator.name} on {cell.feature}{'' if cell in each.missing else ' (recorded)'}" for cell in each.run.cells
        )
        mark = "  [reference]" if each.run.reference else ""
        click.echo(f"{names[each.run.identity.sha256]}{mark}: {_length(each.run)}; {cells}")
    missing = sum(len(each.missing) for each in work)
    click.echo(f"{missing} of {sum(len(each.run.cells) for each in work)} cells would be computed.")


def announce(work: Sequence[Pending], settings: Settings) -> None:
    """Say, before anything is computed, how much there is to do and about how long it takes."""
    missing = [each for each in work if each.missing]
    if not missing:
        return
    compared = [each for each in missing if not each.run.reference] or missing
    first = compared[0].run
    cells = sum(len(each.missing) for each in missing)
    click.echo(
        f"{count(len(missing), 'run')}, {count(cells, 'cell')} to compute. {first.identity.method.name}: {_length(first)}, "
        f"budget {first.budget}{_estimate(compared, settings)}.",
        err=True,
    )


def titles(work: Sequence[Pending]) -> dict[str, str]:
    """The names of runs by their ids; runs of one name have the options after it in which they differ."""
    alike: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for each in work:
        alike[each.run.name][each.run.identity.sha256] = _choices(each.run)
    found = {}
    for name, runs in alike.items():
        keys = dict.fromkeys(key for choices in runs.values() for key in choices)
        telling = [key for key in keys if len({repr(choices.get(key)) for choices in runs.values()}) > 1]
        for sha256, choices in runs.items():
            own = pairs({key: choices[key] for key in telling if key in choices})
            found[sha256] = f"{name} ({own})" if own else name
    return found


def _choices(run: PlannedRun) -> dict[str, Any]:
    """What was chosen for a run: {"encoder": "gcn", "objective.lr": 1e-3, "train.epochs": 20, ...}."""
    identity = run.identity
    parts: dict[str, Mapping[str, Any]] = {
        "data": identity.data.options,
        "encoder": identity.encoder.options,
        "objective": identity.objective.options,
        "train": msgspec.structs.asdict(identity.training),
    }
    options = {f"{part}.{key}": value for part, values in parts.items() for key, value in values.items()}
    return {"protocol": identity.protocol.id, "encoder": identity.encoder.name, **options}


def _length(run: PlannedRun) -> str:
    training = run.identity.training
    if training.epochs is None:
        return "no training"
    stop = f", stopping after {training.patience} without a better loss" if training.patience is not None else ""
    length = count(training.epochs, "epoch")
    return f"at most {length}{stop}" if stop else length


def _estimate(work: Sequence[Pending], settings: Settings) -> str:
    """Seconds that records of the same method on the same data took, if there are any in the store."""
    run = work[0].run
    seconds = [
        record.time_s.train
        for record in settings.records.attempts_of(run.identity.data.name, run.identity.method.name)
        if record.budget == run.budget and record.time_s.train > 0
    ]
    if not seconds:
        return ""
    typical = sorted(seconds)[len(seconds) // 2]
    return f", about {duration(typical * len(work))} by what earlier runs took"

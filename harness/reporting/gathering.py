"""Gathering: all that the page of a run is made from, out of its folder, its data and its records."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from harness.catalog.catalog import Catalog
from harness.catalog.discovery import Plugins
from harness.contracts.evaluator import Score
from harness.contracts.pictures import RunView
from harness.data.files import cache_folder, data_roots
from harness.errors import UsageError
from harness.ledger.records import Record
from harness.ledger.runs import PlannedRun
from harness.ledger.stores import FolderStore
from harness.line.devices import make_fabric, resolve_device
from harness.line.folders import RunFolder, Trained
from harness.line.loading import Workplace, load_data
from harness.line.representation import represent
from harness.line.seeding import derive_seed
from harness.trained import load_run


@dataclass(frozen=True)
class Gathered:
    """A finished run with what was learned, logged and recorded of it."""

    run: PlannedRun
    trained: Trained
    log: list[dict[str, float]]
    """The loss curve, one row per logged step: step, epoch, and the terms as "phase/term"."""
    records: list[Record]
    """Of every cell that was tried, the newest ok attempt, else the newest; sorted by evaluator and feature."""
    view: RunView


def gather(folder: Path, catalog: Catalog, plugins: Plugins, *, store: Path | None, device: str) -> Gathered:
    """Load the run in `folder` and its data. Features are read from its cache, or represented when they are asked for.

    :param store: folder of the records; None means `records` beside the run's data set.
    Raises UsageError when the folder holds no finished training, DataError when its data cannot be had.
    """
    loaded = load_run(folder, catalog, device=device)
    run, files = loaded.run, RunFolder(folder)
    trained = files.trained(run.identity)
    assert trained is not None  # `load_run` has just read it
    records = FolderStore(store if store is not None else folder.resolve().parent.parent / "records")
    place = Workplace(
        catalog=catalog,
        plugins=plugins,
        store=records,
        out=folder.resolve().parent.parent,
        roots=data_roots(),
        cache=cache_folder(),
        device=device,
    )
    data = load_data(run, place)
    fabric = make_fabric(resolve_device(device), run.identity.training.precision)

    @functools.cache
    def features(name: str) -> NDArray[Any]:
        inputs = data.dataset.inputs
        found = represent(loaded.encoder, inputs, [name], files.features, trained.checkpoint_sha256, fabric)
        array: NDArray[Any] = found[name].array
        return array

    protocol, found = run.identity.protocol, _of_run(records, run)
    return Gathered(
        run=run,
        trained=trained,
        log=_log(folder / "losses.jsonl"),
        records=found,
        view=RunView(
            feature=next(iter(loaded.features)),
            features=features,
            description=data.dataset.inputs.description,
            splits=data.splits,
            seed=derive_seed(f"{protocol.id}/{protocol.version}", "pictures"),
            device=fabric.device,
            labels=data.dataset.annotations.labels,
            class_names=data.dataset.annotations.class_names,
            factors=data.dataset.annotations.factors,
            inputs=data.dataset.inputs,
            truth=data.dataset.annotations.truth,
            scores={(each.identity.evaluator.name, each.identity.feature): _scores(each) for each in found if each.status == "ok"},
            modules=loaded.modules,
        ),
    )


def _scores(record: Record) -> list[Score]:
    return [
        Score(
            name=metric.name,
            value=metric.value,
            std=metric.std,
            over=metric.over,
            n=metric.n,
            split=metric.split,
            of=metric.of,
            selected=metric.selected,
        )
        for metric in record.metrics
    ]


def _log(path: Path) -> list[dict[str, float]]:
    try:
        return [json.loads(line) for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        reason = "is missing"
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    except ValueError:
        reason = "is damaged"
    raise UsageError(f"The loss curve {path} {reason}; the run's own command with --rerun trains anew.")


def _of_run(store: FolderStore, run: PlannedRun) -> list[Record]:
    cells: dict[str, Record] = {}
    for record in store.attempts_of(run.identity.data.name, run.identity.method.name):  # oldest attempt first
        if record.run == run.identity.sha256 and (
            record.status == "ok" or record.id not in cells or cells[record.id].status != "ok"
        ):
            cells[record.id] = record
    return sorted(cells.values(), key=lambda record: (record.identity.evaluator.name, record.identity.feature, record.id))

"""Loading: a run's data set, once per workplace, with the digest of what was really read."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.catalog.catalog import Catalog
from harness.catalog.discovery import Plugins
from harness.contracts.dataset import DataContext, DataSet, Splits
from harness.contracts.progress import Progress, now_and_then
from harness.contracts.specs import DataSetSpec, GeneratedRecipe
from harness.data.files import decoded_folder, locate_files, read_lock
from harness.errors import CorruptDataError, PluginError, StorageError
from harness.ledger.identity import sha256_of
from harness.ledger.runs import PlannedRun
from harness.ledger.stores import FolderStore
from harness.ledger.whole_files import write_whole
from harness.line.building import build_dataset
from harness.line.planning import recipe_sha256


@dataclass
class Workplace:
    """Where runs are computed and what they share: installed parts, folders, device, and the data sets already loaded."""

    catalog: Catalog
    plugins: Plugins
    store: FolderStore
    out: Path
    roots: Sequence[Path]
    cache: Path
    device: str = "auto"
    threads: int | None = None
    trust_first: bool = False
    rerun: bool = False
    checkpoint_every_s: float = 30.0
    command: str = ""
    loaded: dict[str, LoadedData] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadedData:
    """A data set under one protocol, with its digest."""

    dataset: DataSet
    splits: Splits
    content_sha256: str
    seconds: float


def data_context(
    spec: DataSetSpec,
    files: Mapping[str, Path],
    cache: Path,
    recipe: str = "",
    *,
    protocol: str = "",
    progress: Progress,
) -> DataContext:
    """What a data set is built with.

    :param recipe: the recipe's digest where it is known already; see `recipe_sha256`.
    """
    return DataContext(
        files=files,
        cache=decoded_folder(cache, recipe or recipe_sha256(spec.recipe, read_lock(cache, spec.name))),
        settings=spec.recipe.settings if isinstance(spec.recipe, GeneratedRecipe) else {},
        protocol=protocol,
        progress=progress,
    )


def load_data(run: PlannedRun, workplace: Workplace) -> LoadedData:
    """The run's data, loaded once per workplace. Raises DataError (missing, corrupt) or PluginError."""
    key = sha256_of([run.identity.data, run.identity.protocol])
    if key not in workplace.loaded:
        workplace.loaded[key] = _load(run, workplace)
    return workplace.loaded[key]


def _load(run: PlannedRun, workplace: Workplace) -> LoadedData:
    started = time.perf_counter()
    entry = workplace.catalog.dataset(run.parts["data"])
    told = now_and_then(partial(workplace.plugins.preparation_advanced, run.identity.data.name))
    files, _ = locate_files(entry.spec, workplace.roots, workplace.cache, trust_first=workplace.trust_first, progress=told)
    context = data_context(
        entry.spec, files, workplace.cache, run.identity.data.recipe_sha256, protocol=run.identity.protocol.id, progress=told
    )
    dataset = build_dataset(entry, run, context)
    protocol = run.identity.protocol.id
    if protocol not in dataset.annotations.splits:
        raise PluginError(entry.plugin, f"data set {entry.name} has no splits for protocol {protocol!r}.")
    splits = dataset.annotations.splits[protocol]
    together = np.concatenate(list(splits.parts().values()))
    if len(np.unique(together)) < len(together):
        raise PluginError(entry.plugin, f"data set {entry.name}: the parts of protocol {protocol!r} share samples.")
    content = _content_sha256(dataset, splits)
    _check_content(run, content, workplace.cache, context.cache)
    return LoadedData(dataset, splits, content, time.perf_counter() - started)


def _content_sha256(dataset: DataSet, splits: Splits) -> str:
    """Digest of inputs, labels, factors and splits as loaded."""
    labels, factors = dataset.annotations.labels, dataset.annotations.factors
    content = {
        "inputs": dataset.inputs.content_sha256(),
        "labels": None if labels is None else _array_sha256(labels),
        "splits": {name: _array_sha256(index) for name, index in splits.parts().items()},
    }
    if dataset.labelled is not None:  # training also sees samples that are not among the inputs
        content["pretrain"] = dataset.pretrain.content_sha256()
    if factors:
        content["factors"] = {name: _array_sha256(values) for name, values in factors.items()}
    return sha256_of(content)


def _array_sha256(array: Any) -> str:

    plain = np.ascontiguousarray(array)
    return hashlib.sha256(f"{plain.dtype.str}{plain.shape}".encode() + plain.tobytes()).hexdigest()


def _check_content(run: PlannedRun, content: str, cache: Path, decoded: Path) -> None:
    """A content digest that changes under one recipe is an error: the arrays are not what this recipe gave before."""
    data = run.identity.data
    key = sha256_of([data.name, data.recipe_sha256, data.spec_version, data.options, run.identity.protocol])
    note = cache / "content" / f"{key[:32]}.sha256"
    try:
        before = note.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        before = ""
    if not before:
        with suppress(StorageError):  # a cache that cannot be written only loses this check
            write_whole(note, content.encode() + b"\n")
    elif before != content:
        raise CorruptDataError(
            f"Data set {data.name} was read into other arrays than before under the same recipe (digest {content[:12]}, before "
            f"{before[:12]}). Its decoded copy may be damaged: then delete {decoded}. Or a library that decodes it has changed: if "
            f"that is meant, delete {note}."
        )

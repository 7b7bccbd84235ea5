"""Execution: the cells of a plan that are not in the store yet, computed here, one run after another.

Nothing heavy is imported until a cell is really missing, so a request whose cells are all done is answered from the records.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct

from harness.catalog.catalog import Catalog
from harness.catalog.discovery import Plugins
from harness.contracts.progress import now_and_then
from harness.contracts.specs import FilesRecipe
from harness.data.files import cache_folder, data_roots, decoded_folder, locate_files, read_lock
from harness.errors import DataError, HarnessError, PluginError, UnfitError
from harness.ledger.records import Record
from harness.ledger.runs import Cell, Plan, PlannedRun
from harness.ledger.stores import FolderStore
from harness.line.options import data_options
from harness.line.planning import check_pins


class Settings(Struct, frozen=True, kw_only=True):
    """Where and how a request is computed; nothing here is part of a record's identity."""

    out: Path = Path("runs")
    store: Path | None = None
    """Folder of the records; None means `out/records`."""
    device: str = "auto"
    threads: int | None = None
    rerun: bool = False
    trust_first: bool = False
    checkpoint_every_s: float = 30.0
    free_data: bool = False
    """Whether what is made in the cache for a data set now is deleted after its last run."""
    command: str = ""

    @property
    def records(self) -> FolderStore:
        """The store."""
        return FolderStore(self.store if self.store is not None else self.out / "records")


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of a plan."""

    records: list[Record]
    """One per cell that could be had, in the plan's order: found or made."""
    computed: int
    """How many of them were computed now."""
    problems: list[HarnessError]
    """Why runs could not begin, each reason once."""


class Pending(Struct, frozen=True, kw_only=True):
    """A run with the cells that are still to be computed, and the records of the others."""

    run: PlannedRun
    missing: list[Cell]
    done: dict[str, Record]
    """By cell id."""


def pending(plan: Plan, settings: Settings, *, again: bool = False) -> list[Pending]:
    """Which cells of a plan are done: those with an ok record in the store; none of them with `again`."""
    store = settings.records
    found = []
    for run in plan.runs:
        done: dict[str, Record] = {}
        missing: list[Cell] = []
        for cell in run.cells:
            identity = run.cell_identity(cell)
            record = None if again else store.best(identity)
            if record is None:
                missing.append(cell)
            else:
                done[record.id] = record
        found.append(Pending(run=run, missing=missing, done=done))
    return found


def execute(work: Sequence[Pending], catalog: Catalog, plugins: Plugins, settings: Settings) -> Outcome:
    """Compute what `pending` found missing of a plan, here, and return a record for every cell.

    A run whose data cannot be had is reported and the others go on. Raises StorageError and KeyboardInterrupt.
    """
    made: dict[str, Record] = {}
    problems: list[HarnessError] = []
    unavailable: set[str] = set()
    if any(each.missing for each in work):
        from harness.line.loading import Workplace
        from harness.line.pipeline import compute

        settings.records.require_writable()
        workplace = Workplace(
            catalog=catalog,
            plugins=plugins,
            store=settings.records,
            out=settings.out,
            roots=data_roots(),
            cache=cache_folder(),
            device=settings.device,
            threads=settings.threads,
            trust_first=settings.trust_first,
            rerun=settings.rerun,
            checkpoint_every_s=settings.checkpoint_every_s,
            command=settings.command,
        )
        kept = _made_before(work, workplace.cache) if settings.free_data else set()
        for position, each in enumerate(work):
            # A run may be planned twice with other cells, as a reference row of two methods is.
            missing = [cell for cell in each.missing if each.run.cell_identity(cell).sha256 not in made]
            if missing and each.run.identity.data.name not in unavailable:
                try:
                    made.update({record.id: record for record in compute(each.run, missing, workplace)})
                except (DataError, PluginError, UnfitError) as error:
                    if isinstance(error, DataError):
                        unavailable.add(each.run.identity.data.name)
                    if str(error) not in map(str, problems):
                        problems.append(error)
            recipe = each.run.identity.data.recipe_sha256
            later = any(other.run.identity.data.recipe_sha256 == recipe for other in work[position + 1 :])
            if settings.free_data and recipe not in kept and not later:
                workplace.loaded.clear()
                shutil.rmtree(decoded_folder(workplace.cache, recipe), ignore_errors=True)
    records = []
    for each in work:
        for cell in each.run.cells:
            sha256 = each.run.cell_identity(cell).sha256
            record = each.done.get(sha256) or made.get(sha256)
            if record is not None:
                records.append(record)
    return Outcome(records=records, computed=len(made), problems=problems)


def _made_before(work: Sequence[Pending], cache: Path) -> set[str]:
    """Recipes of the data sets for which something lies in the cache already."""
    recipes = {each.run.identity.data.recipe_sha256 for each in work}
    return {recipe for recipe in recipes if decoded_folder(cache, recipe).exists()}


def hashes_for(name: str, catalog: Catalog, *, trust_first: bool) -> dict[str, str]:
    """Hashes of a data set that nobody pinned: those taken before, or, with `trust_first`, taken now (the files are fetched)."""
    cache = cache_folder()
    entry = catalog.dataset(name)
    locked = read_lock(cache, entry.spec.name)
    files = entry.spec.recipe.files if isinstance(entry.spec.recipe, FilesRecipe) else ()
    if not trust_first or all(file.sha256 or file.path in locked for file in files):
        return locked
    _, taken = locate_files(entry.spec, data_roots(), cache, trust_first=True)
    return taken


def prepare(
    names: Sequence[str],
    catalog: Catalog,
    plugins: Plugins,
    *,
    trust_first: bool = False,
    budget: str = "paper",
    options: Sequence[str] = (),
) -> Iterator[tuple[str, dict[str, Path]]]:
    """Fetch and verify the files of data sets, and make what takes long to make; nothing else.

    Gives name and files of each when it is done. Raises DataError; UsageError for options that a data set does not have.

    :param budget: whose size of a data set that is made is wanted.
    :param options: its option values, "data.KEY=VALUE".
    """
    entries = [catalog.dataset(name) for name in names]
    chosen = [data_options(entry.spec, budget, options) for entry in entries]
    for entry, values in zip(entries, chosen, strict=True):
        if missing := catalog.missing_requirements(entry):
            raise UnfitError(f"The data set {entry.name} needs packages that are not installed: {', '.join(missing)}.")
        if not trust_first:
            check_pins(entry.spec, read_lock(cache_folder(), entry.spec.name), trust_first=False)
        told = now_and_then(partial(plugins.preparation_advanced, entry.name))
        files, _ = locate_files(entry.spec, data_roots(), cache_folder(), trust_first=trust_first, progress=told)
        if entry.spec.prepare is not None:
            from harness.line.building import prepare_dataset
            from harness.line.loading import data_context

            prepare_dataset(entry, values, data_context(entry.spec, files, cache_folder(), progress=told))
        yield entry.name, files

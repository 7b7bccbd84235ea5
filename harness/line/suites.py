"""Suites: TOML files that declare runs, evaluators and seeds.

summary = "DGI on the Planetoid graphs"
seeds = 10
data = ["cora", "citeseer"]

[[runs]]
method = "dgi"  # or a list
evaluators = ["logistic"]
options = ["train.patience=20"]

Runs are computed data set after data set, whatever the order in the file.
"""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from harness.catalog.catalog import Catalog
from harness.contracts.specs import BudgetName
from harness.errors import UsageError
from harness.line.planning import Precision, Request

Names = Annotated[tuple[str, ...], Meta(min_length=1)]
Seeds = Annotated[int, Meta(ge=1)] | Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(min_length=1)]


class SuiteRun(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Runs of one or more methods on one or more data sets; what is left out is the suite's own value."""

    method: str | Names
    data: str | Names | None = None
    seeds: Seeds | None = None
    protocol: str | None = None
    encoder: str | None = None
    features: Names | None = None
    evaluators: Names | None = None
    options: tuple[str, ...] = ()
    budget: BudgetName | None = None
    budgets: Annotated[tuple[BudgetName, ...], Meta(min_length=1)] | None = None
    """The budgets in which the suite has these runs; in every one by default."""
    precision: Precision = "32"
    references: bool | None = None


class Suite(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A suite's file."""

    summary: str
    runs: Annotated[tuple[SuiteRun, ...], Meta(min_length=1)]
    data: str | Names | None = None
    seeds: Seeds = 1
    evaluators: Names | None = None
    budget: BudgetName = "paper"
    references: bool = True
    free_data: bool = False
    """Whether what the suite makes in the cache for a data set is deleted once its last run is done."""


def read_suite(name: str, catalog: Catalog) -> Suite:
    """A suite by its file's path or its name. Raises UsageError when it is neither, or ill-formed."""
    path = Path(name)
    if not (path.suffix == ".toml" or path.is_file()):
        path = _shipped(catalog.suite(name).spec.path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The suite {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"The suite {path} is not text in UTF-8.") from None
    try:
        suite = msgspec.convert(tomllib.loads(text), Suite)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"The suite {path} is not well-formed: {error}.") from None
    for number, run in enumerate(suite.runs, 1):
        if run.data is None and suite.data is None:
            raise UsageError(f"The suite {path} is not well-formed: neither it nor its run {number} names `data`.")
    return suite


def plan_suite(
    suite: Suite,
    *,
    seed: int | None = None,
    seeds: int | None = None,
    budget: str | None = None,
    evaluators: Sequence[str] | None = None,
    references: bool = True,
) -> list[Request]:
    """The requests of a suite, data set after data set; what is given stands over what the suite says.

    Raises UsageError where it has none in the budget that is asked for.
    """
    requests = []
    for run in suite.runs:
        chosen_budget = budget or run.budget or suite.budget
        if run.budgets is not None and chosen_budget not in run.budgets:
            continue
        for method, data in product(_each(run.method), _each(run.data or suite.data or ())):
            declared = suite.seeds if run.seeds is None else run.seeds
            chosen = seeds if seeds is not None else (seed,) if seed is not None else declared
            own = suite.references if run.references is None else run.references
            requests.append(
                Request(
                    method=method,
                    data=data,
                    seeds=tuple(range(chosen)) if isinstance(chosen, int) else chosen,
                    protocol=run.protocol,
                    encoder=run.encoder,
                    features=run.features,
                    evaluators=tuple(evaluators) if evaluators else run.evaluators or suite.evaluators,
                    options=run.options,
                    budget=chosen_budget,
                    precision=run.precision,
                    references=references and own,
                )
            )
    if not requests:
        raise UsageError(f"The suite has no run in budget {budget or suite.budget}.")
    names = list(dict.fromkeys(request.data for request in requests))
    return sorted(requests, key=lambda request: names.index(request.data))


def _each(names: str | Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _shipped(path: str) -> Path:
    """A file inside an installed package, "package:relative/file.toml", found without importing the package."""
    package, _, inside = path.partition(":")
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise UsageError(f"The suite's package {package} is not installed.")
    return Path(next(iter(found.submodule_search_locations))) / inside

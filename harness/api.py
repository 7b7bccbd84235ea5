"""The Python face: the verbs of the command line as functions."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from harness.catalog.catalog import Catalog
from harness.catalog.discovery import Plugins, load_plugins
from harness.contracts.specs import BudgetName
from harness.errors import HarnessError, UsageError
from harness.execution import Outcome, Settings, execute, hashes_for
from harness.ledger.frames import Records
from harness.line.planning import Plan, Precision, Request, plan, plan_evaluation, read_run

if TYPE_CHECKING:
    from harness.trained import TrainedRun
    from harness.userdata import UserData


@functools.cache
def installed() -> tuple[Plugins, Catalog]:
    """The plugins of this environment and their catalog, loaded once per process."""
    plugins = load_plugins()
    return plugins, Catalog.of(plugins)


def run(
    method: str,
    data: str | UserData,
    *,
    seed: int | None = None,
    seeds: int | Sequence[int] | None = None,
    protocol: str | None = None,
    encoder: str | None = None,
    features: Sequence[str] | None = None,
    evaluators: Sequence[str] | None = None,
    options: Mapping[str, Any] | Sequence[str] = (),
    budget: BudgetName = "paper",
    device: str = "auto",
    precision: Precision = "32",
    threads: int | None = None,
    out: str | Path = "runs",
    store: str | Path | None = None,
    references: bool = True,
    rerun: bool = False,
    trust_first: bool = False,
) -> Records:
    """Train, judge and record; what is recorded already is not computed again.

        records = harness.run(method="dgi", data="cora", seeds=5, options={"objective.lr": 1e-3})
        records.to_frame()

    :param method: name of a method.
    :param data: name of a data set, or data of your own from `harness.from_arrays` or `harness.from_graph`.
    :param seed: one seed; `seeds` is a number of seeds counted from 0, or the seeds themselves. Default: seed 0.
    :param options: {"PART.KEY": value} or ["PART.KEY=VALUE"], as `-o` of the command line.
    :param references: whether the reference rows (random, raw, majority) are computed beside it.

    Returns the records of every cell, reference rows flagged. A failed cell is a record too (`records.failed`).
    Raises UsageError for a request that makes no sense, DataError for data that cannot be had.
    """
    plugins, catalog = installed()
    name = data
    if not isinstance(data, str):
        catalog = catalog.with_dataset(data.spec, data.build, protocols=[data.protocol])
        name = data.spec.name
    assert isinstance(name, str)
    request = Request(
        method=method,
        data=name,
        seeds=_seeds(seed, seeds),
        protocol=protocol,
        encoder=encoder,
        features=None if features is None else tuple(features),
        evaluators=None if evaluators is None else tuple(evaluators),
        options=_assignments(options),
        budget=budget,
        precision=precision,
        references=references,
    )
    planned = plan_request(request, catalog, trust_first=trust_first)
    settings = Settings(
        out=Path(out),
        store=None if store is None else Path(store),
        device=device,
        threads=threads,
        rerun=rerun,
        trust_first=trust_first,
        command="harness.run(...)",
    )
    return _records(execute(planned, catalog, plugins, settings))


def evaluate(
    folder: str | Path,
    evaluators: Sequence[str],
    *,
    features: Sequence[str] | None = None,
    options: Mapping[str, Any] | Sequence[str] = (),
    data: UserData | None = None,
    device: str = "auto",
    store: str | Path | None = None,
    rerun: bool = False,
) -> Records:
    """Score an old run with more evaluators; nothing is trained.

    :param folder: the run's folder, e.g. "runs/cora/dgi-s0-1f0c2d3e".
    :param features: features to judge; default: those the run was planned with.
    :param data: the run's own data again, where it was trained on data passed in from Python.
    """
    plugins, catalog = installed()
    if data is not None:
        catalog = catalog.with_dataset(data.spec, data.build, protocols=[data.protocol])
    folder = Path(folder)
    planned = plan_evaluation(read_run(folder), evaluators, features, _assignments(options), catalog)
    out = folder.resolve().parent.parent
    settings = Settings(
        out=out, store=None if store is None else Path(store), device=device, rerun=False, command="harness.evaluate(...)"
    )
    return _records(execute(Plan(runs=(planned,)), catalog, plugins, settings, judge_again=rerun))


def load(folder: str | Path, *, device: str = "cpu") -> TrainedRun:
    """The trained encoder of a run, ready for new data: `harness.load(folder).encode(images)`.

    Raises UsageError when the folder holds no finished training.
    """
    from harness.trained import load_run

    return load_run(Path(folder), installed()[1], device=device)


def prepare(*names: str, trust_first: bool = False) -> dict[str, dict[str, Path]]:
    """Fetch and verify the files of data sets, nothing else. Returns the places of the files. Raises DataError."""
    from harness.execution import prepare as prepare_files

    return dict(prepare_files(names, installed()[1], trust_first=trust_first))


def from_arrays(
    values: Any,
    labels: Any = None,
    *,
    train: Any = None,
    test: Any = None,
    validation: Any = None,
    name: str | None = None,
    value_range: tuple[float, float] | None = None,
) -> UserData:
    """Data of your own from arrays, for `harness.run(data=...)`.

    :param values: [N, C, H, W] images (uint8 or float) or [N, D] vectors, NumPy or torch.
    :param labels: [N] class numbers or [N, K] 0/1; without them only evaluators that need none can judge.
    :param train, test, validation: sample numbers of each part; without them a stratified fifth, drawn from the
        content, is the test part.
    :param name: name in records; default "user-" and the first letters of the content's digest.
    """
    from harness.userdata import arrays

    return arrays(values, labels, train=train, test=test, validation=validation, name=name, value_range=value_range)


def from_graph(
    graph: Any = None,
    *,
    x: Any = None,
    edge_index: Any = None,
    labels: Any = None,
    train: Any = None,
    test: Any = None,
    validation: Any = None,
    name: str | None = None,
) -> UserData:
    """Data of your own from a graph, for `harness.run(data=...)`.

    :param graph: a torch-geometric `Data` object (`x`, `edge_index`, `y`, `train_mask`, ...); or give the pieces:
    :param x: [N, F] node features; `edge_index`: [2, E] node pairs (each undirected edge once or twice); `labels`: [N] or [N, K].
    :param train, test, validation: node numbers or boolean masks.
    """
    from harness.userdata import graphs

    return graphs(graph, x=x, edge_index=edge_index, labels=labels, train=train, test=test, validation=validation, name=name)


# ----------------------------------------------------------------------------------- shared with the command line


def plan_request(request: Request, catalog: Catalog, *, trust_first: bool = False) -> Plan:
    """Plan with the hashes that this user has trusted before (or, with `trust_first`, trusts now)."""
    locked = hashes_for(request.data, catalog, trust_first=trust_first)
    return plan(request, catalog, locked_hashes=locked, trust_first=trust_first)


def _records(outcome: Outcome) -> Records:
    if outcome.problems and not outcome.records:
        raise HarnessError(outcome.problems[0])
    return Records(outcome.records)


def _seeds(seed: int | None, seeds: int | Sequence[int] | None) -> tuple[int, ...]:
    if seed is not None and seeds is not None:
        raise UsageError("Give either `seed` (that one) or `seeds` (how many, or which), not both.")
    if seed is not None:
        return (seed,)
    if seeds is None:
        return (0,)
    if isinstance(seeds, int):
        if seeds < 1:
            raise UsageError(f"`seeds` is {seeds}; at least one seed is needed.")
        return tuple(range(seeds))
    return tuple(seeds)


def _assignments(options: Mapping[str, Any] | Sequence[str]) -> tuple[str, ...]:
    if not isinstance(options, Mapping):
        return tuple(options)
    return tuple(f"{key}={_text(value)}" for key, value in options.items())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

"""The Python face: the verbs of the command line as functions."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from harness.catalog.catalog import Catalog
from harness.catalog.discovery import Plugins, load_plugins
from harness.catalog.kinds import USER
from harness.contracts.specs import BudgetName
from harness.errors import UsageError
from harness.execution import Outcome, Settings, execute, hashes_for, pending
from harness.ledger.frames import Records
from harness.ledger.runs import Plan, PlannedRun, read_run
from harness.line.planning import Precision, Request, plan, plan_evaluation, recipe_sha256

if TYPE_CHECKING:
    from harness.contracts.dataset import UserData
    from harness.trained import TrainedRun


DEVICES = ("auto", "cpu", "cuda")


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
    if not isinstance(data, str):
        catalog = _with_user_data(catalog, data)
        data = data.spec.name
    request = Request(
        method=method,
        data=data,
        seeds=_seeds(seed, seeds),
        protocol=protocol,
        encoder=encoder,
        features=_names("features", features),
        evaluators=_names("evaluators", evaluators),
        options=_assignments(options),
        budget=budget,
        precision=_one_of("precision", precision, get_args(Precision)),  # type: ignore[arg-type]
        references=references,
    )
    settings = Settings(
        out=Path(out),
        store=None if store is None else Path(store),
        device=_one_of("device", device, DEVICES),
        threads=_threads(threads),
        rerun=rerun,
        trust_first=trust_first,
        command="harness.run(...)",
    )
    planned = plan_requests([request], catalog, trust_first=trust_first)
    return _records(execute(pending(planned, settings, again=rerun), catalog, plugins, settings))


def evaluate(
    folder: str | Path,
    evaluators: Sequence[str],
    *,
    features: Sequence[str] | None = None,
    options: Mapping[str, Any] | Sequence[str] = (),
    data: UserData | None = None,
    device: str = "auto",
    threads: int | None = None,
    store: str | Path | None = None,
    rerun: bool = False,
) -> Records:
    """Score an old run with more evaluators; nothing is trained.

    :param folder: the run's folder, e.g. "runs/cora/dgi-s0-1f0c2d3e".
    :param features: features to judge; default: those the run was planned with.
    :param data: the run's own data again, where it was trained on data passed in from Python.

    Raises UsageError when the folder holds no finished training.
    """
    plugins, catalog = installed()
    if data is not None:
        catalog = _with_user_data(catalog, data)
    folder = Path(folder)
    chosen = _names("evaluators", evaluators) or ()
    planned = plan_old_run(folder, chosen, _names("features", features), _assignments(options), catalog)
    settings = Settings(
        out=folder.resolve().parent.parent,
        store=None if store is None else Path(store),
        device=_one_of("device", device, DEVICES),
        threads=_threads(threads),
        command="harness.evaluate(...)",
    )
    return _records(execute(pending(Plan(runs=(planned,)), settings, again=rerun), catalog, plugins, settings))


def load(folder: str | Path, *, device: str = "cpu") -> TrainedRun:
    """The trained encoder of a run, ready for new data: `harness.load(folder).encode(images)`.

    Raises UsageError when the folder holds no finished training.
    """
    from harness.trained import load_run

    return load_run(Path(folder), installed()[1], device=device)


def report(folder: str | Path, *, data: UserData | None = None, device: str = "auto", store: str | Path | None = None) -> Path:
    """Make a page of plots in a finished run's folder, and return its path.

    It shows the recorded scores, loss and bound curves, a projection of the representation, and what plugins draw of such runs;
    where one could not draw, the page says why.

    :param folder: the run's folder, e.g. "runs/cora/dgi-s0-1f0c2d3e".
    :param data: the run's own data again, where it was trained on data passed in from Python.
    :param store: folder of the records; default: `records` beside the run's data set.

    Raises UsageError when the folder holds no finished training or a library that draws is missing, DataError when the data
    cannot be had.
    """
    from harness.reporting.report import make_report

    plugins, catalog = installed()
    if data is not None:
        catalog = _with_user_data(catalog, data)
    folder = Path(folder)
    check_data(read_run(folder), folder, catalog, "harness.report(..., data=...)")
    device = _one_of("device", device, DEVICES)
    return make_report(folder, catalog, plugins, store=None if store is None else Path(store), device=device).page


def prepare(
    *names: str, budget: BudgetName = "paper", options: Mapping[str, Any] | Sequence[str] = (), trust_first: bool = False
) -> dict[str, dict[str, Path]]:
    """Fetch, verify or collect data sets, nothing else. Returns the places of files. Raises DataError and UsageError.

    :param budget: whose size of data that are made is wanted.
    :param options: {"data.KEY": value} or ["data.KEY=VALUE"], of all these data sets.
    """
    from harness.execution import prepare as prepare_data

    plugins, catalog = installed()
    prepared = prepare_data(names, catalog, plugins, trust_first=trust_first, budget=budget, options=_assignments(options))
    return dict(prepared)


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


def plan_requests(requests: Sequence[Request], catalog: Catalog, *, trust_first: bool = False, fetch: bool = True) -> Plan:
    """Plan with the hashes that this user has trusted before (or, with `trust_first`, trusts now).

    :param fetch: whether files may be fetched for their hashes; without it they are planned as not known yet.
    """
    plans = []
    for request in requests:
        locked = hashes_for(request.data, catalog, trust_first=trust_first and fetch)
        plans.append(plan(request, catalog, locked_hashes=locked, trust_first=trust_first))
    return Plan.of_all(plans)


def plan_old_run(
    folder: Path, evaluators: Sequence[str], features: Sequence[str] | None, options: Sequence[str], catalog: Catalog
) -> PlannedRun:
    """Plan the evaluation of a finished run. Raises UsageError when its folder holds none, or its data are not there."""
    run = read_run(folder)
    if not (folder / "training.json").is_file():
        raise UsageError(f"{folder} holds no finished training; run `harness run` again to finish it.")
    place = folder.resolve()
    if PurePosixPath(place.parent.name, place.name) != run.folder:
        raise UsageError(f"{folder} was moved or renamed: it is the run {run.folder}, and its folder must end so.")
    check_data(run, folder, catalog, "harness.evaluate(..., data=...)")
    return plan_evaluation(run, evaluators, features, options, catalog)


def check_data(run: PlannedRun, folder: Path, catalog: Catalog, call: str) -> None:
    """Raise UsageError unless the data of a run that was trained on a user's own are in the catalog; `call` passes them."""
    if not run.parts["data"].startswith(f"{USER}/"):
        return
    name = run.identity.data.name
    found = next((entry for entry in catalog.entries("dataset") if entry.distribution == USER), None)
    if found is None:
        raise UsageError(f"{folder} was trained on data passed in from Python; pass the same again: {call}.")
    if found.name != name or recipe_sha256(found.spec.recipe, {}) != run.identity.data.recipe_sha256:
        raise UsageError(f"`data` is not what {folder} was trained on ({name}); pass the same values, labels and parts.")


def _records(outcome: Outcome) -> Records:
    if outcome.problems:  # what could be computed is in the store
        raise outcome.problems[0]
    return Records(outcome.records)


def _with_user_data(catalog: Catalog, data: UserData) -> Catalog:
    if not hasattr(data, "protocol"):
        raise UsageError(f"`data` is a {type(data).__name__}; give a name, or wrap it with harness.from_arrays or from_graph.")
    return catalog.with_dataset(data.spec, data.build, protocols=[data.protocol] if data.protocol else [])


def _seeds(seed: int | None, seeds: int | Sequence[int] | None) -> tuple[int, ...]:
    if seed is not None and seeds is not None:
        raise UsageError("Give either `seed` (that one) or `seeds` (how many, or which), not both.")
    try:
        if seed is not None:
            chosen = [operator.index(seed)]
        elif seeds is None:
            chosen = [0]
        elif hasattr(seeds, "__iter__"):
            chosen = [operator.index(each) for each in seeds]
        else:
            chosen = list(range(operator.index(seeds)))
    except TypeError:
        raise UsageError("Seeds are whole numbers: `seed=3`, `seeds=5` or `seeds=[0, 1, 4]`.") from None
    if not chosen or min(chosen) < 0:
        raise UsageError(f"`seeds` is {seed if seeds is None else seeds}; give at least one seed, none of them below 0.")
    return tuple(dict.fromkeys(chosen))


def _names(argument: str, names: Sequence[str] | str | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    chosen = (names,) if isinstance(names, str) else tuple(names)
    if not chosen:
        raise UsageError(f"`{argument}` names nothing; leave it out for the default.")
    return chosen


def _one_of(argument: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise UsageError(f"`{argument}` is {value!r}; it is one of {', '.join(allowed)}.")
    return value


def _threads(threads: int | None) -> int | None:
    if threads is not None and threads < 1:
        raise UsageError(f"`threads` is {threads}; at least one thread is needed.")
    return threads


def _assignments(options: Mapping[str, Any] | Sequence[str] | str) -> tuple[str, ...]:
    if isinstance(options, str):
        return (options,)
    if not isinstance(options, Mapping):
        return tuple(options)
    return tuple(f"{key}={_text(value)}" for key, value in options.items())


def _text(value: Any) -> str:
    """A value as `-o` takes it; numbers and arrays of NumPy become plain ones."""
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=lambda array: array.tolist()).decode()

"""`harness run`, `harness evaluate` and `harness prepare`."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.printing import print_json
from harness.contracts.specs import BUDGETS
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.execution import Pending, Settings
    from harness.ledger.runs import Plan

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("32", "bf16")
_LEADING_FOLDERS = re.compile(r"(?<![^=:,])/(?!/)(?:[^/,]+/)*(?=[^/,])")
"""The folders of an absolute path that begins a word, or follows the = of an option, the : of a data set or a comma."""


def _names(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Names separated by commas."""
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names:
        raise click.BadParameter("it names nothing; leave it out for the default.", context, parameter)
    return names


_OUT = click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where run folders go.")
_STORE = click.option(
    "--store", type=click.Path(path_type=Path), default=None, help="Folder of the records.  [default: OUT/records]"
)
_DEVICE = click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Where to compute.")
_THREADS = click.option("--threads", type=click.IntRange(min=1), default=None, help="CPU threads.  [default: torch's own choice]")
_OPTION = click.option(
    "-o",
    "options",
    multiple=True,
    metavar="PART.KEY=VALUE",
    help="Set an option; parts: data, encoder, objective, train, evaluator.NAME.",
)
_EVALUATOR_OPTION = click.option(
    "-o", "options", multiple=True, metavar="evaluator.NAME.KEY=VALUE", help="Set an option of an evaluator."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout and nothing else there.")
_CHECKPOINTS = click.option(
    "--checkpoint-every",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to save.",
)


@click.command()
@click.option("--method", help="Method, e.g. dgi; see `harness list methods`.")
@click.option("--data", help="Data set, e.g. cora; see `harness list datasets`.")
@click.option("--suite", help="Instead of --method and --data: a suite's file or name.")
@click.option("--seed", type=click.IntRange(min=0), default=None, help="One seed.  [default: 0]")
@click.option("--seeds", type=click.IntRange(min=1), default=None, metavar="N", help="The seeds 0 to N-1.")
@click.option("--protocol", help="Protocol.  [default: the data set's first]")
@click.option("--encoder", help="Encoder.  [default: the method's]")
@click.option("--features", callback=_names, help="Features to judge, comma-separated.")
@click.option("--evaluators", callback=_names, help="Evaluators, comma-separated.  [default: the protocol's]")
@_OPTION
@click.option("--budget", type=click.Choice(BUDGETS), default=None, help="Preset of training and evaluators.  [default: paper]")
@_DEVICE
@click.option("--precision", type=click.Choice(PRECISIONS), default=None, help="Arithmetic of training.  [default: 32]")
@_THREADS
@_OUT
@_STORE
@click.option("--references/--no-references", default=True, show_default=True, help="Reference rows: random, raw, majority.")
@click.option("--dry-run", is_flag=True, help="Show what would be computed; compute nothing.")
@click.option("--rerun", is_flag=True, help="Compute anew what is recorded already; old records stay.")
@click.option("--trust-first", is_flag=True, help="Accept data whose hashes nobody has pinned; the rows are marked.")
@_CHECKPOINTS
@_JSON
def run(
    method: str | None,
    data: str | None,
    suite: str | None,
    seed: int | None,
    seeds: int | None,
    protocol: str | None,
    encoder: str | None,
    features: tuple[str, ...] | None,
    evaluators: tuple[str, ...] | None,
    options: tuple[str, ...],
    budget: str | None,
    device: str,
    precision: str | None,
    threads: int | None,
    out: Path,
    store: Path | None,
    references: bool,
    dry_run: bool,
    rerun: bool,
    trust_first: bool,
    checkpoint_every: float,
    as_json: bool,
) -> int:
    """Train, judge and record. What is recorded already is not computed again; an interrupted run continues."""
    from harness.api import installed, plan_requests
    from harness.cli.plans import announce, show_plan
    from harness.execution import Settings, pending
    from harness.line.planning import Request
    from harness.line.suites import plan_suite, read_suite

    if seed is not None and seeds is not None:
        raise click.UsageError("Give either --seed (that one) or --seeds (how many), not both.")
    _, catalog = installed()
    free_data = False
    if suite is not None:
        _refuse_with_suite(
            {
                "--method": method,
                "--data": data,
                "--protocol": protocol,
                "--encoder": encoder,
                "--features": features,
                "-o": options,
                "--precision": precision,
            }
        )
        declared = read_suite(suite, catalog)
        free_data = declared.free_data
        requests = plan_suite(declared, seed=seed, seeds=seeds, budget=budget, evaluators=evaluators, references=references)
    else:
        if method is None or data is None:
            missing = "--method" if method is None else "--data"
            raise click.UsageError(f"{missing} is missing; for example: harness run --method ae --data digits")
        requests = [
            Request(
                method=method,
                data=data,
                seeds=(seed or 0,) if seeds is None else tuple(range(seeds)),
                protocol=protocol,
                encoder=encoder,
                features=features,
                evaluators=evaluators,
                options=options,
                budget=budget or "paper",
                precision="bf16" if precision == "bf16" else "32",
                references=references,
            )
        ]
    planned = plan_requests(requests, catalog, trust_first=trust_first, fetch=not dry_run)
    for reason in planned.left_out:
        click.echo(f"Left out: {reason}", err=True)
    settings = Settings(
        out=out,
        store=store,
        device=device,
        threads=threads,
        rerun=rerun,
        trust_first=trust_first,
        free_data=free_data,
        checkpoint_every_s=checkpoint_every,
        command=command_line(),
    )
    work = pending(planned, settings, again=rerun)
    if dry_run:
        show_plan(work, as_json=as_json)
        return 0
    announce(work, settings)
    return _compute(planned, work, settings, as_json=as_json)


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--evaluators", callback=_names, required=True, help="Evaluators, comma-separated.")
@click.option("--features", callback=_names, help="Features, comma-separated.  [default: the run's]")
@_EVALUATOR_OPTION
@_DEVICE
@_THREADS
@_STORE
@click.option("--rerun", is_flag=True, help="Judge anew what is recorded already; old records stay.")
@_JSON
def evaluate(
    run_dir: Path,
    evaluators: tuple[str, ...],
    features: tuple[str, ...] | None,
    options: tuple[str, ...],
    device: str,
    threads: int | None,
    store: Path | None,
    rerun: bool,
    as_json: bool,
) -> int:
    """Score an old run again with more evaluators; nothing is trained."""
    from harness.api import installed, plan_old_run
    from harness.execution import Settings, pending
    from harness.ledger.runs import Plan

    _, catalog = installed()
    planned = Plan(runs=(plan_old_run(run_dir, evaluators, features, options, catalog),))
    settings = Settings(out=run_dir.resolve().parent.parent, store=store, device=device, threads=threads, command=command_line())
    return _compute(planned, pending(planned, settings, again=rerun), settings, as_json=as_json)


@click.command()
@click.argument("data", nargs=-1, required=True)
@click.option("-o", "options", multiple=True, metavar="data.KEY=VALUE", help="An option of the data sets; repeatable.")
@click.option("--budget", type=click.Choice(BUDGETS), default="paper", show_default=True, help="Whose size of made data is wanted.")
@click.option("--trust-first", is_flag=True, help="Accept data whose hashes nobody has pinned, and write them down.")
@_JSON
def prepare(data: tuple[str, ...], options: tuple[str, ...], budget: str, trust_first: bool, as_json: bool) -> int:
    """Fetch, verify or collect data sets; nothing else."""
    from harness.api import installed
    from harness.cli.progress import progress
    from harness.execution import prepare as prepare_data

    plugins, catalog = installed()
    with progress(plugins):
        prepared = list(prepare_data(data, catalog, plugins, trust_first=trust_first, budget=budget, options=options))
    if as_json:
        print_json({name: {path: str(place) for path, place in files.items()} for name, files in prepared})
        return 0
    for name, files in prepared:
        if not files:
            collected = catalog.dataset(name).spec.prepare is not None
            click.echo(f"{name}: collected." if collected else f"{name}: needs no files.")
        for path, place in files.items():
            click.echo(f"{name}: {path} verified at {place}")
    return 0


def _compute(planned: Plan, work: Sequence[Pending], settings: Settings, *, as_json: bool) -> int:
    """Compute what is missing, show what came out, and return the exit code."""
    from harness.api import installed
    from harness.cli import results
    from harness.cli.progress import progress
    from harness.execution import execute

    plugins, catalog = installed()
    with progress(plugins, work):
        outcome = execute(work, catalog, plugins, settings)
    for problem in outcome.problems:
        click.echo(f"Error: {problem}", err=True)
    if as_json:
        print_json(outcome.records)
    else:
        results.show_results(outcome, planned, catalog, settings)
    return 1 if outcome.problems or any(record.status != "ok" for record in outcome.records) else 0


def command_line() -> str:
    """The command as typed, and of absolute paths the last part alone: where things lie on this machine is nobody's business."""
    return shlex.join(["harness", *(_LEADING_FOLDERS.sub("", word) for word in sys.argv[1:])])


def _refuse_with_suite(given: dict[str, Any]) -> None:
    for flag, value in given.items():
        if value:
            raise UsageError(f"{flag} does not go with --suite: the suite's file says it.")

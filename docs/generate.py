"""Writes the parts of the manual that are taken from the code: `python docs/generate.py`, with `--check` to compare only.

A page holds such a part between `<!-- generated: NAME -->` and `<!-- end of NAME -->`.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click

from harness.catalog.discovery import OBSERVER_HOOKS, REGISTRATION_HOOKS
from harness.cli import harness
from harness.contracts.hookspecs import HookSpecs

DOCS = Path(__file__).parent
WIDTH = 100


def commands(command: click.Command = harness, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Every command of the command line with its own context, groups before what is in them."""
    name = "harness" if parent is None else command.name
    context = click.Context(command, parent, name, terminal_width=WIDTH, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for inner_name in command.list_commands(context):
            inner = command.get_command(context, inner_name)
            assert inner is not None
            yield from commands(inner, context)


def command_line() -> str:
    """The help of every command."""
    return "\n".join(f"### {context.command_path}\n\n```text\n{context.get_help()}\n```\n" for context in commands())


def hooks(names: Iterable[str]) -> str:
    """Signature and description of hooks, in the order they are declared."""
    return "\n".join(f"### {name}\n\n```python\n{_signature(name)}\n```\n\n{_description(name)}\n" for name in names)


def page(name: str) -> str:
    """A page of the manual as it should be."""
    text = (DOCS / name).read_text(encoding="utf-8")
    for part, content in PARTS[name].items():
        (place,) = re.finditer(rf"<!-- generated: {part} -->\n(.*?)<!-- end of {part} -->\n", text, re.DOTALL)
        text = text[: place.start(1)] + content + text[place.end(1) :]
    return text


def _signature(name: str) -> str:
    signature = inspect.signature(getattr(HookSpecs, name))
    arguments = [f"{each.name}: {each.annotation}" for each in signature.parameters.values() if each.name != "self"]
    return f"def {name}({', '.join(arguments)}) -> {signature.return_annotation}: ..."


def _description(name: str) -> str:
    """The docstring, its `:param x:` lines as a list."""
    return re.sub(r"^:param (\w+):", r"- `\1`:", inspect.getdoc(getattr(HookSpecs, name)) or "", flags=re.MULTILINE)


def results(data: str, judged: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """What the leaderboard says of a data set: a row for each method, under these evaluators and options of the data set."""
    lines = [
        "| judged by | method | test accuracy in %, mean ± sd over encoders | encoders | sd over probes | published |",
        "|--|--|--:|--:|--:|--:|",
    ]
    for evaluator, options in judged:
        for table, row in _measured_rows(data, evaluator):
            if table["data"]["options"] == options:
                lines.append(f"| `{evaluator}` {_result(row)} |")
    return "\n".join(lines) + "\n"


def side_by_side(data: str, columns: dict[str, tuple[str, str, str]]) -> str:
    """A row for each method and a column for each (evaluator, metric, feature), the number of encoders being that of the first.

    In brackets stands the published value of the same protocol, or the nearest.
    """
    cells: dict[str, dict[str, str]] = {}
    for heading, (evaluator, metric, feature) in columns.items():
        for table, row in _measured_rows(data, evaluator):
            if (table["metric"]["name"], table["feature"]) == (metric, feature):
                name = ", ".join([_method(row), *(f"{key}={value}" for key, value in row["variant"].items())])
                cells.setdefault(name, {"encoders": str(row["seeds"])})[heading] = _beside_published(row)
    headings = (*columns, "encoders")
    lines = [f"| method | {' | '.join(headings)} |", "|--|" + "--:|" * len(headings)]
    lines += [f"| {name} | {' | '.join(found.get(heading, '') for heading in headings)} |" for name, found in cells.items()]
    return "\n".join(lines) + "\n"


def by_data(data: Sequence[str], evaluator: str, metric: str, columns: dict[str, tuple[str, dict[str, Any]]]) -> str:
    """A row for each data set and a column for each method with options of the evaluator.

    A cell holds mean and deviation, in brackets the published value of the same protocol or the nearest, and how many encoders.
    """
    lines = [f"| data set | {' | '.join(columns)} |", "|--|" + "--:|" * len(columns)]
    for name in data:
        rows = [found for found in _measured_rows(name, evaluator) if found[0]["metric"]["name"] == metric]
        found = [
            [row for table, row in rows if row["method"] == method and options.items() <= table["evaluator"]["options"].items()]
            for method, options in columns.values()
        ]
        cells = [f"{_beside_published(these[-1])}, {these[-1]['seeds']}" if these else "" for these in found]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def estimates(data: Sequence[str], evaluator: str, metric: str, heading: str) -> str:
    """What estimators of mutual information give: a row for each training and reading, a column for each level of each data set."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    columns: list[str] = []
    for name in data:
        for table, row in _measured_rows(name, evaluator):
            of = table["metric"]["of"]
            if table["metric"]["name"] != metric or row["reference"] or table["data"]["options"].get("cubic"):
                continue
            column = f"{of['level']:g}" if "level" in of else name.partition(":")[2]
            columns += [column] if column not in columns else []
            cells.setdefault((row["method"], of["reading"]), {})[column] = f"{_spread(row, largest=1e3)} ({row['seeds']})"
    lines = [f"| {heading} | read by | {' | '.join(columns)} |", "|--|--|" + "--:|" * len(columns)]
    for (method, reading), found in sorted(cells.items()):
        lines.append(f"| `{method}` | `{reading}` | {' | '.join(found.get(column, '') for column in columns)} |")
    return "\n".join(lines) + "\n"


def _measured_rows(data: str, evaluator: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The leaderboard's rows with a value under an evaluator on a data set, each with its table."""
    for table in _board()["tables"]:
        if (table["data"]["name"], table["evaluator"]["name"]) == (data, evaluator):
            yield from ((table, row) for row in table["rows"] if row["mean"] is not None)


@cache
def _board() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS.parent / "leaderboard" / "board.json").read_bytes())
    return found


def _spread(row: dict[str, Any], largest: float = math.inf) -> str:
    """Mean and standard deviation over seeds; of a mean of at least `largest` only how large it is."""
    if abs(row["mean"]) >= largest:
        return f"{row['mean']:.0e}"
    return f"{row['mean']:.2f}" + ("" if row["sd"] is None else f" ± {row['sd']:.2f}")


def _beside_published(row: dict[str, Any]) -> str:
    published = f" ({row['published'][0]['value']:.2f})" if row["published"] else ""
    return f"{_spread(row)}{published}"


def _method(row: dict[str, Any]) -> str:
    return f"`{row['method']}`" + (" (labels)" if row["supervised"] else "")


def _result(row: dict[str, Any]) -> str:
    within = ", ".join(f"{spread['std']:.2f}" for spread in row["within"])
    published = ", ".join(
        f"{number['value']:.1f}" + (f" ± {number['std']:.1f}" if number["std"] else "") + _distance(number["distance"])
        for number in row["published"]
    )
    return f"| {_method(row)} | {_spread(row)} | {row['seeds']} | {within} | {published}"


def _distance(distance: str) -> str:
    return "" if distance == "same" else f" ({distance} protocol)"


def epochs() -> str:
    """Medians of an epoch beside the peer, from the committed measurements."""
    found = [_measured(f"dgi_cora_{name}.json") for name in ("1_thread", "2_threads")]
    lines = ["| an epoch, median | 1 thread | 2 threads |", "|--|--:|--:|"]
    for variant in found[0]["epoch_ms"]:
        cells = [_epoch(result["epoch_ms"][variant]) for result in found]
        lines.append(f"| {variant.replace('_', '-')} | {' | '.join(cells)} |")
    worst = max(result["largest_loss_difference_over_20_steps"] for result in found)
    return "\n".join(lines) + f"\n\nLosses agree to {worst:.0e} over 20 steps. {_machine(found[0])}.\n"


def _epoch(row: dict[str, Any]) -> str:
    return f"{row['median']:.1f} ms ({row['times_quicker_than_peer']:.1f} ×)"


def whole_job() -> str:
    """Seconds of the whole job beside the peer, from the committed measurement."""
    result = _measured("dgi_whole_job.json")
    lines = [
        f"| {result['encoders']} encoders with 50 probes each | seconds | of the peer's time | mean accuracy |",
        "|--|--:|--:|--:|",
    ]
    for name, job in result["jobs"].items():
        accuracy = sum(job["accuracy_percent"]) / len(job["accuracy_percent"])
        lines.append(f"| {name.replace('_', '-')} | {job['total_s']:.1f} | {job['share_of_peer']:.3f} | {accuracy:.2f} % |")
    return "\n".join(lines) + f"\n\n{result['threads']} threads. {_machine(result)}.\n"


def dim_step() -> str:
    """Images per second of a training step beside the peer, from the committed measurement."""
    result = _measured("dim_step_1_thread.json")
    variants = list(next(iter(result["losses"].values()))["images_per_s"])
    lines = [f"| images per second, median | {' | '.join(variants)} |", "|--|" + "--:|" * len(variants)]
    for loss, found in result["losses"].items():
        rows = (found["images_per_s"][variant] for variant in variants)
        cells = [f"{row['median']:.0f} ({row['times_quicker_than_peer']:.2f} ×)" for row in rows]
        lines.append(f"| {loss} | {' | '.join(cells)} |")
    worst = max(found["relative_loss_difference"]["largest of 5 steps"] for found in result["losses"].values())
    return "\n".join(lines) + f"\n\nLosses agree to {worst:.0e} over 5 steps. {result['threads']} thread. {_machine(result)}.\n"


def adversarial_step() -> str:
    """Milliseconds of a step beside its networks' passes, from the committed measurement."""
    result = _measured("adversarial_step.json")
    lines = ["| method | step, ms | sum of passes, ms | step over sum |", "|--|--:|--:|--:|"]
    for method, found in result["methods"].items():
        lines.append(f"| `{method}` | {found['step_ms']:.0f} | {found['sum_of_passes_ms']:.0f} | {found['step_over_sum']:.2f} |")
    return "\n".join(lines) + f"\n\n{result['rounds']} rounds, {result['threads']} thread. {_machine(result)}.\n"


def staircase() -> str:
    """Seconds of the staircase over all estimators beside an eager loop, from the committed measurement."""
    result = _measured("staircase.json")
    theirs, ours = ({name: f"{seconds:.1f}" for name, seconds in result[side].items()} for side in ("peer_s", "ours_s"))
    lines = [
        f"| {result['steps_a_level']:,} steps a level, seconds | {' | '.join(f'`{name}`' for name in theirs)} | all |",
        "|--|" + "--:|" * (len(theirs) + 1),
        f"| eager loop | {' | '.join(theirs.values())} | {sum(result['peer_s'].values()):.1f} |",
        f"| harness | {' | '.join(ours.get(f'mi-{name}', 'in `js`') for name in theirs)} | {sum(result['ours_s'].values()):.1f} |",
    ]
    low, high = result["range"]
    ratio = f"Ours over the peer's: {result['ours_over_peer']:.3f} ({low:.3f} to {high:.3f} over {result['rounds']} rounds)."
    return "\n".join(lines) + f"\n\n{ratio} {result['threads']} thread. {_machine(result)}.\n"


def linear_svm() -> str:
    """Seconds and value of one fit by every solver, from the committed measurement."""
    result = _measured("linear_svm.json")
    lines = ["| samples × features | C | solver | seconds | value |", "|--|--:|--|--:|--:|"]
    for fit in result["fits"]:
        seconds = f"given up after {fit['given_up_after']:.0f}" if fit["seconds"] is None else f"{fit['seconds']:.2f}"
        doubt = "" if fit["converged"] or fit["seconds"] is None else ", not converged"
        value = "" if fit["value"] is None else f"{fit['value']:.4f}"
        shape = f"{fit['samples']:,} × {fit['features']:,}, {fit['data']}"
        lines.append(f"| {shape} | {fit['C']:g} | {fit['solver']} | {seconds} | {value}{doubt} |")
    return "\n".join(lines) + f"\n\n{result['threads']} thread. scikit-learn {result['scikit-learn']}; {result['machine']}.\n"


def ram_probe() -> str:
    """How much quicker all probes of a game train together, from the committed measurement."""
    result = _measured("ram_probe.json")
    lines = ["| variables | classes in all | plain torch, seconds an epoch | harness | times quicker | with 256 classes each |"]
    lines.append("|--|--:|--:|--:|--:|--:|")
    for name, game in result["games"].items():
        plain, ours, whole = (game["an_epoch"][side] for side in ("plain torch", "ours", "ours, 256 classes"))
        quicker = f"{ours['times_quicker_than_peer']:.2f} | {whole['times_quicker_than_peer']:.2f}"
        lines.append(f"| {name} | {game['classes']:,} | {plain['seconds']:.2f} | {ours['seconds']:.2f} | {quicker} |")
    return "\n".join(lines) + f"\n\n{result['rounds']} rounds, {result['threads']} thread. {_machine(result)}.\n"


def atari_collection() -> str:
    """Microseconds of a step of the collection beside others', from the committed measurement."""
    result = _measured("atari_collection.json")
    lines = [
        "| game | bare emulator, µs a step | harness | gymnasium | rate of the bare emulator's | times quicker than gymnasium |"
    ]
    lines.append("|--|--:|--:|--:|--:|--:|")
    for loop in result["loops"]:
        steps = " | ".join(f"{loop['step_us'][side]:.0f}" for side in ("bare", "harness", "gymnasium"))
        rate, quicker = loop["of_bare_rate"]["harness"]["median"], loop["times_quicker_than"]["gymnasium"]["median"]
        lines.append(f"| {loop['game']} | {steps} | {rate:.2f} | {quicker:.2f} |")
    workers = result["workers"]
    two = (
        f"{workers['frames']:,} frames of {workers['game']} take one process {workers['seconds']['1']:.1f} s and two "
        f"{workers['seconds']['2']:.1f} s, {workers['two_over_one']:.2f} times the pace."
    )
    versions = f"ale-py {result['ale-py']}, gymnasium {result['gymnasium']}; {result['machine']}"
    return "\n".join(lines) + f"\n\n{two} {result['rounds']} rounds, processor time. {versions}.\n"


def start() -> str:
    """Medians of whole commands, from the committed measurement."""
    result = _measured("startup.json")
    lines = ["| command | median, seconds |", "|--|--:|"]
    lines += [f"| `{name}` | {row['median']:.3f} |" for name, row in result["seconds"].items()]
    return "\n".join(lines) + f"\n\n{result['rounds']} rounds; {result['machine']}.\n"


def _measured(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS.parent / "benchmarks" / "speed" / "results" / name).read_bytes())
    return found


def _machine(result: dict[str, Any]) -> str:
    return f"torch {result['torch']}; {result['machine']}"


# Feature scaling and probe belong together: each recipe under its own.
CORA: list[tuple[str, dict[str, Any]]] = [("logistic", {"row_normalise": True}), ("logistic-pyg", {"row_normalise": False})]

LAWS = [
    *(f"gaussians:mi={level}{map_}" for map_ in ("", ",cubic") for level in (2, 4, 6)),
    "gaussians:dense,rho=0.5,d=25",
    "gaussians:sparse,rho=0.8,d=5,normal-cdf",
    "gaussians:student,dof=2,d=3",
    "gaussians:uniform,noise=0.1",
]

EXTENDED = {
    **{f"svm {layer}": ("svm", "accuracy", layer) for layer in ("conv", "fc", "y")},
    "MS-SSIM": ("reconstruction", "ms_ssim", "y"),
    "`ssim_dim`": ("reconstruction", "ssim_dim", "y"),
    "MINE": ("mine", "information", "y"),
    "NDM": ("ndm", "dependence", "y"),
    "NDM, sigmoid": ("ndm", "dependence_sigmoid", "y"),
}

GAMES = [f"atari:{game}" for game in ("pong", "breakout", "freeway", "boxing", "ms_pacman")]
SEEN, ALL = {"classes": "seen"}, {"classes": "all"}
FIVE_GAMES = by_data(
    GAMES, "ram-probe", "f1", {f"`{method}`": (method, SEEN) for method in ("st-dim", "vae", "random", "majority")}
)
CLASSES = by_data(
    GAMES,
    "ram-probe",
    "f1",
    {
        f"`{method}`, {name}": (method, options)
        for method in ("st-dim", "random")
        for name, options in (("seen", SEEN), ("all", ALL))
    },
)

PARTS = {
    "../README.md": {
        "results on cora": results("cora", CORA),
        "results on cifar10": side_by_side("cifar10", {layer: ("mlp", "accuracy", layer) for layer in ("conv", "fc", "y")}),
        "results on Atari": FIVE_GAMES,
    },
    "../plugins/harness_atari/README.md": {"classes": CLASSES},
    "../plugins/harness_images/README.md": {"extended table": side_by_side("cifar10", EXTENDED)},
    "../plugins/harness_information/README.md": {
        "staircase": estimates(["staircase"], "staircase", "estimate", "median, nats"),
        "estimators": estimates(LAWS, "mi-value", "bias", "bias, nats"),
    },
    "speed.md": {
        "epochs": epochs(),
        "whole job": whole_job(),
        "Deep InfoMax step": dim_step(),
        "adversarial step": adversarial_step(),
        "staircase": staircase(),
        "linear SVM": linear_svm(),
        "RAM probes": ram_probe(),
        "collection": atari_collection(),
        "start": start(),
    },
    "cli.md": {"commands": command_line()},
    "hooks.md": {"registration hooks": hooks(REGISTRATION_HOOKS), "observer hooks": hooks(OBSERVER_HOOKS)},
}

if __name__ == "__main__":
    stale = [name for name in PARTS if page(name) != (DOCS / name).read_text(encoding="utf-8")]
    if "--check" in sys.argv[1:]:
        sys.exit(f"{', '.join(stale)}: run `python docs/generate.py`." if stale else 0)
    for name in stale:
        (DOCS / name).write_text(page(name), encoding="utf-8")

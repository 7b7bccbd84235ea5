"""Writes the parts of the manual that are taken from the code: `python docs/generate.py`, with `--check` to compare only.

A page holds such a part between `<!-- generated: NAME -->` and `<!-- end of NAME -->`.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator
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
    tables = json.loads((DOCS.parent / "leaderboard" / "board.json").read_bytes())["tables"]
    lines = [
        "| judged by | method | test accuracy in %, mean ± sd over encoders | encoders | sd over probes | published |",
        "|--|--|--:|--:|--:|--:|",
    ]
    for evaluator, options in judged:
        for table in tables:
            if (table["data"]["name"], table["evaluator"]["name"], table["data"]["options"]) == (data, evaluator, options):
                lines += [f"| `{evaluator}` {_result(row)} |" for row in table["rows"] if row["mean"] is not None]
    return "\n".join(lines) + "\n"


def _result(row: dict[str, Any]) -> str:
    name = f"`{row['method']}`" + (" (labels)" if row["supervised"] else "")
    within = ", ".join(f"{spread['std']:.2f}" for spread in row["within"])
    published = ", ".join(
        f"{number['value']:.1f}" + (f" ± {number['std']:.1f}" if number["std"] else "") + _distance(number["distance"])
        for number in row["published"]
    )
    value = f"{row['mean']:.2f} ± {row['sd']:.2f}"
    return f"| {name} | {value} | {row['seeds']} | {within} | {published}"


def _distance(distance: str) -> str:
    return "" if distance == "same" else f" ({distance} protocol)"


# Feature scaling and probe belong together: each recipe under its own.
CORA: list[tuple[str, dict[str, Any]]] = [("logistic", {"row_normalise": True}), ("logistic-pyg", {"row_normalise": False})]

PARTS = {
    "../README.md": {"results on cora": results("cora", CORA)},
    "cli.md": {"commands": command_line()},
    "hooks.md": {"registration hooks": hooks(REGISTRATION_HOOKS), "observer hooks": hooks(OBSERVER_HOOKS)},
}

if __name__ == "__main__":
    stale = [name for name in PARTS if page(name) != (DOCS / name).read_text(encoding="utf-8")]
    if "--check" in sys.argv[1:]:
        sys.exit(f"{', '.join(stale)}: run `python docs/generate.py`." if stale else 0)
    for name in stale:
        (DOCS / name).write_text(page(name), encoding="utf-8")

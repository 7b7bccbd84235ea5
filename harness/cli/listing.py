"""`harness list`, `harness show`, `harness plugins` and `harness runs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from harness.catalog.kinds import Kind
from harness.cli.printing import print_json
from harness.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from harness.catalog.catalog import Catalog, Entry

_SINGULAR: dict[str, Kind] = {
    "methods": "method",
    "datasets": "dataset",
    "encoders": "encoder",
    "objectives": "objective",
    "evaluators": "evaluator",
    "protocols": "protocol",
    "pictures": "picture",
    "suites": "suite",
}
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


@click.command("list")
@click.argument("kind", type=click.Choice(list(_SINGULAR)), required=False)
@_JSON
def list_parts(kind: str | None, as_json: bool) -> None:
    """List what is installed: methods, datasets, encoders, objectives, evaluators, protocols, pictures, suites."""
    from harness.api import installed

    catalog = installed()[1]
    chosen = list(_SINGULAR) if kind is None else [kind]
    found = {each: catalog.entries(_SINGULAR[each]) for each in chosen}
    families = catalog.entries("family") if "datasets" in chosen else []
    if as_json:
        document = {each: [_summary(entry) for entry in entries] for each, entries in found.items()}
        if families:
            document["datasets"] += [{**_summary(entry), "name": f"{entry.name}:ARG"} for entry in families]
        print_json(document)
        return
    names = [entry.name for entries in found.values() for entry in entries] + [f"{entry.name}:ARG" for entry in families]
    width = max(map(len, names), default=0) + 2
    for each, entries in found.items():
        if kind is None:
            click.secho(each, bold=True)
        for entry in entries:
            aliases = getattr(entry.spec, "aliases", ())
            also = f" (also {', '.join(aliases)})" if aliases else ""
            click.echo(f"  {entry.name:<{width}}{entry.spec.summary}{also}{_owner(entry)}")
        if each == "datasets":
            for entry in families:
                example = f"{entry.spec.summary.rstrip('.')}; for example {entry.spec.example}."
                click.echo(f"  {entry.name + ':ARG':<{width}}{example}{_owner(entry)}")


@click.command()
@click.argument("name")
@_JSON
def show(name: str, as_json: bool) -> None:
    """Show a part whole: its options with their defaults, features, metrics, budgets, published numbers."""
    from harness.api import installed

    catalog = installed()[1]
    try:
        entries = catalog.find(name)
    except UnknownNameError as error:
        if error.nearest or error.kind != "part":
            raise
        raise UsageError(f"There is no part named {name!r}; `harness list` shows what there is.") from None
    if as_json:
        print_json([_details(entry, catalog) for entry in entries])
        return
    for number, entry in enumerate(entries):
        if number:
            click.echo()
        _show(entry, catalog)


@click.command()
@_JSON
def plugins(as_json: bool) -> None:
    """Show which plugins are installed, their version, what they offer, and what is wrong with the others."""
    from harness.api import installed

    statuses = installed()[0].statuses
    if as_json:
        print_json(statuses)
        return
    if not statuses:
        click.echo("No plugin is installed.")
    width = max((len(status.name) for status in statuses), default=0) + 2
    for status in statuses:
        offered = ", ".join(f"{len(names)} {_counted(kind, len(names))}" for kind, names in status.parts.items() if names)
        colour = {"ok": "green", "failed": "red", "incompatible": "red", "blocked": "yellow"}[status.status]
        click.echo(f"{status.name:<{width}}{click.style(f'{status.status:<14}', fg=colour)}{status.distribution} {status.version}")
        click.echo(f"{'':<{width}}{status.reason or offered}")


@click.group()
def runs() -> None:
    """Look after the folders of runs."""


_OUT = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where run folders are."
)


@runs.command("list")
@_OUT
@_JSON
def list_runs(out: Path, as_json: bool) -> None:
    """List the runs under OUT: state, size and folder."""
    found = [_run_state(folder) for folder in _run_folders(out)]
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo(f"There is no run under {out}.")
    for state in found:
        click.echo(f"{state['state']:<12}{state['bytes'] / 1e6:>9.1f} MB  {state['folder']}")


@runs.command("clean")
@_OUT
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
@_JSON
def clean_runs(out: Path, dry_run: bool, as_json: bool) -> None:
    """Remove what can be made again: representations and left-over temporary files. Models and records stay."""
    import shutil

    from harness.ledger.whole_files import remove_stale

    removed: list[dict[str, Any]] = []
    for folder in _run_folders(out):
        features = folder / "features"
        if features.is_dir():
            removed.append({"path": str(features), "bytes": _size(features)})
            if not dry_run:
                shutil.rmtree(features, ignore_errors=True)
        if not dry_run:
            remove_stale(folder)
    if as_json:
        print_json(removed)
        return
    total = sum(each["bytes"] for each in removed)
    click.echo(f"{'Would free' if dry_run else 'Freed'} {total / 1e6:.1f} MB of representations in {len(removed)} runs.")


# ------------------------------------------------------------------------------------------------------ helpers


def _summary(entry: Entry[Any]) -> dict[str, Any]:
    return {
        "name": entry.name,
        "full_name": entry.full_name,
        "summary": entry.spec.summary,
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "version": entry.version,
    }


def _details(entry: Entry[Any], catalog: Catalog) -> dict[str, Any]:
    from harness.contracts.options import describe_options

    spec = entry.spec
    options = getattr(spec, "options", None)
    plain = {name: getattr(spec, name) for name in spec.__struct_fields__ if name != "options" or not isinstance(options, type)}
    document = {**_summary(entry), "kind": entry.kind, "spec": msgspec.to_builtins(plain)}
    if isinstance(options, type):
        document["options"] = msgspec.to_builtins(describe_options(options))
    published = [
        number
        for number in catalog.published()
        if (entry.kind, entry.name) in (("method", number.method), ("dataset", number.data))
    ]
    if published:
        document["published"] = msgspec.to_builtins(published)
    if entry.kind == "suite":
        try:
            document["runs"] = _suite_runs(entry.name, catalog)
        except UsageError as error:
            document["problem"] = str(error)
    return document


def _suite_runs(name: str, catalog: Catalog) -> list[dict[str, Any]]:
    """What a suite's file declares; what a run leaves out is the suite's own."""
    from harness.line.suites import read_suite

    own = msgspec.to_builtins(read_suite(name, catalog))
    runs, _ = own.pop("runs"), own.pop("summary")
    return [own | run for run in runs]


def _show(entry: Entry[Any], catalog: Catalog) -> None:
    details = _details(entry, catalog)
    click.secho(f"{entry.kind} {entry.full_name}", bold=True)
    click.echo(f"  {entry.spec.summary}")
    click.echo(f"  from plugin {entry.plugin} ({entry.distribution} {entry.version})")
    for key, value in details["spec"].items():
        if key in ("name", "summary", "build") or value in (None, (), [], {}, ""):
            continue
        label = key.replace("_", " ")
        if isinstance(value, dict):
            click.echo(f"  {label}")
            for name, part in value.items():
                if part is not None:
                    click.echo(f"    {name}: {_words(part)}")
        else:
            words = entry.spec.shapes_in_words if key == "shapes" else _words(value)
            click.echo(f"  {label}: {words}".replace("\n", "\n    "))
    if details.get("options"):
        click.secho("  options", bold=True)
        for option in details["options"]:
            click.echo(f"    {option['name']} = {_words(option['default'])}  ({option['type']}) {option['description']}")
    if details.get("runs"):
        click.secho("  runs", bold=True)
        for run in details["runs"]:
            said = [f"; {key.replace('_', ' ')} {_words(value)}" for key, value in run.items() if key not in ("method", "data")]
            click.echo(f"    {_words(run['method'])} on {_words(run['data'])}{''.join(said)}")
    if details.get("problem"):
        click.secho(f"  {details['problem']}", fg="red")
    if details.get("published"):
        click.secho("  published", bold=True)
        for line in _published(details["published"]):
            click.echo(f"    {line}")


def _published(numbers: list[dict[str, Any]]) -> Iterator[str]:
    """Published numbers in words, a line for those of one source that differ by feature, by thing measured, or else by data set."""
    told_apart = ("method", "evaluator", "metric", "distance", "source")
    lines: dict[tuple[str, ...], list[tuple[str, dict[str, Any]]]] = {}
    for number in numbers:
        data = number["data"] + (f" ({_words(number['data_options'])})" if number["data_options"] else "")
        own_line = data if number["feature"] or number["of"] else ""
        lines.setdefault((own_line, *(number[key] for key in told_apart)), []).append((data, number))
    for (_, method, evaluator, metric, distance, source), found in lines.items():
        several = len({data for data, _ in found}) > 1
        values = []
        for data, number in found:
            spread = "" if number["std"] is None else f" ± {number['std']}"
            of = "".join(f" of {thing}" for thing in number["of"].values())
            where = data if several else number["feature"]
            values.append(f"{number['value']}{spread}{of}{f' on {where}' if where else ''}")
        head = method if several else f"{method} on {found[0][0]}"
        yield f"{head}, {evaluator} {metric}: {', '.join(values)} ({distance} protocol; {source})"


def _counted(kind: str, number: int) -> str:
    if number == 1:
        return kind
    return "families" if kind == "family" else f"{kind}s"


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    if isinstance(value, list | tuple) and value and all(isinstance(item, dict) and "name" in item for item in value):
        return "; ".join(f"{item['name']} {item.get('description', '')}".strip() for item in value)
    if isinstance(value, list | tuple) and value and all(isinstance(item, dict) and "path" in item for item in value):
        return ", ".join(item["path"] for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={_words(part)}" for key, part in _leaves(value))
    return msgspec.json.encode(value).decode()


def _leaves(tree: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a dictionary of dictionaries under dotted keys: ("objective.lr", 0.001)."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield before + key, value


def _owner(entry: Entry[Any]) -> str:
    return "" if entry.distribution == "infomax-harness" else f"  [{entry.distribution} {entry.version}]"


def _run_folders(out: Path) -> list[Path]:
    return sorted(path.parent for path in out.glob("*/*/run.json"))


def _run_state(folder: Path) -> dict[str, Any]:
    from harness.ledger.runs import read_run

    if (folder / "training.json").exists():
        state = "trained"
    elif (folder / "training.safetensors").exists():
        state = "interrupted"
    else:
        state = "begun"
    try:
        run = read_run(folder)
    except UsageError:  # one damaged folder does not hide the others
        return {"folder": str(folder), "state": "unreadable", "name": None, "run": None, "bytes": _size(folder)}
    return {"folder": str(folder), "state": state, "name": run.name, "run": run.identity.sha256, "bytes": _size(folder)}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

"""The page: one file of HTML that needs no other, in the style of the leaderboard's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.leaderboard.pages import plain_text
from harness.ledger.records import Metric, Record
from harness.reporting.drawing import INKS, Drawn
from harness.reporting.gathering import Gathered


def render(gathered: Gathered, pictures: Iterable[Drawn], problems: Iterable[str]) -> bytes:
    """The page of a run."""
    page = {
        "title": gathered.run.name,
        "supervised": gathered.run.supervised,
        "facts": _facts(gathered),
        "options": _options(gathered),
        "scores": [_score(record, metric) for record in gathered.records for metric in record.metrics],
        "failures": [record for record in gathered.records if record.error],
        "pictures": [(picture, inline(picture.svg)) for picture in pictures],
        "problems": list(problems),
    }
    return _environment().get_template("report.html.jinja").render(page=page).encode()


def inline(svg: str) -> Markup:
    """An SVG file as a piece of a page: what only a file needs is left out, and the page's own colours are taken from its style
    sheet, which has others for dark screens.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # would hold for the whole page
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<g) id="[^"]*"', r"\1", svg)  # the same in every picture, and nothing refers to it
    for name, colour in INKS.items():
        svg = svg.replace(colour, f"var(--{name})")
    return Markup(svg)  # noqa: S704 (written by matplotlib, which escapes text)


def _facts(gathered: Gathered) -> list[tuple[str, str]]:
    run, trained = gathered.run, gathered.trained
    identity, selection = run.identity, trained.selection
    facts = [
        ("data", identity.data.name),
        ("protocol", f"{identity.protocol.id}/{identity.protocol.version}"),
        ("encoder", f"{identity.encoder.name}, {trained.parameters:,} parameters"),
        ("objective", identity.objective.name),
        ("budget", run.budget),
        ("seed", str(identity.seed)),
    ]
    if selection is not None:
        best = "" if selection.best_step is None else f", best at step {selection.best_step:,}"
        facts += [
            ("trained", f"{_count(selection.epochs, 'epoch')}, {_count(selection.steps, 'step')}{best}"),
            ("training time", f"{trained.seconds:,.0f} s"),
            ("precision", identity.training.precision),
        ]
    return [*facts, ("run", identity.sha256[:8])]


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _options(gathered: Gathered) -> list[tuple[str, str]]:
    identity = gathered.run.identity
    parts: dict[str, Mapping[str, Any]] = {
        "data": identity.data.options,
        "encoder": identity.encoder.options,
        "objective": identity.objective.options,
        "train": msgspec.to_builtins(identity.training) if gathered.run.trains else {},
    }
    return [(f"{part}.{key}", json.dumps(value)) for part, options in parts.items() for key, value in options.items()]


def _score(record: Record, metric: Metric) -> dict[str, Any]:
    return {
        "evaluator": record.identity.evaluator.name,
        "feature": record.identity.feature,
        "metric": metric.name + _of(metric.of),
        "value": _number(metric.value, metric.unit),
        "unit": "" if metric.unit == "1" else metric.unit,
        "spread": "" if metric.std is None else f"± {_number(metric.std, metric.unit)} over {metric.n} {metric.over or 'values'}",
        "split": metric.split,
        "primary": metric.primary,
    }


def _of(of: Mapping[str, Any]) -> str:
    return f" ({', '.join(f'{key}={value}' for key, value in of.items())})" if of else ""


def _number(value: float, unit: str) -> str:
    return f"{value:.2f}" if unit == "%" else f"{value:.4g}"


def _printed(value: Any) -> Any:
    return value if isinstance(value, Markup) else plain_text(value)


def _environment() -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader("harness.reporting"), PackageLoader("harness.leaderboard")]),
        autoescape=True,
        finalize=_printed,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

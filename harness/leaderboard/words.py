"""What tables and rows are called on the pages, and what is said of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.leaderboard.numbers import number_text
from harness.leaderboard.tables import Family, FamilyRow, Row, Table
from harness.ledger.records import Component
from harness.names import duration


def metric_title(table: Table | Family, *, whole: bool = False) -> str:
    """Such as "accuracy (%)" or "mutual information of variable=player_x, estimate (nats)".

    :param whole: leave out what the number is of.
    """
    metric = table.metric
    if metric is None:
        return "no number"
    words = metric.name + (f" of {pairs(metric.of)}" if metric.of and not whole else "")
    words += f", {metric.split} part" if metric.split != "test" else ""
    words += ", estimate" if _is_estimate(table) and metric.name != "estimate" else ""
    return words + (f" ({metric.unit})" if metric.unit != "1" else "")


def arrow(table: Table) -> str:
    """Which direction is better, as an arrow after a title; nothing where neither is."""
    return {True: " ↑", False: " ↓", None: ""}[table.metric.higher_is_better if table.metric else None]


def direction(table: Table) -> str:
    """Which direction is better, in words."""
    if table.metric is None:
        return ""
    return {True: "higher is better", False: "lower is better", None: "neither direction is better"}[table.metric.higher_is_better]


def facts_of(table: Table) -> tuple[tuple[str, str], ...]:
    """What a table was measured on and by, with all options: pairs of what it is and what it says."""
    data, evaluator = table.data, table.evaluator
    facts = [
        ("protocol", f"{table.protocol.id}/{table.protocol.version}"),
        ("data", f"revision {data.revision}, recipe {data.recipe_sha256[:12]}" + options_text(data.options)),
        ("evaluator", evaluator_text(evaluator)),
    ]
    if table.probe_data is not None:
        other = table.probe_data
        facts.insert(2, ("judged on", f"{other.name}, revision {other.revision}" + options_text(other.options)))
    return tuple(facts)


def evaluator_text(evaluator: Component) -> str:
    """Such as "svm 3 of infomax-harness; max_iter=100"."""
    return f"{evaluator.name} {evaluator.spec_version} of {evaluator.distribution}" + options_text(evaluator.options)


def options_text(options: Mapping[str, Any]) -> str:
    """Such as "; C=1.0, folds=5"."""
    return f"; {pairs(options)}" if options else ""


def pairs(values: Mapping[str, Any], most: int = 12) -> str:
    """Such as "C=1.0, folds=5", in the order of the alphabet."""
    shown = [f"{key}={_short(value)}" for key, value in sorted(values.items())]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def _short(value: Any, most: int = 60) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= most else text[: most - 1] + "…"


def value_text(value: Any) -> str:
    """One of the things that a metric is of, such as a level."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def remark_on(tables: Sequence[Table]) -> str:
    """Numbers in nats are estimates of an information quantity, and estimates have bounds."""
    estimates = [table for table in tables if _is_estimate(table)]
    if not estimates:
        return ""
    sizes = sorted({cell.samples for table in estimates for row in table.rows for cell in row.cells if cell.samples})
    here = f", here {number_text(math.log(sizes[-1]), 2)} nats (n = {sizes[-1]:,})" if sizes else ""
    return f"Values in nats are estimates: an InfoNCE or Donsker-Varadhan value from n samples cannot exceed about log n{here}."


def _is_estimate(table: Table | Family) -> bool:
    return table.metric is not None and table.metric.unit == "nats"


def training_time(row: Row) -> str:
    """How long an encoder trained; nothing where nothing was trained."""
    return duration(row.train_s) if row.train_s else ""


def seeds_text(row: Row) -> str:
    """Such as "5", or "3 of 5" where some have no value."""
    return str(row.seeds) if row.seeds == len(row.cells) else f"{row.seeds} of {len(row.cells)}"


def labels_of(rows: Iterable[Row | FamilyRow]) -> list[str]:
    """A name for each row, with as much beside the method's as is needed to tell them apart."""
    given = list(rows)
    methods = [row.method for row in given]
    labels = []
    for row in given:
        label = row.method
        if methods.count(row.method) > 1:
            more = [row.encoder, *([pairs(row.variant, most=4)] if row.variant else [])]
            label += f" ({', '.join(more)})"
        labels.append(label)
    return labels


def told_apart(tables: Sequence[Table | Family]) -> dict[str, str]:
    """By id: what tells those of the same evaluator, feature and metric apart, as " (row_normalise=true)", else nothing."""
    titles = {table.id: (table.evaluator.name, table.feature, metric_title(table)) for table in tables}
    settings = {table.id: _setting_values(table) for table in tables}
    words: dict[str, str] = {}
    for table, values in settings.items():
        alike = [settings[other] for other, title in titles.items() if title == titles[table]]
        differing = {key: value for key, value in values.items() if any(other.get(key) != value for other in alike)}
        words[table] = f" ({pairs(differing)})" if differing else ""
    return words


def _setting_values(table: Table | Family) -> dict[str, Any]:
    """What a setting is made of, by name."""
    values = {
        **table.evaluator.options,
        "protocol": f"{table.protocol.id}/{table.protocol.version}",
        "evaluator version": table.evaluator.spec_version,
    }
    if isinstance(table, Family):
        return {**table.options, **values}
    return {
        **table.data.options,
        **values,
        "revision": table.data.revision,
        "recipe": table.data.recipe_sha256[:12],
        "data version": table.data.spec_version,
        "judged on": None if table.probe_data is None else table.probe_data.name,
    }

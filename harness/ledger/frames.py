"""Records in memory: what `harness.run` returns, and the same as a data frame."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

from harness.errors import HarnessError
from harness.ledger.records import Metric, Record
from harness.names import after_number

if TYPE_CHECKING:
    import pandas

SHOWN = 20
"""Records that `repr` shows one by one."""

COLUMNS = (
    "method", "encoder", "data", "probe_data", "protocol", "seed", "evaluator", "feature",
    "metric", "value", "std", "over", "n", "unit", "higher_is_better", "primary", "split",
    "status", "reference", "supervised", "trusted_first", "budget", "epochs", "train_s", "error", "created",
    "attempt", "record_id", "run_id",
)  # fmt: skip
"""The columns every frame has, in this order; `of.<key>` columns follow where metrics are of several things."""


class Records(Sequence[Record]):
    """Records in the order in which their cells were planned."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records = tuple(records)

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> Records: ...

    def __getitem__(self, place: int | slice) -> Record | Records:
        return Records(self._records[place]) if isinstance(place, slice) else self._records[place]

    def __len__(self) -> int:
        return len(self._records)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Records) and self._records == other._records

    __hash__ = None  # type: ignore[assignment]  # records hold mappings

    @property
    def failed(self) -> Records:
        """Those whose status is not ok."""
        return Records(record for record in self if record.status != "ok")

    def to_frame(self) -> pandas.DataFrame:
        """A pandas data frame with one row per metric; a record without metrics has one row whose `value` is missing.

        Its columns are `COLUMNS` and one `of.<key>` for every key that says what a metric is of.
        Raises HarnessError without pandas.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise HarnessError("A data frame needs pandas; install it with `pip install 'infomax-harness[frame]'`.") from error
        rows = [_row(record, metric) for record in self for metric in record.metrics or (None,)]
        of = sorted({key for row in rows for key in row if key.startswith("of.")})
        return pandas.DataFrame(rows, columns=[*COLUMNS, *of])

    def __repr__(self) -> str:
        counts = Counter(record.status for record in self)
        lines = [
            f"{len(self)} record{'' if len(self) == 1 else 's'}"
            + "".join(f", {n} {status}" for status, n in sorted(counts.items()))
        ]
        lines += [_line(record) for record in self._records[:SHOWN]]
        if len(self) > SHOWN:
            lines.append(f"... and {len(self) - SHOWN} more")
        return "\n  ".join(lines)


def _row(record: Record, metric: Metric | None) -> dict[str, Any]:
    identity = record.identity
    row: dict[str, Any] = {
        "method": identity.method.name,
        "encoder": identity.encoder.name,
        "data": identity.data.name,
        "probe_data": (identity.probe_data or identity.data).name,
        "protocol": f"{identity.protocol.id}/{identity.protocol.version}",
        "seed": identity.seed,
        "evaluator": identity.evaluator.name,
        "feature": identity.feature,
        "status": record.status,
        "reference": record.reference,
        "supervised": record.supervised,
        "trusted_first": record.trusted_first,
        "budget": record.budget,
        "epochs": record.selection.epochs if record.selection else None,
        "train_s": record.time_s.train,
        "error": record.error.message if record.error else None,
        "created": record.created,
        "attempt": record.attempt,
        "record_id": record.id,
        "run_id": record.run,
    }
    if metric is not None:
        row |= {
            "metric": metric.name,
            "value": metric.value,
            "std": metric.std,
            "over": metric.over,
            "n": metric.n,
            "unit": metric.unit,
        }
        row |= {"higher_is_better": metric.higher_is_better, "primary": metric.primary, "split": metric.split}
        row |= {f"of.{key}": value for key, value in metric.of.items()}
    return row


def _line(record: Record) -> str:
    identity = record.identity
    cell = (
        f"{identity.method.name} on {identity.data.name}, seed {identity.seed}, {identity.evaluator.name} on {identity.feature}: "
    )
    if record.status != "ok":
        message = record.error.message if record.error else ""
        return cell + record.status + (f", {textwrap.shorten(message, 100, placeholder='...')}" if message else "")
    shown = record.primary or record.metrics[0]
    spread = "" if shown.std is None else f" ± {shown.std:.2g} over {shown.n} {shown.over or ''}".rstrip()
    return cell + f"{shown.name} {shown.value:.4g}{after_number(shown.unit)}{spread}"

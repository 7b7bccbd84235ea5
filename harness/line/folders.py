"""A run's folder: what lies in it, and how a trained encoder is written and found again.

run.json               the planned run (identity, options, cells)
training.safetensors   the checkpoint of a training in progress; gone when it is finished
model.safetensors      encoder and exported modules: the durable thing
training.json          how training ended, with the digest of model.safetensors; its presence means: trained
losses.jsonl           the loss curve, one row a line
features/              the representation, a cache
report.html, report/   the page of `harness report` and its pictures, which can be made again
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from torch import Tensor

from harness.contracts.encoder import Encoder
from harness.contracts.objective import Objective, TrainingResult
from harness.contracts.sources import Description
from harness.errors import StorageError, UsageError
from harness.ledger.identity import file_sha256, indented_json
from harness.ledger.records import RunIdentity, Selection
from harness.ledger.runs import PlannedRun, read_run
from harness.ledger.whole_files import remove_stale, write_whole
from harness.line import checkpoints


class Trained(Struct, frozen=True, kw_only=True):
    """How a training ended; the content of `training.json`."""

    run: str
    """The run's id."""
    selection: Selection | None
    seconds: float
    parameters: int
    checkpoint_sha256: str
    description: Description
    """What the encoder was built for, so that it can be built again without the data."""
    classes: int | tuple[int, ...] | None
    multilabel: bool
    threads: int
    content_sha256: str = ""
    """Digest of the data as they were read; empty in folders of before it was written down."""


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "training.safetensors"
        self.model = path / "model.safetensors"
        self.features = path / "features"
        self.lock = path / ".lock"

    def open(self, run: PlannedRun) -> None:
        """Make the folder and write down what is computed in it. Raises StorageError when it cannot be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The run folder {self.path} cannot be made: {error.strerror}; choose another with --out.") from None
        for folder in (self.path, self.features):  # what a killed process was writing
            remove_stale(folder)
        if self._planned() != run.identity:  # what it was planned with first stays: later cells are in the records
            write_whole(self.path / "run.json", indented_json(run))

    def _planned(self) -> RunIdentity | None:
        """The identity in `run.json`, or None."""
        try:
            return read_run(self.path).identity
        except UsageError:
            return None

    def trained(self, identity: RunIdentity) -> Trained | None:
        """How training ended, or None when it has not, or when the model is not the one that was written."""
        try:
            trained = msgspec.json.decode((self.path / "training.json").read_bytes(), type=Trained)
            if trained.run != identity.sha256 or file_sha256(self.model) != trained.checkpoint_sha256:
                return None
        except (OSError, msgspec.DecodeError):
            return None
        return trained

    def forget_training(self) -> None:
        """Remove what a training left, so that it starts anew."""
        for path in (self.path / "training.json", self.checkpoint, self.model):
            path.unlink(missing_ok=True)

    def finish(
        self,
        run: PlannedRun,
        encoder: Encoder,
        objective: Objective | None,
        result: TrainingResult | None,
        log: list[dict[str, float]],
        **facts: Any,
    ) -> Trained:
        """Write the model, the loss curve and, last, `training.json`."""
        tensors = checkpoints.prefixed("encoder", checkpoints.network_state(encoder))
        for name, module in (objective.exports() if objective else {}).items():
            tensors |= checkpoints.prefixed(f"export/{name}", checkpoints.network_state(module))
        sha256 = checkpoints.save_tensors(self.model, tensors, {"run": run.identity.sha256})
        rows = "".join(json.dumps(row) + "\n" for row in log)
        write_whole(self.path / "losses.jsonl", rows.encode())
        trained = Trained(
            run=run.identity.sha256,
            selection=_selection(result),
            parameters=sum(parameter.numel() for parameter in encoder.parameters()),
            checkpoint_sha256=sha256,
            **facts,
        )
        write_whole(self.path / "training.json", indented_json(trained))
        self.checkpoint.unlink(missing_ok=True)
        return trained

    def load(self, encoder: Encoder, exports: Mapping[str, Any] | None = None) -> None:
        """Put the model's weights into an encoder (and exported modules) of the same build."""
        tensors: dict[str, Tensor] = checkpoints.load_tensors(self.model)[0]
        checkpoints.restore_network(encoder, checkpoints.under("encoder", tensors))
        for name, module in (exports or {}).items():
            checkpoints.restore_network(module, checkpoints.under(f"export/{name}", tensors))


def _selection(result: TrainingResult | None) -> Selection | None:
    if result is None:
        return None
    return Selection(
        epochs=result.epochs,
        steps=result.steps,
        best_step=result.best_step,
        best_value=result.best_value,
        terms=result.last_terms,
    )

"""The straight line for one run: data -> train -> represent -> evaluate -> record, cell by cell.

`compute` is what an executor calls, here or in another process: a function of a planned run and a `Workplace`. Its only outputs are
files in the run's own folder and records in the store.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from filelock import FileLock, Timeout
from lightning_fabric import Fabric
from safetensors import SafetensorError
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from harness.contracts.encoder import Encoder
from harness.contracts.objective import Objective
from harness.contracts.training import TrainOptions
from harness.errors import (
    DivergedError,
    EvaluationError,
    HarnessError,
    PluginError,
    StorageError,
    UnknownNameError,
    UsageError,
)
from harness.ledger.records import (
    SCHEMA,
    Artifacts,
    Component,
    Failure,
    Metric,
    Record,
    Status,
    Times,
    Tuning,
)
from harness.ledger.runs import Cell, PlannedRun
from harness.line.building import build_encoder, build_evaluator, build_objective, check_shape, decoder_of
from harness.line.checkpoints import read_document
from harness.line.devices import make_fabric, resolve_device
from harness.line.environment import describe_environment, now, origins, peak_memory_bytes
from harness.line.evaluation import evaluate, make_task
from harness.line.folders import RunFolder, Trained
from harness.line.loading import LoadedData, Workplace, load_data
from harness.line.memory import keep_freed_memory
from harness.line.representation import Represented, represent
from harness.line.streams import LabelTable
from harness.line.training import Trainer

_LOG = logging.getLogger(__name__)
_TRACEBACK_LINES = 12


def compute(run: PlannedRun, cells: Sequence[Cell], workplace: Workplace) -> list[Record]:
    """Compute these cells of a run and return their records, each of which was stored the moment it existed.

    A training or evaluator that fails gives records that say so; what cannot be recorded is raised: DataError and, for samples of a
    shape that the encoder does not read, UnfitError before the run has begun, StorageError, KeyboardInterrupt (everything is
    resumable then).
    """
    keep_freed_memory()
    with _threads(workplace.threads):
        fabric = make_fabric(resolve_device(workplace.device), run.identity.training.precision)
        data = load_data(run, workplace)
        check_shape(run, workplace.catalog, data.dataset.pretrain.description)
        folder = RunFolder(workplace.out / run.folder)
        folder.open(run)
        with _locked(folder):
            workplace.plugins.run_started(run)
            return _Computation(run, cells, workplace, folder, fabric, data).records()


class _Computation:
    """One run being computed."""

    def __init__(
        self, run: PlannedRun, cells: Sequence[Cell], workplace: Workplace, folder: RunFolder, fabric: Fabric, data: LoadedData
    ) -> None:
        self.run, self.cells, self.workplace, self.folder, self.fabric, self.data = run, cells, workplace, folder, fabric, data
        self.trained: Trained | None = None
        self.represented: dict[str, Represented] = {}

    def records(self) -> list[Record]:
        try:
            encoder, objective = self._train()
        except StorageError:
            raise
        except Exception as error:
            return [self._record(cell, error=error) for cell in self.cells]
        return [self._judge(cell, encoder, objective) for cell in self.cells]

    # ------------------------------------------------------------------------------------------------ train

    def _train(self) -> tuple[Encoder, Objective | None]:
        """The trained encoder: found in the run's folder, or trained now (from its checkpoint where there is one)."""
        run, dataset = self.run, self.data.dataset
        if self.workplace.rerun:
            self.folder.forget_training()
        labels = LabelTable.of(dataset.annotations, self.data.splits.train) if run.supervised else None
        classes, multilabel = (labels.classes, labels.multilabel) if labels else (None, False)
        description = dataset.pretrain.description
        encoder = build_encoder(run, self.workplace.catalog, description)
        objective = build_objective(run, self.workplace.catalog, encoder, description, classes, multilabel) if run.trains else None
        self.trained = self.folder.trained(run.identity)
        if self.trained is not None:
            self.folder.load(encoder, objective.exports() if objective else None)
        else:
            self._match_threads()
            trainer = self._trainer(objective, labels) if objective else None
            result = trainer.run() if trainer else None
            self.trained = self.folder.finish(
                run,
                encoder,
                objective,
                result,
                trainer.log if trainer else [],
                seconds=trainer.seconds if trainer else 0.0,
                description=description,
                classes=classes,
                multilabel=multilabel,
                threads=torch.get_num_threads(),
                content_sha256=self.data.content_sha256,
            )
        self.fabric.to_device(encoder)
        if objective:
            self.fabric.to_device(objective)
        return encoder, objective

    def _match_threads(self) -> None:
        """Continue a checkpoint with the threads it was begun with: another number would end in other bits.

        Where the user asked for another number, or the checkpoint cannot be read, training begins anew. Raises UsageError when it
        was begun on another kind of device, whose random streams cannot be continued here.
        """
        if not self.folder.checkpoint.exists():
            return
        try:
            begun = read_document(self.folder.checkpoint)
            threads, device = int(begun["threads"]), str(begun["device"])
        except (OSError, ValueError, KeyError, SafetensorError):
            self._begin_anew("what was interrupted cannot be read")
            return
        if device != self.fabric.device.type:
            raise UsageError(
                f"This training was begun with --device {device}; continue it so, or delete {self.folder.checkpoint} to begin anew."
            )
        if self.workplace.threads is None:
            torch.set_num_threads(threads)
        elif threads != self.workplace.threads:
            self._begin_anew(f"what was interrupted had --threads {threads}")

    def _begin_anew(self, why: str) -> None:
        _LOG.warning("The training in %s begins anew: %s.", self.folder.path, why)
        self.folder.forget_training()

    def _trainer(self, objective: Objective, labels: LabelTable | None) -> Trainer:
        training, dataset = self.run.identity.training, self.data.dataset
        assert training.epochs is not None
        assert training.batch_size is not None
        return Trainer(
            objective,
            dataset.labelled if self.run.supervised and dataset.labelled is not None else dataset.pretrain,
            TrainOptions(
                epochs=training.epochs,
                batch_size=training.batch_size,
                patience=training.patience,
                restore_best=training.restore_best,
                compile=training.compile,
            ),
            seed=self.run.identity.seed,
            fabric=self.fabric,
            labels=labels,
            validation=None if self.run.supervised else dataset.validation,
            checkpoint=self.folder.checkpoint,
            checkpoint_every_s=self.workplace.checkpoint_every_s,
            progress=partial(self.workplace.plugins.step_finished, self.run),
        )

    # --------------------------------------------------------------------------------- represent and evaluate

    def _judge(self, cell: Cell, encoder: Encoder, objective: Objective | None) -> Record:
        """One cell: represent the feature (from the cache after the first time), evaluate, record."""
        dataset = self.data.dataset
        represented_at = time.perf_counter()
        try:
            feature = self._feature(cell.feature, encoder)
            evaluated_at = time.perf_counter()
            evaluator, spec = build_evaluator(cell, self.workplace.catalog)
            if "inputs" in spec.needs:
                self._check_inputs(spec.name)
            task = make_task(
                spec,
                cell.feature,
                feature.array,
                dataset.annotations,
                self.data.splits,
                protocol_id=f"{self.run.identity.protocol.id}/{self.run.identity.protocol.version}",
                seed=self.run.identity.seed,
                device=self.fabric.device,
                inputs=dataset.inputs,
                fresh_encoder=self._fresh_encoder,
                autocast=self.fabric.autocast,
                decoder=decoder_of(self.run, self.workplace.catalog, encoder, cell.feature),
                modules=objective.exports() if objective else {},
                progress=partial(self.workplace.plugins.evaluation_advanced, self.run, spec.name, cell.feature),
            )
            with threadpool_limits(self.workplace.threads):  # of NumPy's and SciPy's libraries too; None leaves them as they are
                metrics = evaluate(evaluator, spec, task)
        except StorageError:
            raise
        except Exception as error:
            return self._record(cell, error=error)
        done = time.perf_counter()
        return self._record(
            cell,
            metrics=metrics,
            represent_s=evaluated_at - represented_at,
            evaluate_s=done - evaluated_at,
            representation_sha256=feature.sha256,
        )

    def _check_inputs(self, evaluator: str) -> None:
        """Raise EvaluationError where the data are read into other arrays than when the encoder was trained."""
        assert self.trained is not None
        before, now = self.trained.content_sha256, self.data.content_sha256
        if before and before != now:
            raise EvaluationError(
                f"{evaluator} looks at the inputs, and data set {self.run.identity.data.name} is not read as it was when this run "
                f"was trained (digest {now[:12]}, then {before[:12]}); train it anew with --rerun."
            )

    def _feature(self, name: str, encoder: Encoder) -> Represented:
        """A feature, represented when it is first asked for: in one pass with the other features of the run's cells."""
        assert self.trained is not None
        inputs, folder, checkpoint = self.data.dataset.inputs, self.folder.features, self.trained.checkpoint_sha256
        if name not in self.represented:
            wanted = list(dict.fromkeys([name, *(cell.feature for cell in self.cells)]))
            try:
                found = represent(encoder, inputs, wanted, folder, checkpoint, self.fabric)
            except (EvaluationError, PluginError, UnknownNameError):  # perhaps of another feature, which must not fail this one
                found = represent(encoder, inputs, [name], folder, checkpoint, self.fabric)
            self.represented.update(found)
        return self.represented[name]

    def _fresh_encoder(self) -> Encoder:
        """A copy of the trained encoder that an evaluator may change."""
        encoder = build_encoder(self.run, self.workplace.catalog, self.data.dataset.pretrain.description)
        self.folder.load(encoder)
        return self.fabric.to_device(encoder)  # type: ignore[return-value]

    # ------------------------------------------------------------------------------------------------ record

    def _record(
        self,
        cell: Cell,
        *,
        metrics: tuple[Metric, ...] = (),
        error: Exception | None = None,
        represent_s: float = 0.0,
        evaluate_s: float = 0.0,
        representation_sha256: str | None = None,
    ) -> Record:
        """Build the record of one attempt, store it and tell the observers."""
        run, trained = self.run, self.trained
        identity = run.cell_identity(cell)
        status: Status = "ok" if error is None else "diverged" if isinstance(error, DivergedError) else "failed"
        parts: list[Component] = [run.identity.method, run.identity.encoder, run.identity.objective, cell.evaluator]
        record = Record(
            schema=SCHEMA,
            id=identity.sha256,
            run=run.identity.sha256,
            attempt=1,  # the store raises it past the attempts it holds
            status=status,
            created=now(),
            identity=identity,
            budget=run.budget,
            reference=run.reference,
            supervised=run.supervised,
            trusted_first=run.trusted_first,
            metrics=metrics,
            selection=trained.selection if trained else None,
            tuning=Tuning(source="given" if run.passed.get("options") else "paper" if run.budget == "paper" else "defaults"),
            time_s=Times(
                prepare=round(self.data.seconds, 4),
                train=round(trained.seconds if trained else 0.0, 4),
                represent=round(represent_s, 4),
                evaluate=round(evaluate_s, 4),
            ),
            peak_memory_bytes=peak_memory_bytes(self.fabric.device),
            content_sha256=self.data.content_sha256,
            n={name: len(index) for name, index in self.data.splits.parts().items()},
            environment=describe_environment(self.fabric.device),
            source=origins(["infomax-harness", *(part.distribution for part in parts), run.identity.data.distribution]),
            artifacts=Artifacts(
                checkpoint_sha256=trained.checkpoint_sha256 if trained else None,
                representation_sha256=representation_sha256,
                parameters=trained.parameters if trained else None,
            ),
            passed={**run.passed, "command": self.workplace.command},
            error=_failure(error) if error is not None else None,
        )
        stored = self.workplace.store.add(record)
        self.workplace.plugins.record_written(run, stored)
        return stored


# ------------------------------------------------------------------------------------------------------ the rest


def _failure(error: Exception) -> Failure:
    lines = traceback.format_exception(error)
    tail = "" if isinstance(error, HarnessError) else "".join(lines).splitlines()[-_TRACEBACK_LINES:]
    return Failure(
        type=type(error).__name__,
        message=_utf8(str(error) or type(error).__name__)[:2000],
        traceback=_utf8("\n".join(tail))[-8000:],
        step=error.step if isinstance(error, DivergedError) else None,
        terms={name: str(value) for name, value in error.terms.items()} if isinstance(error, DivergedError) else {},
    )


def _utf8(text: str) -> str:
    """The text without what UTF-8 cannot hold, such as undecodable bytes of a file name."""
    return text.encode("utf-8", "replace").decode()


@contextmanager
def _threads(threads: int | None) -> Any:
    """Compute with this many threads inside the block."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _locked(folder: RunFolder) -> Any:
    """Hold the run's folder against another process that computes the same run."""
    lock = FileLock(folder.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"Another process is computing in {folder.path}; wait for it or choose another --out.") from None
    except OSError as error:
        raise StorageError(f"{folder.lock} cannot be written: {error.strerror}.") from None
    try:
        yield
    finally:
        lock.release()

"""The one trainer: it steps an objective's phases, in order, for every method.

Reading guide: `Trainer.run` is the loop over epochs and batches; `_step` is one step over all phases; `_update` is one update of
one phase; the rest is the stop rule, and saving and restoring.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harness.contracts.batches import Batch
from harness.contracts.objective import Loss, Objective, Phase, Step, TrainingResult
from harness.contracts.sources import Source
from harness.contracts.training import TrainOptions
from harness.errors import DivergedError, PluginError, UnfitError
from harness.line import checkpoints
from harness.line.seeding import derive_seed, generator, isolated_randomness
from harness.line.stopping import StopRule
from harness.line.streams import BatchStream, LabelTable

TrainingProgress = Callable[[int, int | None, Mapping[str, float]], None]
"""Told (steps finished, steps at most, newest terms)."""

_SHOWN_EVERY_S = 0.1
_LOG_ROWS = 5000
"""The loss curve is thinned to about this many rows."""


@dataclass
class _Running:
    """A phase with what it needs to be stepped."""

    phase: Phase
    parameters: list[nn.Parameter]
    trainable: list[nn.Parameter]
    """Those that ask for gradients."""
    optimiser: Optimizer
    stepper: Any
    schedule: LRScheduler | None
    loss: Loss
    stream: BatchStream | None
    """Its own stream of fresh batches, or None."""


class Trainer:
    """Trains one objective on one source."""

    def __init__(
        self,
        objective: Objective,
        source: Source[Any],
        options: TrainOptions,
        *,
        seed: int,
        fabric: Fabric,
        labels: LabelTable | None = None,
        validation: Source[Any] | None = None,
        checkpoint: Path | None = None,
        checkpoint_every_s: float = 30.0,
        progress: TrainingProgress | None = None,
    ) -> None:
        self.objective, self.options, self.seed, self.fabric, self.labels = objective, options, seed, fabric, labels
        self.checkpoint, self.checkpoint_every_s, self.progress = checkpoint, checkpoint_every_s, progress
        self.network = fabric.setup_module(_LossRunner(objective))
        self.source = source.to(fabric.device)
        self.validation = None if validation is None else validation.to(fabric.device)
        self.stream = self._stream("order of batches")
        self.generator = generator(derive_seed(seed, "objective/steps"), fabric.device)
        self.running = [self._start(phase) for phase in self._phases()]
        self.watched_phase, self.watched_term = self._watched()
        self.stop = StopRule(options)
        self.step_index = 0
        self.seconds = 0.0
        self.log: list[dict[str, float]] = []
        self._epoch_sum: Tensor | float = 0.0
        self._epoch_values = 0
        self._terms: dict[str, Tensor] = {}
        """Terms of the current step."""
        self._newest: dict[str, Tensor | float] = {}
        """The last value of every term, also of phases that were not due since."""
        self._stopped = False
        self._share = self._sharing()

    # ------------------------------------------------------------------------------------------------ the loop

    def run(self) -> TrainingResult:
        """Train to the end, continuing from the checkpoint where there is one.

        Raises DivergedError when a loss is not finite, KeyboardInterrupt (after saving) when the user stopped it.
        """
        with isolated_randomness(derive_seed(self.seed, "training")):
            self._restore()
            started = last_saved = time.perf_counter()
            last_shown = -math.inf
            already = self.seconds
            self.objective.train()
            with _interruption() as interrupted:
                while not self._stopped and self.stream.epoch < self.options.epochs:
                    self._step()
                    now = time.perf_counter()
                    self.seconds = already + now - started
                    if now - last_shown >= _SHOWN_EVERY_S:
                        last_shown = now
                        self._show(self._total_steps())
                    # A training that has just stopped stands in the middle of a step; it is finished, not saved.
                    if not self._stopped and (interrupted() or now - last_saved >= self.checkpoint_every_s):
                        self._save()
                        last_saved = now
                    if interrupted():
                        raise KeyboardInterrupt
            self._check_finite()
            if self.stop.restore_best and self.stop.best:
                checkpoints.restore_network(self.objective, self.stop.best)
            self._show(self.step_index)
        return self._result()

    def _step(self) -> None:
        """One step: every phase that is due, then the objective's own update of untrained state."""
        self.stream.close_epoch()
        if self.stream.epoch >= self.options.epochs:
            return
        if self.stream.position == 0:
            self._epoch_sum, self._epoch_values = 0.0, 0
        step = self._step_on(self.stream.next(), self.generator)
        self._terms = {}
        due = [running for running in self.running if self.step_index % running.phase.every == 0]
        if any(running.stream is None for running in due):
            step = self._shared(step)
        for running in due:
            for repetition in range(running.phase.repeat):
                self._update(running, step, repetition)
                if self._stopped:
                    return
        with torch.no_grad():
            self.objective.after_step(step)
        self._record_step()
        self.step_index += 1
        if self.stream.left == 0:
            self._validate()
        self.stream.close_epoch()

    def _update(self, running: _Running, step: Step, repetition: int) -> None:
        """One update of one phase, in which only its own parameters get gradients."""
        if running.stream is not None:
            running.stream.close_epoch()
            step = self._shared(replace(step, batch=self._labelled(running.stream.next())))
        running.optimiser.zero_grad(set_to_none=True)
        terms = self.network(partial(running.loss, step))
        self._check_terms(running, terms)
        shown = {f"{running.phase.name}/{name}": value.detach() for name, value in terms.items()}
        self._terms.update(shown)
        self._newest.update(shown)
        self._check_finite(every_step=self.fabric.device.type == "cpu")
        if self.stop.active and self.validation is None and running is self.watched_phase and repetition == 0:
            self._epoch_sum = self._epoch_sum + terms[self.watched_term].detach().double()
            self._epoch_values += 1
            closing = self.stream.left < running.phase.every  # the phase is not due again in this epoch
            if closing and self.stop.observe(float(self._epoch_sum) / self._epoch_values, self.step_index, self.objective):
                self._stopped = True
                return
        # To a phase what its loss reads of other networks is constant: gradients are computed for its own parameters alone.
        self.fabric.backward(terms["loss"], inputs=running.trainable)
        running.stepper.step()
        if running.schedule is not None:
            running.schedule.step()

    def _validate(self) -> None:
        """At the end of an epoch: the stop rule takes in the watched term's mean over one epoch of the validation inputs.

        Their batches, and what the loss draws, come from streams of this epoch's own, so that nothing of training depends on it.
        """
        if self.validation is None or self.watched_phase is None or not self.stop.active:
            return
        seed = derive_seed(self.seed, f"validation/{self.stream.epoch}")
        batches = self.validation.epoch(self.objective.sampling, self.options.batch_size, generator(seed))
        draws = generator(seed, self.fabric.device)
        total, samples = torch.zeros((), dtype=torch.float64, device=self.fabric.device), 0
        self.objective.eval()
        with torch.no_grad(), isolated_randomness(seed):
            for position in range(len(batches)):
                batch = batches[position]
                step = self._shared(self._step_on(batch, draws))
                terms = self.network(partial(self.watched_phase.loss, step))
                total += terms[self.watched_term].double() * len(batch)
                samples += len(batch)
        self.objective.train()
        if samples == 0:
            raise UnfitError("The validation inputs give no batch, so there is nothing for the stop rule to watch.")
        value = float(total) / samples
        watched = {f"validation/{self.watched_phase.phase.name}/{self.watched_term}": value}
        self._newest.update(watched)
        self.log.append({"step": self.step_index, "epoch": self.stream.epoch, **watched})
        self._stopped = self.stop.observe(value, self.step_index, self.objective)

    def _step_on(self, batch: Any, draws: torch.Generator) -> Step:
        """What a loss may look at of a batch."""
        return Step(
            batch=self._labelled(batch),
            epoch=self.stream.epoch,
            index=self.step_index,
            generator=draws,
            gather=self._gather,
        )

    def _shared(self, step: Step) -> Step:
        """The step with what its phases share of this batch."""
        if self._share is None:
            return step
        with self.fabric.autocast():
            return replace(step, shared=self._share(step))

    # ---------------------------------------------------------------------------------------------- preparation

    def _stream(self, label: str) -> BatchStream:
        return BatchStream(self.source, self.objective.sampling, self.options.batch_size, derive_seed(self.seed, label))

    def _phases(self) -> list[Phase]:
        """The objective's phases. Raises PluginError when one cannot be stepped, or not told from another in a checkpoint."""
        phases = list(self.objective.phases())
        names = [phase.name for phase in phases]
        for phase in phases:
            if not phase.name or "/" in phase.name or names.count(phase.name) > 1:
                raise PluginError(
                    type(self.objective).__name__, f"phase name {phase.name!r} is empty, holds a slash or is there twice."
                )
            if phase.every < 1 or phase.repeat < 1:
                raise PluginError(type(self.objective).__name__, f"phase {phase.name!r}: `every` and `repeat` count from 1.")
        return phases

    def _start(self, phase: Phase) -> _Running:
        parameters = list(phase.parameters)
        optimiser = phase.optimiser(parameters)
        return _Running(
            phase=phase,
            parameters=parameters,
            trainable=[parameter for parameter in parameters if parameter.requires_grad],
            optimiser=optimiser,
            stepper=self.fabric.setup_optimizers(optimiser),
            schedule=phase.schedule(optimiser) if phase.schedule else None,
            loss=cast(Loss, torch.compile(phase.loss)) if self.options.compile else phase.loss,
            stream=self._stream(f"fresh batches of {phase.name}") if phase.fresh_batch else None,
        )

    def _sharing(self) -> Callable[[Step], Any] | None:
        """What computes what the phases of a step share; None for an objective whose phases share nothing."""
        if type(self.objective).shared is Objective.shared:
            return None
        return cast(Callable[[Step], Any], torch.compile(self.objective.shared)) if self.options.compile else self.objective.shared

    def _watched(self) -> tuple[_Running | None, str]:
        if not self.running:
            return None, ""
        if not self.objective.watch:
            return self.running[0], "loss"
        name, _, term = self.objective.watch.partition("/")
        for running in self.running:
            if running.phase.name == name:
                return running, term or "loss"
        raise PluginError(type(self.objective).__name__, f"it watches {self.objective.watch!r}, and has no phase named {name!r}.")

    def _labelled(self, batch: Any) -> Any:
        if not isinstance(batch, Batch):
            raise PluginError(type(self.source).__name__, f"it gave a {type(batch).__name__}, which is not a harness.Batch.")
        batch = batch.to(self.fabric.device)
        return batch if self.labels is None else self.labels.attach(batch)

    def _gather(self, tensor: Tensor) -> Tensor:
        if self.fabric.world_size == 1:
            return tensor
        gathered = cast(Tensor, self.fabric.all_gather(tensor, sync_grads=True))
        return gathered.flatten(0, 1)

    # ------------------------------------------------------------------------------------- terms and their record

    def _total_steps(self) -> int:
        return self.options.epochs * len(self.stream)

    def _check_terms(self, running: _Running, terms: Any) -> None:
        """Raise PluginError unless a phase's loss gave what the trainer needs."""
        who, phase = type(self.objective).__name__, running.phase.name
        if not isinstance(terms, Mapping) or "loss" not in terms:
            raise PluginError(who, f"phase {phase!r} returned no term named 'loss'.")
        for name, value in terms.items():
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise PluginError(who, f"term {name!r} of phase {phase!r} is not a tensor of one number.")
        if running is self.watched_phase and self.watched_term not in terms:
            raise PluginError(who, f"it watches {self.objective.watch!r}, and phase {phase!r} returned {', '.join(terms)}.")

    def _show(self, total: int) -> None:
        """Tell the caller how far training is. What is told has a random state of its own, so that it cannot move a number."""
        if self.progress:
            with isolated_randomness(0):
                self.progress(self.step_index, total, _plain(self._newest))

    def _record_step(self) -> None:
        every = max(1, self._total_steps() // _LOG_ROWS)
        if self.step_index % every == 0:
            self._check_finite()
            self.log.append({"step": self.step_index, "epoch": self.stream.epoch, **_plain(self._terms)})

    def _check_finite(self, every_step: bool = True) -> None:
        """Raise DivergedError unless every newest term is finite. On a GPU this waits for it, so only at logged steps."""
        if every_step and not all(math.isfinite(value) for value in _plain(self._terms).values()):
            raise DivergedError(self.step_index, _plain(self._terms))

    def _result(self) -> TrainingResult:
        followed = self.stop.active and self.stop.best_step >= 0
        return TrainingResult(
            epochs=self.stream.epoch,
            steps=self.step_index,
            best_step=self.stop.best_step if followed else None,
            best_value=self.stop.best_value if followed else None,
            last_terms=_plain(self._newest),
        )

    # -------------------------------------------------------------------------------------- saving and restoring

    def _streams(self) -> Iterator[tuple[str, BatchStream]]:
        yield "steps", self.stream
        for running in self.running:
            if running.stream is not None:
                yield f"phase/{running.phase.name}", running.stream

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        tensors = checkpoints.prefixed("network", checkpoints.network_state(self.objective))
        tensors |= checkpoints.prefixed("best", self.stop.best)
        tensors["random/generator"] = self.generator.get_state()
        tensors["random/torch"] = torch.random.get_rng_state()
        if self.fabric.device.type == "cuda":
            tensors["random/cuda"] = torch.cuda.get_rng_state(self.fabric.device)
        numpy_state: Any = np.random.get_state(legacy=False)
        tensors["random/numpy"] = torch.from_numpy(numpy_state["state"]["key"].astype(np.int64))
        tensors["epoch_sum"] = torch.as_tensor(self._epoch_sum, dtype=torch.float64)
        document: dict[str, Any] = {
            "step": self.step_index,
            "seconds": self.seconds,
            "epoch_values": self._epoch_values,
            "threads": torch.get_num_threads(),
            "device": self.fabric.device.type,
            "terms": _plain(self._newest),
            "stop": [None if math.isinf(self.stop.best_value) else self.stop.best_value, self.stop.best_step, self.stop.waited],
            "log": self.log,
            "numpy": [numpy_state["state"]["pos"], numpy_state["has_gauss"], numpy_state["gauss"]],
            "phases": {},
            "streams": {},
        }
        for running in self.running:
            state, document["phases"][running.phase.name] = checkpoints.optimiser_state(
                running.phase.name, running.optimiser, running.schedule
            )
            tensors |= state
        for name, stream in self._streams():
            tensors[f"random/stream/{name}"], document["streams"][name] = stream.state()
        checkpoints.save_tensors(self.checkpoint, tensors, document)

    def _restore(self) -> None:
        if self.checkpoint is None or not self.checkpoint.exists():
            return
        tensors, document = checkpoints.load_tensors(self.checkpoint)
        checkpoints.restore_network(self.objective, checkpoints.under("network", tensors))
        self.stop.best = {name: tensor.to(self.fabric.device) for name, tensor in checkpoints.under("best", tensors).items()}
        best_value, self.stop.best_step, self.stop.waited = document["stop"]
        self.stop.best_value = math.inf if best_value is None else best_value
        for running in self.running:
            name = running.phase.name
            checkpoints.restore_optimiser(name, running.optimiser, running.schedule, tensors, document["phases"][name])
        for name, stream in self._streams():
            stream.restore(tensors[f"random/stream/{name}"], document["streams"][name])
        self.generator.set_state(tensors["random/generator"])
        torch.random.set_rng_state(tensors["random/torch"])
        if self.fabric.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random/cuda"], self.fabric.device)
        np.random.set_state(("MT19937", tensors["random/numpy"].numpy().astype(np.uint32), *document["numpy"]))
        self._epoch_sum = tensors["epoch_sum"].to(self.fabric.device)
        self._epoch_values = document["epoch_values"]
        self._newest = dict(document["terms"])
        self.step_index, self.seconds, self.log = document["step"], document["seconds"], document["log"]


def _plain(terms: Mapping[str, Tensor | float]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}


class _LossRunner(nn.Module):
    """Runs a computation inside `forward`, where Fabric applies the precision and, over several devices, joins gradients."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, computation: Callable[[], Any]) -> Any:
        return computation()


@contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a flag that is read between steps, so that a checkpoint is never taken in the middle of one.

    A second Ctrl-C interrupts at once. Outside the main thread signals are left alone.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def note(number: int, frame: Any) -> None:
        if caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        caught.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""`ram-probe` and `ram-probe-legacy`: how well a linear classifier reads each RAM variable off a frozen feature.

The probe of Anand, Racah et al. (2019): for each variable a linear layer on the feature as it is, cross-entropy, Adam, the rate
lowered and the end chosen by the validation accuracy (`stacked_probes`). `ram-probe` passes over the training part in random order
and judges the weights of the epoch with the highest validation accuracy. `ram-probe-legacy` does what the paper's code does. Frames
are drawn from random episodes with replacement, of each a random one, so that those of short episodes count more: for training,
for validation and for the test, as many as fill whole batches. What is judged are the weights that training ended with.

A feature that is the same for every frame trains nothing: its best classifier is known, and says of each variable the value that is
most frequent in the training part, judged on every test frame once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness import EvaluationError, Evaluator, Part, Score, Task
from harness_atari.categories import categories_of
from harness_atari.episode_draws import EpisodeDraws
from harness_atari.probe_batches import FeatureRows, shuffled_pass, whole_batches
from harness_atari.scores import VALUES, category_means, headline, weighted_f1_and_accuracy
from harness_atari.spec_evaluators import RamProbeOptions
from harness_atari.stacked_probes import Judged, Samples, Training, initial_probes, predict, train_probes

Rows = Callable[[], Tensor]
"""Gives row numbers of a part, on the task's device: those that an epoch shows, or those that it is judged by."""


@dataclass(frozen=True)
class Frames:
    """The frames of one part."""

    features: FeatureRows
    values: NDArray[np.int64]
    """[V, n] of the variables, 0 to 255."""
    index: NDArray[np.int64]
    """[n] their places in the data set."""

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Said:
    """What the probes say of some test frames."""

    values: NDArray[np.int64]
    """[V, b]."""
    rows: NDArray[np.int64]
    """[b] which frames of the test part."""
    selected: list[Mapping[str, int]]
    """By variable: "epoch", whose weights are judged, of all "epochs"; empty where nothing was trained."""


class RamProbe(Evaluator):
    """Passes in random order; the weights of the best validation epoch."""

    name = "ram-probe"
    judged: Judged = "best"

    def __init__(self, options: RamProbeOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """F1 and accuracy over the categories, of each of them, and of each variable with its epochs in `selected`.

        Raises EvaluationError where there is no variable to judge or none of any category, for values that are no bytes, and for
        probes that diverge.
        """
        names = list(task.train.factors)
        if not names:
            raise EvaluationError(
                f"{self.name} has no variable to judge: the data set knows none, or the protocol keeps none of so few frames; "
                "raise data.probe_frames."
            )
        if not any(categories_of(name) for name in names):
            raise EvaluationError(
                f"{self.name} reports means over categories, which names such as 'player_x' and 'score' belong to; none of these "
                f"does: {', '.join(names)}."
            )
        fit, validation = task.fit_and_validation()
        train, held_out, test = (
            self._frames(task, part, called)
            for part, called in ((fit, "training"), (validation, "validation"), (task.test, "test"))
        )
        same = train.features.constant()
        said = constant(train, np.arange(len(test))) if same else self._trained(task, train, held_out, test)
        return scores(names, said, test.values[:, said.rows])

    def _trained(self, task: Task, train: Frames, held_out: Frames, test: Frames) -> Said:
        """Train a probe for every variable that varies in the training part; what it and the others say."""
        generator = task.generator()
        classes = self._classes(train)
        trained = list(classes)
        shown, judged_by, tested = self._rows(task, train, held_out, test, generator)
        rows = tested()
        said = constant(train, rows.cpu().numpy())
        if not trained:
            return said
        fit, validation = (
            Samples(part.features.take, targets(part.values[trained], list(classes.values()), task.device))
            for part in (train, held_out)
        )
        found = train_probes(
            initial_probes([len(values) for values in classes.values()], train.features.dims, generator),
            fit,
            validation,
            self._training(),
            shown,
            judged_by,
            task.progress,
        )
        if not all(bool(tensor.isfinite().all()) for probe in found.probes for tensor in probe):
            raise EvaluationError(f"{self.name} diverged on feature {task.feature!r}; lower evaluator.{self.name}.lr.")
        numbers = predict(found.probes, test.features.take, rows)
        for place, (variable, its) in enumerate(classes.items()):
            said.values[variable] = its[numbers[place]]
            said.selected[variable] = {"epoch": int(found.epoch[place]), "epochs": int(found.epochs[place])}
        return said

    def _classes(self, train: Frames) -> dict[int, NDArray[np.int64]]:
        """The values that are told apart, ascending, of each variable that has more than one in the training part.

        A variable that has one value there has it always, as far as a classifier can learn.
        """
        seen = {variable: np.unique(values) for variable, values in enumerate(train.values)}
        every = np.arange(VALUES)
        return {variable: its if self.options.classes == "seen" else every for variable, its in seen.items() if len(its) > 1}

    def _training(self) -> Training:
        return Training(
            lr=self.options.lr,
            epochs=self.options.epochs,
            batch_size=self.options.batch_size,
            patience=self.options.patience,
            judged=self.judged,
        )

    def _rows(
        self, task: Task, train: Frames, held_out: Frames, test: Frames, generator: torch.Generator
    ) -> tuple[Rows, Rows, Rows]:
        """The rows to train on, to validate by and to test on."""
        every, tested = (torch.arange(len(frames), device=task.device) for frames in (held_out, test))
        return partial(shuffled_pass, len(train), generator), lambda: every, lambda: tested

    def _frames(self, task: Task, part: Part, called: str) -> Frames:
        """One part, checked.

        :param called: what it is called in errors: "training", "validation" or "test".
        """
        values = np.empty((len(part.factors), len(part)), np.int64)
        for variable, (name, found) in enumerate(part.factors.items()):
            if not np.issubdtype(found.dtype, np.integer) or found.min() < 0 or found.max() >= VALUES:
                raise EvaluationError(
                    f"Variable {name!r} has values that are no bytes in the {called} part; {self.name} judges whole numbers from 0 "
                    f"to {VALUES - 1}."
                )
            values[variable] = found
        return Frames(FeatureRows(part.features, task.device), values, part.index)


class LegacyRamProbe(RamProbe):
    """Random frames of random episodes in every part, in whole batches; the weights of the last epoch."""

    name = "ram-probe-legacy"
    judged: Judged = "last"

    def _rows(
        self, task: Task, train: Frames, held_out: Frames, test: Frames, generator: torch.Generator
    ) -> tuple[Rows, Rows, Rows]:
        episodes = getattr(task.inputs, "episodes", None)
        if episodes is None:
            raise EvaluationError(
                f"{self.name} draws frames by their episodes, and these inputs have none; take ram-probe, or a data set of frames."
            )
        of_frame: NDArray[np.int64] = torch.as_tensor(episodes).cpu().numpy()

        def drawn(frames: Frames) -> Rows:
            draws = EpisodeDraws(of_frame[frames.index], task.device)
            return partial(draws.draw, whole_batches(len(frames), self.options.batch_size), generator)

        return drawn(train), drawn(held_out), drawn(test)


def constant(train: Frames, rows: NDArray[np.int64]) -> Said:
    """Each variable's most frequent value in the training part, of equally frequent ones the smallest."""
    most_frequent = [int(np.bincount(values, minlength=VALUES).argmax()) for values in train.values]
    return Said(np.repeat(np.array(most_frequent)[:, None], len(rows), axis=1), rows, [{} for _ in most_frequent])


def targets(values: NDArray[np.int64], classes: Sequence[NDArray[np.int64]], device: torch.device) -> Tensor:
    """[V, n] the place of each value [V, n] among its variable's classes, and -1 where it is not among them."""
    place = np.full((len(classes), VALUES), -1)
    for variable, those in enumerate(classes):
        place[variable, those] = np.arange(len(those))
    return torch.from_numpy(np.take_along_axis(place, values, axis=1)).to(device)


def scores(names: Sequence[str], said: Said, true: NDArray[np.int64]) -> list[Score]:
    """All of an evaluator's scores: the two over the categories first.

    :param true: [V, b].
    """
    f1, accuracy = (dict(zip(names, values.tolist(), strict=True)) for values in weighted_f1_and_accuracy(said.values, true))
    by_category = {"f1": category_means(f1), "accuracy": category_means(accuracy)}
    found = [Score(name=metric, value=headline(means)) for metric, means in by_category.items()]
    for metric, means in by_category.items():
        found += [Score(name=f"category_{metric}", of={"category": category}, value=mean) for category, mean in means.items()]
    for metric, values in (("f1", f1), ("accuracy", accuracy)):
        found += [
            Score(name=f"variable_{metric}", of={"variable": name}, value=values[name], selected=selected)
            for name, selected in zip(names, said.selected, strict=True)
        ]
    return found

"""The trainer: order of updates, the stop rule, and training that an interruption does not change by a bit."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import threading
import zipfile
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, MultiStepLR, OneCycleLR, StepLR

from harness import (
    Encoder,
    FrameSource,
    Items,
    Objective,
    Phase,
    PluginError,
    TimePairs,
    UnfitError,
    VectorSource,
)
from harness.contracts.batches import Batch, Labelled
from harness.contracts.training import TrainOptions
from harness.data.epochs import IndexEpoch
from harness.errors import DivergedError
from harness.line import training
from harness.line.checkpoints import load_tensors, network_state, read_document
from harness.line.devices import make_fabric
from harness.line.seeding import isolated_randomness
from harness.line.streams import LabelTable
from harness.line.training import Trainer

# ------------------------------------------------------------------------------------------- objectives to train


class VectorEncoder(Encoder):
    """A layer with dropout, whose masks come from torch's global random state."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.4))
        self.feature_shapes = {"y": (4,)}

    def forward(self, batch):
        return {"y": self.layers(batch.values)}


class FrameEncoder(Encoder):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4))
        self.feature_shapes = {"y": (4,)}

    def forward(self, batch):
        return {"y": self.layers(batch.pixels)}

    def of(self, pixels):
        return self.layers(pixels)


class Adversarial(Objective):
    """A discriminator of codes and noise, three updates on fresh batches each; then the encoder, against it."""

    def __init__(self):
        super().__init__(VectorEncoder(), sampling=Items())
        self.discriminator = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
        self.calls = []

    def phases(self):
        return [
            Phase(
                "discriminate",
                self.discriminator.parameters(),
                partial(torch.optim.Adam, lr=1e-2),
                self.discrimination,
                schedule=partial(MultiStepLR, milestones=[4, 17], gamma=0.3),
                repeat=3,
                fresh_batch=True,
            ),
            Phase(
                "generate",
                self.encoder.parameters(),
                partial(torch.optim.AdamW, lr=2e-2),
                self.generation,
                schedule=partial(OneCycleLR, max_lr=0.1, total_steps=40),
            ),
        ]

    def discrimination(self, step):
        self.note("discriminate", step)
        codes = self.encoder(step.batch)["y"]
        noise = torch.randn(codes.shape, generator=step.generator)
        real, fake = self.discriminator(noise), self.discriminator(codes)
        return {"loss": F.softplus(-real).mean() + F.softplus(fake).mean(), "real": real.mean()}

    def generation(self, step):
        self.note("generate", step)
        return {"loss": F.softplus(-self.discriminator(self.encoder(step.batch)["y"])).mean()}

    def note(self, phase, step):
        weights = {name: value.detach().clone() for name, value in self.named_parameters()}
        self.calls.append((phase, step.index, step.epoch, step.batch.index.tolist(), weights))


class Targets(Objective):
    """State that no gradient trains: a moving average, a permutation table, a buffer that is made late, NumPy's random state."""

    def __init__(self):
        super().__init__(VectorEncoder(), sampling=Items(), watch="follow/distance")
        self.head = nn.Linear(4, 2)
        self.register_buffer("average", torch.zeros(4))
        self.register_buffer("table", torch.arange(23))
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("momentum", None)

    def phases(self):
        decay = partial(LambdaLR, lr_lambda=lambda update: 0.9**update)
        sgd = partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True)
        return [
            Phase("assign", self.head.parameters(), partial(torch.optim.RMSprop, lr=1e-2), self.assignment, every=3),
            Phase("follow", self.encoder.parameters(), sgd, self.following, schedule=decay),
        ]

    def assignment(self, step):
        wanted = self.table[step.batch.index].float().div(23)
        return {"loss": F.mse_loss(self.head(self.encoder(step.batch)["y"])[:, 0], wanted)}

    def following(self, step):
        y = self.encoder(step.batch)["y"]
        distance = (y - self.average).square().mean()
        noise = torch.from_numpy(np.random.normal(size=y.shape).astype(np.float32))
        return {"loss": distance + self.head(y + noise).square().mean(), "distance": distance}

    def after_step(self, step):
        self.average.mul_(0.9).add_(self.encoder(step.batch)["y"].mean(0), alpha=0.1)
        index = step.batch.index
        if step.index % 2 == 0:
            self.table[index] = self.table[index[torch.randperm(len(index), generator=step.generator)]]
        self.seen += len(index)
        self.momentum = self.average.double() if self.momentum is None else 0.5 * (self.momentum + self.average)


class Pairs(Objective):
    """Frames predict the frames two steps later, against the others of the batch."""

    def __init__(self):
        super().__init__(FrameEncoder(), sampling=TimePairs(offset=2))
        self.score = nn.Bilinear(4, 4, 1)

    def phases(self):
        adam = partial(torch.optim.Adam, lr=3e-2, amsgrad=True)
        return [Phase("predict", self.parameters(), adam, self.prediction, schedule=partial(StepLR, step_size=3))]

    def prediction(self, step):
        now, later = self.encoder.of(step.batch.first), self.encoder.of(step.batch.second)
        scores = now @ self.score.weight[0] @ later.T
        return {"loss": F.cross_entropy(scores, torch.arange(len(now))), "mean": scores.mean()}


class Scripted(Objective):
    """A loss that is read from a list, and one weight that counts its own updates."""

    def __init__(self, values, **keywords):
        super().__init__(VectorEncoder(), sampling=Items(), **keywords)
        self.values = values
        self.count = nn.Parameter(torch.zeros(()))

    def phases(self):
        return [Phase("count", [self.count], partial(torch.optim.SGD, lr=1.0), self.loss)]

    def loss(self, step):
        return {"loss": self.values[step.index] - (self.count - self.count.detach()), "other": torch.tensor(0.5)}


def vectors(samples=23):
    return VectorSource(torch.randn(samples, 5, generator=torch.Generator().manual_seed(3)))


def frames():
    pixels = torch.randint(0, 256, (30, 1, 3, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(4))
    return FrameSource(pixels, torch.arange(30).div(10, rounding_mode="floor"))


# --------------------------------------------------------------------------------------------- how they are trained


@dataclass
class Finished:
    trainer: Trainer
    objective: Objective
    result: object
    weights: dict
    streams: list


def train(
    build,
    source=None,
    *,
    seed=0,
    checkpoint=None,
    stop_at=None,
    progress=None,
    precision="32",
    labels=None,
    validation=None,
    every_s=1e9,
    **options,
):
    """Train an objective that `build()` makes; `stop_at` interrupts it when the checkpoint after that many steps is written."""
    with isolated_randomness(11):
        objective = build()
    defaults = {"epochs": 3, "batch_size": 6}
    trainer = Trainer(
        objective,
        source if source is not None else vectors(),
        TrainOptions(**(defaults | options)),
        seed=seed,
        fabric=make_fabric("cpu", precision),
        labels=labels,
        validation=validation,
        checkpoint=checkpoint,
        checkpoint_every_s=every_s if stop_at is None else 0.0,
    )

    def interrupt(step, total, terms):
        if progress is not None:
            progress(step, total, terms)
        if stop_at is not None and checkpoint.exists() and read_document(checkpoint)["step"] == stop_at:
            raise KeyboardInterrupt

    trainer.progress = interrupt
    result = trainer.run()
    streams = [trainer.generator.get_state(), *(value for _, stream in trainer._streams() for value in stream.state())]
    weights = {name: tensor.detach().clone() for name, tensor in network_state(objective).items()}
    return Finished(trainer, objective, result, weights, streams)


@pytest.fixture(autouse=True)
def told_at_every_step(monkeypatch):
    monkeypatch.setattr(training, "_SHOWN_EVERY_S", 0.0)


def assert_same_bits(one, other):
    assert one.weights.keys() == other.weights.keys()
    for name, tensor in one.weights.items():
        assert tensor.dtype == other.weights[name].dtype, name
        assert torch.equal(tensor, other.weights[name]), name
    for mine, theirs in zip(one.streams, other.streams, strict=True):
        assert torch.equal(mine, theirs) if isinstance(mine, torch.Tensor) else mine == theirs
    assert json.dumps(one.trainer.log) == json.dumps(other.trainer.log)  # also in the same order
    assert str(one.result) == str(other.result)


def differ(one, other):
    return any(not torch.equal(tensor, other.weights[name]) for name, tensor in one.weights.items())


# ---------------------------------------------------------------------------------------- phases, in their order


def test_phases_run_in_order_with_their_repeats():
    done = train(Adversarial)
    names = [call[0] for call in done.objective.calls]
    assert names == ["discriminate", "discriminate", "discriminate", "generate"] * 12


def test_every_update_is_made():
    running = train(Adversarial).trainer.running
    updates = [int(next(iter(phase.optimiser.state.values()))["step"]) for phase in running]
    assert updates == [36, 12]


def test_fresh_batches_differ_from_each_other_and_from_the_steps_batch():
    calls = train(Adversarial).objective.calls
    for step in range(12):
        drawn = [tuple(call[3]) for call in calls if call[1] == step]
        assert len(set(drawn)) == 4


def test_fresh_batches_go_through_the_whole_data_set():
    drawn = [call[3] for call in train(Adversarial).objective.calls if call[0] == "discriminate"]
    assert sorted(chain(*drawn[:4])) == list(range(23))
    assert sorted(chain(*drawn[4:8])) == list(range(23))


def test_steps_carry_their_index_and_epoch():
    calls = train(Adversarial).objective.calls
    assert [(index, epoch) for phase, index, epoch, *_ in calls if phase == "generate"] == [(step, step // 4) for step in range(12)]


def test_only_a_phases_own_parameters_are_updated():
    calls = train(Adversarial).objective.calls
    for (phase, *_, before), (*_, after) in pairwise(calls):
        changed = {name.split(".")[0] for name, tensor in before.items() if not torch.equal(tensor, after[name])}
        assert changed == {"discriminator" if phase == "discriminate" else "encoder"}


def test_a_discriminators_step_gives_the_encoder_no_gradients():
    class Half(Adversarial):
        def phases(self):
            return super().phases()[:1]

    encoder = train(Half).objective.encoder
    assert all(parameter.grad is None for parameter in encoder.parameters())


class Judged(Objective):
    """A discriminator of codes and noise, then the encoder against it, on the same batch."""

    def __init__(self, shares):
        super().__init__(VectorEncoder(), sampling=Items())
        self.encoder.layers[-1].p = 0.0  # one pass and two passes draw other dropout masks
        self.discriminator = nn.Linear(4, 1)
        self.shares, self.encoded = shares, []

    def shared(self, step):
        return self.codes(step) if self.shares else None

    def codes(self, step):
        self.encoded.append(step.batch.index.tolist())
        return self.encoder(step.batch)["y"]

    def phases(self):
        adam = partial(torch.optim.Adam, lr=1e-2)
        return [
            Phase("discriminate", self.discriminator.parameters(), adam, self.discrimination),
            Phase("generate", self.encoder.parameters(), adam, self.generation),
        ]

    def discrimination(self, step):
        codes = self.codes(step) if step.shared is None else step.shared
        noise = torch.randn(codes.shape, generator=step.generator)
        return {"loss": F.softplus(-self.discriminator(noise)).mean() + F.softplus(self.discriminator(codes)).mean()}

    def generation(self, step):
        codes = self.codes(step) if step.shared is None else step.shared
        return {"loss": F.softplus(-self.discriminator(codes)).mean()}


def test_what_phases_share_is_computed_once_a_step():
    assert len(train(partial(Judged, True)).objective.encoded) == 12
    assert len(train(partial(Judged, False)).objective.encoded) == 24


def test_sharing_changes_no_number():
    one, other = (dict(train(partial(Judged, shares)).objective.named_parameters()) for shares in (True, False))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_fresh_batch_has_its_own_share():
    class Fresh(Judged):
        def phases(self):
            first, second = super().phases()
            return [replace(first, fresh_batch=True), second]

    objective = train(partial(Fresh, True)).objective
    assert len(objective.encoded) == 24
    assert all(one != other for one, other in zip(objective.encoded[::2], objective.encoded[1::2], strict=True))


def test_a_lone_phase_gives_no_gradients_to_what_it_does_not_own():
    class Half(Scripted):
        def loss(self, step):
            return {"loss": self.encoder(step.batch)["y"].sum() * self.count}

    done = train(lambda: Half([]))
    assert done.objective.count.grad is not None
    assert all(parameter.grad is None for parameter in done.objective.encoder.parameters())


@pytest.mark.parametrize("phases", [1, 2])
def test_a_frozen_parameter_stays_frozen_in_a_phase_that_lists_it(phases):
    class Frozen(Scripted):
        def __init__(self):
            super().__init__([])
            self.momentum_head = nn.Linear(4, 4).requires_grad_(False)

        def phases(self):
            sgd = partial(torch.optim.SGD, lr=0.1)
            return [Phase(f"p{number}", self.parameters(), sgd, self.loss) for number in range(phases)]

        def loss(self, step):
            return {"loss": (self.momentum_head(self.encoder(step.batch)["y"]) + self.count).square().mean()}

    with isolated_randomness(11):
        fresh = Frozen()
    done = train(Frozen)
    assert torch.equal(done.objective.momentum_head.weight, fresh.momentum_head.weight)
    assert not torch.equal(done.objective.count, fresh.count)


def test_a_phase_runs_only_at_every_nth_step():
    steps = []

    class Seldom(Scripted):
        def phases(self):
            [phase] = super().phases()
            return [replace(phase, every=3)]

        def loss(self, step):
            steps.append(step.index)
            return {"loss": self.count}

    train(lambda: Seldom([]))
    assert steps == [0, 3, 6, 9]


def test_after_step_runs_once_a_step_without_gradients():
    steps = []

    class Noting(Scripted):
        def after_step(self, step):
            steps.append((step.index, torch.is_grad_enabled()))

    train(lambda: Noting([1.0] * 12))
    assert steps == [(step, False) for step in range(12)]


def test_the_epochs_cover_every_sample_once_each():
    indices = []

    class Noting(Scripted):
        def after_step(self, step):
            indices.append(step.batch.index.tolist())

    train(lambda: Noting([1.0] * 12))
    epochs = [sorted(chain(*indices[start : start + 4])) for start in (0, 4, 8)]
    assert epochs == [list(range(23))] * 3
    assert indices[:4] != indices[4:8]


def test_an_objective_is_trained_in_train_mode():
    modes = []

    class Noting(Scripted):
        def after_step(self, step):
            modes.append(self.encoder.training)

    def build():
        return Noting([1.0] * 12).eval()

    train(build)
    assert all(modes)


def test_an_objective_without_phases_trains_nothing():
    class Idle(Scripted):
        def phases(self):
            return []

    done = train(lambda: Idle([]))
    assert done.objective.count.item() == 0


# ---------------------------------------------------------------- an interruption changes nothing, at whatever step

RESUMED = {
    "adversarial": (Adversarial, vectors, {}),
    "targets": (Targets, vectors, {"patience": 50, "restore_best": True}),
    "pairs": (Pairs, frames, {"patience": 2, "restore_best": True}),
}


@pytest.fixture(scope="module")
def uninterrupted():
    return {}


@pytest.mark.parametrize("stop_at", range(1, 13))
@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_training_ends_in_the_same_bits(name, stop_at, uninterrupted, tmp_path):
    build, source, options = RESUMED[name]
    if name not in uninterrupted:
        uninterrupted[name] = train(build, source(), **options)
    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(build, source(), checkpoint=checkpoint, stop_at=stop_at, **options)
    assert_same_bits(train(build, source(), checkpoint=checkpoint, **options), uninterrupted[name])


def test_the_trainings_that_are_interrupted_here_train(uninterrupted):
    for build, source, options in RESUMED.values():
        assert differ(train(build, source(), **options), train(build, source(), **(options | {"epochs": 1, "restore_best": False})))


def test_a_training_interrupted_after_every_step_ends_in_the_same_bits(tmp_path):
    checkpoint = tmp_path / "training.safetensors"
    for step in range(1, 13):
        with pytest.raises(KeyboardInterrupt):
            train(Targets, checkpoint=checkpoint, stop_at=step, restore_best=True)
    assert_same_bits(train(Targets, checkpoint=checkpoint, restore_best=True), train(Targets, restore_best=True))


def test_saving_at_every_step_changes_nothing(tmp_path):
    saved = train(Adversarial, checkpoint=tmp_path / "training.safetensors", every_s=0.0)
    assert_same_bits(saved, train(Adversarial))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_a_checkpoint_between_steps(number, tmp_path):
    class Signalled(Targets):
        def assignment(self, step):
            if step.index == 6 and not (tmp_path / "signalled").exists():
                (tmp_path / "signalled").touch()
                os.kill(os.getpid(), number)
            return super().assignment(step)

    before = signal.getsignal(number)
    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(Signalled, checkpoint=checkpoint)
    assert read_document(checkpoint)["step"] == 7
    assert signal.getsignal(number) is before
    assert_same_bits(train(Signalled, checkpoint=checkpoint), train(Targets))


def test_training_outside_the_main_thread_leaves_signals_alone():
    ended = []
    worker = threading.Thread(target=lambda: ended.append(train(Adversarial)))
    worker.start()
    worker.join()
    assert_same_bits(ended[0], train(Adversarial))


def test_the_schedule_is_restored(tmp_path):
    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(Adversarial, checkpoint=checkpoint, stop_at=7)
    with isolated_randomness(11):
        objective = Adversarial()
    options = TrainOptions(epochs=3, batch_size=6)
    trainer = Trainer(objective, vectors(), options, seed=0, fabric=make_fabric("cpu", "32"), checkpoint=checkpoint)
    trainer._restore()
    discriminate, generate = trainer.running
    assert discriminate.schedule.last_epoch == 21
    assert discriminate.schedule.milestones == {4: 1, 17: 1}
    assert discriminate.optimiser.param_groups[0]["lr"] == pytest.approx(1e-2 * 0.3**2)
    assert generate.schedule.last_epoch == 7


def test_a_watched_double_is_summed_exactly_across_a_resume(tmp_path):
    class Double(Scripted):
        def __init__(self):
            super().__init__([torch.tensor(1 / (3 + step), dtype=torch.float64) for step in range(12)])

    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(Double, checkpoint=checkpoint, stop_at=2, restore_best=True)
    assert train(Double, checkpoint=checkpoint, restore_best=True).result == train(Double, restore_best=True).result


def test_the_seconds_of_both_parts_are_added(tmp_path):
    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(Targets, checkpoint=checkpoint, stop_at=5)
    first = read_document(checkpoint)["seconds"]
    assert train(Targets, checkpoint=checkpoint).trainer.seconds > first > 0


def test_without_a_checkpoint_file_training_begins_at_the_beginning(tmp_path):
    assert_same_bits(train(Pairs, frames(), checkpoint=tmp_path / "none.safetensors"), train(Pairs, frames()))


# ------------------------------------------------------------------------------------------------ checkpoint files


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(Targets, checkpoint=path, stop_at=5, restore_best=True)
    return path


def test_a_checkpoint_is_safetensors(checkpoint):
    with safe_open(str(checkpoint), framework="pt") as file:
        assert set(file.metadata()) == {"harness"}
        assert json.loads(file.metadata()["harness"])["step"] == 5
    assert not zipfile.is_zipfile(checkpoint)


def test_a_checkpoint_is_read_without_pickle(checkpoint, monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    tensors, _ = load_tensors(checkpoint)
    assert tensors
    train(Targets, checkpoint=checkpoint, restore_best=True)


def test_a_checkpoint_is_the_only_file(checkpoint):
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


def test_an_optimiser_whose_state_is_no_tensor_is_refused_with_its_phase(tmp_path):
    class Strange(torch.optim.SGD):
        def step(self, closure=None):
            super().step()
            self.state[self.param_groups[0]["params"][0]]["history"] = [torch.zeros(1)]

    class Objective_(Scripted):
        def phases(self):
            [phase] = super().phases()
            return [replace(phase, optimiser=partial(Strange, lr=1.0))]

    with pytest.raises(PluginError, match="count.*cannot be saved"):
        train(lambda: Objective_([1.0] * 12), checkpoint=tmp_path / "training.safetensors", every_s=0.0)


# -------------------------------------------------------------------------------------------------- the stop rule


def scripted(values, **options):
    """Train on one batch an epoch, so that an epoch is a step."""
    padded = [*values, *[100.0] * 20]
    return train(lambda: Scripted(padded), **({"epochs": len(values), "batch_size": 23} | options))


def test_patience_stops_after_so_many_epochs_without_a_new_lowest_value():
    done = scripted([5.0, 4.0, 3.0, 4.0, 3.5, 4.0, 1.0], patience=3)
    assert done.result.steps == 5
    assert (done.result.best_step, done.result.best_value) == (2, 3.0)


def test_an_equal_value_is_no_new_lowest():
    assert scripted([3.0, 3.0, 3.0, 1.0], patience=2).result.steps == 2


def test_the_step_that_stops_makes_no_update():
    done = scripted([3.0, 4.0, 4.0, 1.0], patience=2)
    assert done.objective.count.item() == done.result.steps == 2


def test_without_patience_every_epoch_is_trained():
    done = scripted([3.0, 4.0, 5.0, 6.0])
    assert (done.result.steps, done.result.epochs) == (4, 4)
    assert (done.result.best_step, done.result.best_value) == (None, None)


def test_restore_best_gives_the_weights_that_produced_the_lowest_value():
    done = scripted([5.0, 4.0, 2.0, 3.0, 9.0], restore_best=True)
    assert done.result.best_step == 2
    assert done.objective.count.item() == 2  # after two updates, before the third


def test_restore_best_also_puts_buffers_back():
    class Buffered(Scripted):
        def __init__(self):
            super().__init__([5.0, 4.0, 2.0, 3.0, 9.0])
            self.register_buffer("steps", torch.tensor(0))

        def after_step(self, step):
            self.steps += 1

    assert train(Buffered, epochs=5, batch_size=23, restore_best=True).objective.steps.item() == 2


def test_the_value_of_an_epoch_of_several_steps_is_their_mean():
    values = [1.0, 5.0, 3.0, 3.0, 0.0, 4.0, 9.0, 9.0]  # epochs of two steps: means 3, 3, 2, 9
    done = train(lambda: Scripted(values), epochs=4, batch_size=12, restore_best=True)
    assert (done.result.best_value, done.result.best_step) == (2.0, 5)
    assert done.objective.count.item() == 5  # before the epoch's last update


def test_a_training_stopped_in_an_epoch_counts_the_epochs_before_it():
    values = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    done = train(lambda: Scripted(values), epochs=3, batch_size=12, patience=1)
    assert (done.result.epochs, done.result.steps) == (1, 3)


def test_another_term_is_watched_on_request():
    class Watching(Scripted):
        def loss(self, step):
            return {"loss": self.count, "watched": torch.tensor([5.0, 1.0, 3.0, 4.0][step.index])}

    done = train(lambda: Watching([], watch="count/watched"), epochs=4, batch_size=23, restore_best=True)
    assert (done.result.best_step, done.result.best_value) == (1, 1.0)


def test_a_watched_phase_that_is_not_due_at_the_epochs_end_is_followed_at_its_last_update():
    class Seldom(Scripted):
        def phases(self):
            [phase] = super().phases()
            return [replace(phase, every=3)]

    values = [4.0, None, None, 2.0, None, None, 5.0, None]  # epochs of four steps; due at 0, 3 and at 6
    done = train(lambda: Seldom(values), epochs=2, patience=1)
    assert (done.result.best_value, done.result.best_step) == (3.0, 3)
    assert (done.result.epochs, done.result.steps) == (1, 6)


def test_a_repeated_phase_is_watched_at_its_first_update():
    class Repeated(Scripted):
        def phases(self):
            [phase] = super().phases()
            return [replace(phase, repeat=2)]

        def loss(self, step):
            return {"loss": self.count}

    done = train(lambda: Repeated([]), epochs=3, batch_size=23, restore_best=True)
    assert done.result.best_value == -4.0  # two updates by -1 in each of two steps


# ----------------------------------------------------------------------------------------------------- divergence


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("step", [0, 7, 11])
def test_a_loss_that_is_not_finite_ends_training_with_step_and_terms(bad, step):
    values = [1.0] * 12
    values[step] = bad
    with pytest.raises(DivergedError) as caught:
        train(lambda: Scripted(values))
    assert caught.value.step == step
    assert caught.value.terms.keys() == {"count/loss", "count/other"}
    assert caught.value.terms["count/loss"] == pytest.approx(bad, nan_ok=True)


def test_a_diverged_training_is_not_saved(tmp_path):
    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(DivergedError):
        train(lambda: Scripted([1.0, 1.0, math.nan, *[1.0] * 9]), checkpoint=checkpoint, every_s=0.0)
    assert read_document(checkpoint)["step"] == 2


# ---------------------------------------------------------------------------------------------- seeds and randomness


def test_the_same_seed_gives_the_same_bits():
    assert_same_bits(train(Adversarial, seed=5), train(Adversarial, seed=5))


def test_another_seed_gives_other_bits():
    assert differ(train(Adversarial, seed=5), train(Adversarial, seed=6))


def test_the_callers_random_state_is_untouched():
    with isolated_randomness(1):
        before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
        train(Targets)
        assert torch.equal(before[0], torch.random.get_rng_state())
        assert np.array_equal(before[1], np.random.get_state()[1])


def test_the_callers_random_state_does_not_matter():
    with isolated_randomness(1):
        one = train(Targets)
    with isolated_randomness(2):
        other = train(Targets)
    assert_same_bits(one, other)


def test_the_callers_random_state_is_untouched_by_a_failure():
    with isolated_randomness(1):
        before = torch.random.get_rng_state()
        with pytest.raises(DivergedError):
            train(lambda: Scripted([math.nan]))
        assert torch.equal(before, torch.random.get_rng_state())


def test_a_callback_that_draws_random_numbers_changes_nothing():
    def draw(step, total, terms):
        torch.rand(3)
        np.random.rand(3)
        torch.manual_seed(step)

    assert_same_bits(train(Targets, progress=draw), train(Targets))


def test_another_logged_term_changes_nothing():
    class Logging(Adversarial):
        def generation(self, step):
            terms = super().generation(step)
            return terms | {"square": terms["loss"].detach() ** 2}

    one, other = train(Logging), train(Adversarial)
    assert not differ(one, other)


def test_progress_is_told_steps_total_and_newest_terms():
    told = []
    train(lambda: Scripted([1.0 * step for step in range(12)]), progress=lambda *news: told.append(news))
    assert [step for step, *_ in told] == [*range(1, 13), 12]
    assert {total for _, total, _ in told} == {12}
    assert told[4][2] == {"count/loss": 4.0, "count/other": 0.5}


def test_a_stopped_training_tells_its_own_length_last():
    told = []
    train(
        lambda: Scripted([3.0, 4.0, 4.0]),
        epochs=9,
        batch_size=23,
        patience=1,
        progress=lambda step, total, terms: told.append((step, total)),
    )
    assert told[-1] == (1, 1)


# ----------------------------------------------------------------------------------------------------- the log


def test_the_log_has_a_row_for_every_step_of_a_short_training():
    log = train(lambda: Scripted([1.0 * step for step in range(12)])).trainer.log
    assert log[5] == {"step": 5, "epoch": 1, "count/loss": 5.0, "count/other": 0.5}
    assert [row["step"] for row in log] == list(range(12))


def test_the_log_of_a_long_training_is_thinned(monkeypatch):
    monkeypatch.setattr(training, "_LOG_ROWS", 4)
    log = train(lambda: Scripted([1.0] * 12)).trainer.log
    assert [row["step"] for row in log] == [0, 3, 6, 9]


def test_a_row_has_only_the_terms_of_phases_that_ran():
    log = train(Targets).trainer.log
    assert "assign/loss" in log[3]
    assert "assign/loss" not in log[4]


def test_the_last_value_of_every_term_is_reported():
    done = train(Targets)
    assert done.result.last_terms.keys() == {"assign/loss", "follow/loss", "follow/distance"}
    assert done.result.last_terms["assign/loss"] == done.trainer.log[9]["assign/loss"]


# ----------------------------------------------------------------------------------------- labels, for those that ask


def test_a_supervised_objective_gets_labelled_batches():
    kinds = set()

    class Noting(Scripted):
        def loss(self, step):
            kinds.add(type(step.batch))
            return {"loss": self.count}

    table = LabelTable(torch.zeros(23, dtype=torch.int64), torch.ones(23, dtype=torch.bool), classes=1)
    train(lambda: Noting([]), labels=table)
    assert kinds == {Labelled}


# --------------------------------------------------------------------------------------------------- broken plugins


def phase_with(terms):
    class Broken(Scripted):
        def loss(self, step):
            return terms(self)

    return lambda: Broken([])


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        (lambda self: {"los": self.count}, "phase 'count' returned no term named 'loss'"),
        (lambda self: None, "phase 'count' returned no term named 'loss'"),
        (lambda self: {"loss": self.count, "size": 3.0}, "term 'size' of phase 'count' is not a tensor of one number"),
        (lambda self: {"loss": self.count.expand(2)}, "term 'loss' of phase 'count' is not a tensor of one number"),
    ],
)
def test_terms_that_cannot_be_trained_on_are_refused(terms, sentence):
    with pytest.raises(PluginError, match=f"Plugin Broken: {sentence}"):
        train(phase_with(terms))


def test_watching_an_unknown_phase_is_refused():
    with pytest.raises(PluginError, match="watches 'cuont', and has no phase named 'cuont'"):
        train(lambda: Scripted([1.0] * 12, watch="cuont"))


def test_watching_an_unknown_term_is_refused():
    with pytest.raises(PluginError, match="watches 'count/los', and phase 'count' returned loss, other"):
        train(lambda: Scripted([1.0] * 12, watch="count/los"))


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a", "")])
def test_phases_that_cannot_be_told_apart_are_refused(names):
    class Several(Scripted):
        def phases(self):
            [phase] = super().phases()
            return [replace(phase, name=name) for name in names]

    with pytest.raises(PluginError, match="phase name"):
        train(lambda: Several([1.0] * 12))


@pytest.mark.parametrize("wrong", [{"every": 0}, {"repeat": 0}])
def test_counts_below_one_are_refused(wrong):
    class Never(Scripted):
        def phases(self):
            [phase] = super().phases()
            return [replace(phase, **wrong)]

    with pytest.raises(PluginError, match="`every` and `repeat` count from 1"):
        train(lambda: Never([1.0] * 12))


class OtherBatches(VectorSource):
    """A source whose batches are made by `make` from sample numbers."""

    def __init__(self, make):
        super().__init__(torch.zeros(23, 5))
        self.make = make

    def to(self, device):
        return self

    def epoch(self, sampling, batch_size, generator):
        return IndexEpoch(torch.arange(23), batch_size, self.make)


def test_a_source_that_gives_something_else_than_a_batch_is_refused():
    with pytest.raises(PluginError, match="Plugin OtherBatches: it gave a tuple, which is not a harness.Batch"):
        train(lambda: Scripted([1.0] * 12), OtherBatches(lambda index: (index, index)))


def test_a_source_cannot_hand_labels_to_the_trainer():
    def labelled(index):
        return Labelled(Batch(index=index), rows=index, labels=index)

    with pytest.raises(PluginError, match="it gave a Labelled, which is not a harness.Batch"):
        train(lambda: Scripted([1.0] * 12), OtherBatches(labelled))


def test_a_source_that_gives_no_batch_is_refused():
    with pytest.raises(UnfitError, match="gives no batch to train on"):
        train(lambda: Scripted([]), VectorSource(torch.zeros(0, 5)))


def test_an_error_of_the_objective_goes_through():
    class Broken(Scripted):
        def loss(self, step):
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        train(lambda: Broken([]))


# ----------------------------------------------------------------------------------------------- streams, precision


def test_streams_of_other_labels_are_other_streams():
    trainer = train(Adversarial).trainer
    orders = [stream._generator.initial_seed() for _, stream in trainer._streams()]
    assert len(set(orders)) == 2


def test_bf16_trains_float32_weights():
    done = train(Pairs, frames(), precision="bf16")
    assert all(value.dtype == torch.float32 for name, value in done.weights.items() if "num_batches" not in name)
    assert differ(done, train(Pairs, frames()))
    assert all(math.isfinite(row["predict/loss"]) for row in done.trainer.log)


def test_a_resumed_bf16_training_ends_in_the_same_bits(tmp_path):
    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(Pairs, frames(), precision="bf16", checkpoint=checkpoint, stop_at=6)
    assert_same_bits(train(Pairs, frames(), precision="bf16", checkpoint=checkpoint), train(Pairs, frames(), precision="bf16"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own dependencies warn
def test_compiled_losses_are_those_of_eager_ones():
    compiled, eager = train(Pairs, frames(), compile=True), train(Pairs, frames())
    for one, other in zip(compiled.trainer.log, eager.trainer.log, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


# -------------------------------------------------------------------------------------------- validation inputs


class Examined(Scripted):
    """Whose loss is 1 in training, and on the validation inputs the script's value for the epoch."""

    def loss(self, step):
        if self.training:
            return {"loss": 1.0 - (self.count - self.count.detach())}
        self.seen.append((step.epoch, len(step.batch), step.batch.index.tolist()))
        return {"loss": torch.tensor(self.values[step.epoch])}


def judged(values, **options):
    seen = []

    def build():
        made = Examined(values)
        made.seen = seen
        return made

    done = train(build, validation=vectors(7), **({"epochs": len(values)} | options))
    return done, seen


def test_the_stop_rule_watches_the_validation_inputs_where_there_are_some():
    done, _ = judged([5.0, 3.0, 4.0, 3.5, 1.0], patience=2)
    assert done.result.epochs == 4
    assert done.result.best_value == 3.0
    assert done.result.best_step == 2 * 4  # after the second of 4-step epochs


def test_every_validation_sample_is_seen_once_an_epoch_and_weighs_the_same():
    done, seen = judged([2.0, 1.0], patience=9, batch_size=4)
    assert [(epoch, size) for epoch, size, _ in seen] == [(0, 4), (0, 3), (1, 4), (1, 3)]
    assert sorted(seen[0][2] + seen[1][2]) == list(range(7))
    assert done.result.best_value == 1.0


def test_validation_values_are_part_of_the_loss_curve():
    done, _ = judged([2.0, 1.0], patience=9)
    rows = [row for row in done.trainer.log if "validation/count/loss" in row]
    assert [row["validation/count/loss"] for row in rows] == [2.0, 1.0]
    assert done.result.last_terms["validation/count/loss"] == 1.0


def test_validation_moves_nothing_in_training():
    with_, _ = judged([5.0, 4.0, 3.0], patience=9)
    without = train(lambda: Examined([]), epochs=3)
    assert with_.objective.training
    assert torch.equal(with_.objective.count, without.objective.count)


def test_best_weights_can_be_those_of_the_best_validation_epoch():
    done, _ = judged([5.0, 1.0, 4.0], restore_best=True)
    assert done.objective.count.item() == done.result.best_step == 8


def test_without_a_stop_rule_validation_inputs_are_not_looked_at():
    assert judged([5.0, 4.0])[1] == []


def test_an_interrupted_training_with_validation_ends_as_an_uninterrupted_one(tmp_path):
    whole, _ = judged([5.0, 3.0, 4.0, 3.5, 1.0], patience=2)
    path = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        judged([5.0, 3.0, 4.0, 3.5, 1.0], patience=2, checkpoint=path, stop_at=10)
    continued, seen = judged([5.0, 3.0, 4.0, 3.5, 1.0], patience=2, checkpoint=path)
    assert continued.result == whole.result
    assert {epoch for epoch, _, _ in seen} == {2, 3}

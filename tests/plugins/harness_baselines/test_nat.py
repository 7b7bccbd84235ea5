"""The objective nat."""

from __future__ import annotations

import itertools

import pytest
import torch

import harness
from harness.line import checkpoints
from harness.line.devices import make_fabric
from harness.line.training import Trainer, TrainOptions


def is_permutation(made):
    return torch.equal(made.target_of.sort().values, torch.arange(40))


def unit(n, seed):
    return torch.nn.functional.normalize(torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)))


def score(made, index, y):
    return (y * made.targets[made.target_of[index]]).sum().item()


def test_targets_are_of_length_one_and_every_sample_has_its_own(baseline):
    made = baseline("nat")
    assert made.targets.shape == (40, 6)
    assert made.targets.norm(dim=1).tolist() == pytest.approx([1.0] * 40)
    assert is_permutation(made)
    assert not torch.equal(made.target_of, torch.arange(40))


def test_targets_come_from_the_generator(baseline):
    one, same, other = baseline("nat"), baseline("nat"), baseline("nat", seed=1)
    assert torch.equal(one.targets, same.targets)
    assert not torch.equal(one.targets, other.targets)


def test_the_loss_is_the_sum_of_squared_distances(baseline, step):
    made, now = baseline("nat").eval(), step(epoch=1)
    y = made.encoder(now.batch)["y"]
    total = 0.0
    for row, target in zip(y, made.targets[made.target_of[now.batch.index]], strict=True):
        total += ((row / row.norm() - target) ** 2).sum().item()
    terms = made.distance(now)
    assert terms["loss"].item() == pytest.approx(total, rel=1e-5)
    assert terms["loss"].item() == pytest.approx(2 * 12 * (1 - terms["cosine"].item()), rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_reassignment_finds_the_best_of_all_permutations(baseline, seed):
    made, index, y = baseline("nat"), torch.tensor([3, 17, 8, 30, 21]), unit(5, seed)
    held = made.target_of[index].clone()
    best = max(
        sum(y[row] @ made.targets[held[column]] for row, column in enumerate(order)) for order in itertools.permutations(range(5))
    )
    made.reassign(index, y)
    assert score(made, index, y) == pytest.approx(best.item(), rel=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_the_score_never_falls_at_a_reassignment(baseline, seed):
    made, index, y = baseline("nat", seed=seed), torch.randperm(40)[:16], unit(16, seed)
    before = score(made, index, y)
    made.reassign(index, y)
    assert score(made, index, y) >= before - 1e-6
    assert is_permutation(made)


def test_an_optimal_assignment_stays_as_it_is(baseline):
    made, index = baseline("nat"), torch.randperm(40)[:16]
    y = made.targets[made.target_of[index]]
    before = made.target_of.clone()
    made.reassign(index, y)
    assert torch.equal(made.target_of, before)


def test_targets_of_other_samples_are_not_touched(baseline):
    made, index = baseline("nat"), torch.tensor([1, 2, 3, 5, 8, 13])
    before = made.target_of.clone()
    made.reassign(index, unit(6, 0))
    others = torch.ones(40, dtype=torch.bool)
    others[index] = False
    assert torch.equal(made.target_of[others], before[others])
    assert set(made.target_of[index].tolist()) == set(before[index].tolist())


def test_a_diverged_training_is_recorded_as_such_and_does_not_fail_in_the_assignment(tmp_path):
    request = {"data": "digits", "budget": "smoke", "evaluators": ["knn"], "references": False, "out": tmp_path}
    (record,) = harness.run(method="nat", options={"objective.lr": 1e30}, **request)
    assert record.status == "diverged"
    assert record.error.step <= 1
    assert record.error.terms["match/loss"] == "nan"


@pytest.mark.parametrize(("epoch", "exchanged"), [(0, True), (1, False), (2, False), (3, True), (6, True), (7, False)])
def test_targets_are_exchanged_in_every_third_epoch(baseline, step, epoch, exchanged):
    made = baseline("nat")
    before = made.target_of.clone()
    made.distance(step(n=30, epoch=epoch))
    assert torch.equal(made.target_of, before) is not exchanged


def test_only_the_encoder_is_trained(baseline):
    made = baseline("nat")
    (phase,) = made.phases()
    assert {id(parameter) for parameter in phase.parameters} == {id(parameter) for parameter in made.encoder.parameters()}


def test_the_papers_optimiser_can_be_had(baseline):
    (phase,) = baseline("nat", optimiser="sgd", lr=0.01).phases()
    optimiser = phase.optimiser(list(phase.parameters))
    assert isinstance(optimiser, torch.optim.SGD)
    assert (optimiser.param_groups[0]["lr"], optimiser.param_groups[0]["momentum"]) == (0.01, 0)


# ----------------------------------------------------------------------------------------- in the trainer's hands


def source():
    pixels = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    return harness.ImageSource(pixels, value_range=(-1.0, 1.0))


class Watching:
    """Looks at the table after every step."""

    def __init__(self, made):
        self.made, self.tables = made, []

    def __call__(self, steps, total, terms):
        self.tables.append(self.made.target_of.clone())


def trainer(made, epochs, **fields):
    return Trainer(made, source(), TrainOptions(epochs=epochs, batch_size=8), seed=0, fabric=make_fabric("cpu", "32"), **fields)


def test_the_table_is_a_permutation_in_every_epoch_and_changes_in_every_third(baseline, monkeypatch):
    made = baseline("nat", lr=1e-3)
    tables = {}
    after_step = type(made).after_step
    monkeypatch.setattr(
        type(made),
        "after_step",
        lambda self, step: tables.__setitem__(step.epoch, self.target_of.clone()) or after_step(self, step),
    )
    targets = made.targets.clone()
    trainer(made, 7).run()
    assert list(tables) == list(range(7))
    assert all(torch.equal(table.sort().values, torch.arange(40)) for table in tables.values())
    changed = [not torch.equal(tables[epoch], tables[epoch - 1]) for epoch in range(1, 7)]
    assert changed == [False, False, True, False, False, True]
    assert torch.equal(made.targets, targets)


def test_the_table_is_saved_and_resumed(baseline, tmp_path):
    whole = baseline("nat", lr=1e-3)
    trainer(whole, 7).run()

    path = tmp_path / "training.safetensors"
    begun = baseline("nat", lr=1e-3)
    trainer(begun, 4, checkpoint=path, checkpoint_every_s=0.0).run()
    tensors, document = checkpoints.load_tensors(path)
    assert document["step"] == 20
    assert torch.equal(tensors["network/target_of"], begun.target_of)

    resumed = baseline("nat", lr=1e-3, seed=5)  # other targets, until it is restored
    trainer(resumed, 7, checkpoint=path).run()
    assert torch.equal(resumed.target_of, whole.target_of)
    assert torch.equal(resumed.targets, whole.targets)
    for one, other in zip(resumed.encoder.parameters(), whole.encoder.parameters(), strict=True):
        assert torch.equal(one, other)


def test_training_moves_images_towards_their_targets(baseline):
    made = baseline("nat", lr=3e-3)
    log = trainer(made, 30)
    log.run()
    assert log.log[-1]["match/cosine"] > log.log[0]["match/cosine"] + 0.2

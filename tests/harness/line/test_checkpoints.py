from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    LambdaLR,
    MultiStepLR,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from harness.errors import PluginError, StorageError
from harness.ledger.identity import file_sha256
from harness.line.checkpoints import (
    load_tensors,
    network_state,
    optimiser_state,
    prefixed,
    read_document,
    restore_network,
    restore_optimiser,
    save_tensors,
    under,
)

# -------------------------------------------------------------------------------------------------------- files

TENSORS = {
    "float": torch.tensor([1.0, -0.0, torch.inf, torch.nan]),
    "double": torch.tensor(1 / 3, dtype=torch.float64),
    "bf16": torch.tensor([1.5], dtype=torch.bfloat16),
    "long": torch.tensor([2**62, -1]),
    "bytes": torch.tensor([[0, 255]], dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "empty": torch.zeros(0, 3),
}


def test_tensors_of_every_kind_come_back_bit_by_bit(tmp_path):
    save_tensors(tmp_path / "a.safetensors", TENSORS, {})
    loaded, _ = load_tensors(tmp_path / "a.safetensors")
    assert loaded.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert loaded[name].dtype == tensor.dtype
        assert loaded[name].shape == tensor.shape
        assert loaded[name].numpy(force=True).tobytes() == tensor.numpy(force=True).tobytes() if name != "bf16" else True
        assert torch.equal(loaded[name].nan_to_num(), tensor.nan_to_num())


def test_the_document_comes_back(tmp_path):
    document = {"step": 3, "stop": [None, 0.1], "text": "ü", "nested": {"a": [1, 2]}}
    save_tensors(tmp_path / "a.safetensors", {}, document)
    assert read_document(tmp_path / "a.safetensors") == document
    assert load_tensors(tmp_path / "a.safetensors")[1] == document


def test_tied_and_strided_tensors_are_saved(tmp_path):
    weight = torch.arange(6.0).reshape(2, 3)
    save_tensors(tmp_path / "a.safetensors", {"a": weight, "b": weight, "c": weight.T, "d": weight[:, 1]}, {})
    loaded, _ = load_tensors(tmp_path / "a.safetensors")
    assert torch.equal(loaded["c"], weight.T)
    assert torch.equal(loaded["b"], weight)
    assert loaded["d"].tolist() == [1.0, 4.0]


def test_the_document_keeps_its_order(tmp_path):
    save_tensors(tmp_path / "a.safetensors", {}, {"b": {"z": 1, "a": 2}, "a": 3})
    assert str(read_document(tmp_path / "a.safetensors")) == str({"b": {"z": 1, "a": 2}, "a": 3})


def test_the_same_tensors_give_the_same_bytes_in_any_order(tmp_path):
    save_tensors(tmp_path / "a.safetensors", TENSORS, {"a": 1})
    save_tensors(tmp_path / "b.safetensors", dict(reversed(TENSORS.items())), {"a": 1})
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_saving_returns_the_files_sha256(tmp_path):
    digest = save_tensors(tmp_path / "a.safetensors", TENSORS, {})
    assert digest == file_sha256(tmp_path / "a.safetensors")


def test_a_file_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        save_tensors(tmp_path / "file" / "a.safetensors", {}, {})


def test_prefixes_are_put_on_and_taken_off():
    tensors = {"a": torch.zeros(1), "b/c": torch.ones(1)}
    stored = prefixed("network", tensors) | prefixed("net", {"x": torch.zeros(1)})
    assert under("network", stored) == tensors
    assert set(under("net", stored)) == {"x"}


# ----------------------------------------------------------------------------------------------------- networks


class Late(nn.Module):
    """A network with buffers that are made, or change their form, in training; one of them not in its own state."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.tied = self.inner
        self.inner.register_buffer("table", None)
        self.register_buffer("queue", torch.zeros(0, 2))
        self.register_buffer("count", torch.tensor(0), persistent=False)


def test_network_state_has_parameters_buffers_and_tied_names():
    assert set(network_state(Late())) == {"inner.weight", "inner.bias", "tied.weight", "tied.bias", "queue", "count"}


def test_a_network_is_restored(tmp_path):
    trained, fresh = Late(), Late()
    trained.inner.table = torch.tensor([4, 2])
    trained.queue = torch.ones(3, 2)
    trained.count = torch.tensor(2.5)
    save_tensors(tmp_path / "a.safetensors", network_state(trained), {})
    restore_network(fresh, load_tensors(tmp_path / "a.safetensors")[0])
    assert network_state(fresh).keys() == network_state(trained).keys()
    for name, tensor in network_state(fresh).items():
        assert torch.equal(tensor, network_state(trained)[name])
        assert tensor.dtype == network_state(trained)[name].dtype


def test_parameters_are_restored_in_place():
    trained, fresh = nn.Linear(2, 2), nn.Linear(2, 2)
    weight = fresh.weight
    restore_network(fresh, network_state(trained))
    assert fresh.weight is weight
    assert torch.equal(weight, trained.weight)
    assert weight.requires_grad


def test_another_networks_tensors_are_refused():
    with pytest.raises((KeyError, AttributeError, RuntimeError)):
        restore_network(nn.Linear(2, 2), network_state(nn.Linear(3, 2)))
    with pytest.raises((KeyError, AttributeError)):
        restore_network(nn.Linear(2, 2), {"weight": torch.zeros(2, 2)})
    with pytest.raises((KeyError, AttributeError)):
        restore_network(nn.Linear(2, 2, bias=False), network_state(nn.Linear(2, 2)))


# --------------------------------------------------------------------------------------- optimisers and schedules

OPTIMISERS = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.1),
    "momentum": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9, weight_decay=0.1),
    "adam": lambda weights: torch.optim.Adam(weights, lr=0.1, betas=(0.5, 0.9), amsgrad=True),
    "adamw": lambda weights: torch.optim.AdamW(weights, lr=0.1),
    "rmsprop": lambda weights: torch.optim.RMSprop(weights, lr=0.1, momentum=0.5, centered=True),
    "adagrad": lambda weights: torch.optim.Adagrad(weights, lr=0.1),
    "nadam": lambda weights: torch.optim.NAdam(weights, lr=0.1),
    "rprop": lambda weights: torch.optim.Rprop(weights, lr=0.1),
    "groups": lambda weights: torch.optim.AdamW([{"params": weights[:1], "weight_decay": 0.0}, {"params": weights[1:], "lr": 0.3}]),
}
SCHEDULES = {
    "none": None,
    "step": lambda optimiser: StepLR(optimiser, 3),
    "multi": lambda optimiser: MultiStepLR(optimiser, [2, 6, 6, 11], gamma=0.5),
    "lambda": lambda optimiser: LambdaLR(optimiser, lambda update: 0.8**update),
    "cycle": lambda optimiser: OneCycleLR(optimiser, max_lr=0.5, total_steps=20),
    "restarts": lambda optimiser: CosineAnnealingWarmRestarts(optimiser, 3, 2),
    "cyclic": lambda optimiser: CyclicLR(optimiser, 0.1, 0.5, step_size_up=3, cycle_momentum=False),
    "sequential": lambda optimiser: SequentialLR(optimiser, [ConstantLR(optimiser, 0.5, 3), StepLR(optimiser, 2)], [4]),
    "chained": lambda optimiser: ChainedScheduler([ConstantLR(optimiser, 0.5, 3), MultiStepLR(optimiser, [5, 9])], optimiser),
}


class Training:
    """Twelve updates of two weights."""

    def __init__(self, optimiser, schedule):
        self.weights = [nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([[3.0]]))]
        self.optimiser = OPTIMISERS[optimiser](self.weights)
        self.schedule = SCHEDULES[schedule](self.optimiser) if SCHEDULES[schedule] else None
        self.rates = []

    def update(self, number):
        self.optimiser.zero_grad()
        sum((weight * (number + 1) - 1).square().sum() for weight in self.weights).backward()
        self.optimiser.step()
        if self.schedule:
            self.schedule.step()
        self.rates.append([group["lr"] for group in self.optimiser.param_groups])


def interrupted(optimiser, schedule, tmp_path):
    whole, first, second = (Training(optimiser, schedule) for _ in range(3))
    for number in range(12):
        whole.update(number)
    for number in range(4):
        first.update(number)
    tensors, document = optimiser_state("phase", first.optimiser, first.schedule)
    tensors["weights/0"], tensors["weights/1"] = first.weights
    save_tensors(tmp_path / "a.safetensors", tensors, document)
    loaded, document = load_tensors(tmp_path / "a.safetensors")
    restore_optimiser("phase", second.optimiser, second.schedule, loaded, document)
    with torch.no_grad():
        for number, weight in enumerate(second.weights):
            weight.copy_(loaded[f"weights/{number}"])
    for number in range(4, 12):
        second.update(number)
    return whole, second


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_restored_optimiser_goes_on_bit_by_bit(optimiser, tmp_path):
    whole, resumed = interrupted(optimiser, "none", tmp_path)
    assert all(torch.equal(one, other) for one, other in zip(whole.weights, resumed.weights, strict=True))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_restored_schedule_goes_on_with_the_same_rates(schedule, tmp_path):
    optimiser = "adam" if schedule != "cyclic" else "sgd"
    whole, resumed = interrupted(optimiser, schedule, tmp_path)
    assert resumed.rates == whole.rates[4:]
    assert all(torch.equal(one, other) for one, other in zip(whole.weights, resumed.weights, strict=True))


def test_integer_keys_and_counters_survive_json(tmp_path):
    _, resumed = interrupted("sgd", "multi", tmp_path)
    assert resumed.schedule.milestones == Counter({2: 1, 6: 2, 11: 1})
    assert isinstance(resumed.schedule.milestones, Counter)


def test_tuples_survive_json(tmp_path):
    _, resumed = interrupted("adam", "none", tmp_path)
    assert resumed.optimiser.param_groups[0]["betas"] == (0.5, 0.9)


def test_the_state_of_one_phase_is_not_taken_for_anothers():
    one, other = Training("adam", "none"), Training("momentum", "none")
    one.update(0)
    other.update(0)
    tensors, document = optimiser_state("a", one.optimiser, None)
    tensors |= optimiser_state("ab", other.optimiser, None)[0]
    fresh = Training("adam", "none")
    restore_optimiser("a", fresh.optimiser, None, tensors, document)
    assert set(fresh.optimiser.state[fresh.weights[0]]) == {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}


def test_state_that_json_cannot_hold_is_refused():
    training = Training("sgd", "none")
    training.optimiser.state[training.weights[0]]["history"] = [torch.zeros(1)]
    with pytest.raises(PluginError, match="the optimiser or schedule of this phase has state that cannot be saved"):
        optimiser_state("phase", training.optimiser, None)

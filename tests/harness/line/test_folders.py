from __future__ import annotations

import json

import msgspec
import pytest
import torch
from torch import nn

from harness import Description, Encoder
from harness.contracts.objective import TrainingResult
from harness.errors import StorageError
from harness.ledger.identity import file_sha256
from harness.ledger.runs import read_run
from harness.line.checkpoints import load_tensors
from harness.line.folders import RunFolder


class Layer(Encoder):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.feature_shapes = {"y": (3,)}

    def forward(self, batch):
        return {"y": self.layer(batch.values)}


class Decoding(nn.Module):
    """Stands for an objective: it exports a decoder."""

    def __init__(self):
        super().__init__()
        self.decoder = nn.Linear(3, 2)

    def exports(self):
        return {"decoder": self.decoder}


RESULT = TrainingResult(epochs=2, steps=6, best_step=4, best_value=0.5, last_terms={"predict/loss": 0.75})
LOG = [{"step": 0, "epoch": 0, "predict/loss": 1.0}, {"step": 3, "epoch": 1, "predict/loss": 0.75}]


@pytest.fixture
def run(toy):
    return toy.first()


@pytest.fixture
def folder(tmp_path, run):
    folder = RunFolder(tmp_path / "runs" / "blobs" / "squeeze")
    folder.open(run)
    return folder


def finish(folder, run, encoder, objective=None, result=RESULT, log=LOG):
    facts = {"seconds": 1.5, "classes": None, "multilabel": False, "threads": 1}
    description = Description(kind="vectors", shape=(2,), samples=9)
    return folder.finish(run, encoder, objective, result, log, description=description, **facts)


def test_opening_makes_the_folder_and_writes_the_plan(folder, run):
    assert read_run(folder.path) == run


def test_a_folder_that_cannot_be_made_is_a_storage_error_that_says_what_to_do(tmp_path, run):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be made: .*; choose another with --out"):
        RunFolder(tmp_path / "file" / "run").open(run)


def test_what_a_run_was_planned_with_first_stays(folder, toy, run):
    folder.open(toy.first(evaluators=("spread",), features=("hidden",)))
    assert read_run(folder.path).cells == run.cells


def test_the_plan_of_another_run_is_replaced(folder, toy):
    other = toy.first(seeds=(1,))
    folder.open(other)
    assert read_run(folder.path) == other


def test_a_plan_that_cannot_be_read_is_replaced(folder, run):
    (folder.path / "run.json").write_text("{")
    folder.open(run)
    assert read_run(folder.path) == run


def test_opening_removes_what_a_dead_process_was_writing(folder, run):
    from harness.ledger.whole_files import _place

    left = folder.path / f".tmp-{_place()}-999999999-00000000.safetensors"
    left.touch()
    folder.open(run)
    assert not left.exists()


def test_a_new_folder_is_not_trained(folder, run):
    assert folder.trained(run.identity) is None


def test_a_finished_training_is_found_again(folder, run):
    trained = finish(folder, run, Layer())
    assert folder.trained(run.identity) == trained
    assert trained.parameters == 9
    assert trained.selection.best_step == 4
    assert trained.selection.terms == {"predict/loss": 0.75}
    assert trained.checkpoint_sha256 == file_sha256(folder.model)


def test_a_run_that_does_not_train_has_no_selection(folder, run):
    assert finish(folder, run, Layer(), result=None, log=[]).selection is None


def test_the_loss_curve_is_a_row_a_line(folder, run):
    finish(folder, run, Layer())
    assert [json.loads(line) for line in (folder.path / "losses.jsonl").read_text().splitlines()] == LOG


def test_the_checkpoint_is_gone_when_training_is_finished(folder, run):
    folder.checkpoint.touch()
    finish(folder, run, Layer())
    assert not folder.checkpoint.exists()


def test_the_model_holds_the_encoder_and_what_the_objective_exports(folder, run):
    finish(folder, run, Layer(), Decoding())
    tensors, document = load_tensors(folder.model)
    assert set(tensors) == {
        "encoder/layer.weight",
        "encoder/layer.bias",
        "export/decoder/weight",
        "export/decoder/bias",
    }
    assert document == {"run": run.identity.sha256}


def test_the_model_is_loaded_back_bit_by_bit(folder, run):
    encoder, objective = Layer(), Decoding()
    finish(folder, run, encoder, objective)
    fresh, exports = Layer(), Decoding().exports()
    folder.load(fresh, exports)
    assert torch.equal(fresh.layer.weight, encoder.layer.weight)
    assert torch.equal(exports["decoder"].weight, objective.decoder.weight)


def test_the_encoder_can_be_loaded_alone(folder, run):
    encoder = Layer()
    finish(folder, run, encoder, Decoding())
    fresh = Layer()
    folder.load(fresh)
    assert torch.equal(fresh.layer.bias, encoder.layer.bias)


def test_the_same_weights_give_the_same_model_file(folder, run, tmp_path):
    encoder = Layer()
    other = RunFolder(tmp_path / "other")
    other.open(run)
    assert finish(folder, run, encoder).checkpoint_sha256 == finish(other, run, encoder).checkpoint_sha256


def damage_model(folder):
    folder.model.write_bytes(folder.model.read_bytes()[:-1] + b"\x01")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: folder.model.unlink(),
        damage_model,
        lambda folder: (folder.path / "training.json").write_text("{}"),
        lambda folder: (folder.path / "training.json").write_bytes(b"\xff"),
        lambda folder: (folder.path / "training.json").unlink(),
        lambda folder: folder.forget_training(),
    ],
    ids=["no model", "another model", "empty note", "damaged note", "no note", "forgotten"],
)
def test_a_damaged_training_counts_as_none(folder, run, damage):
    finish(folder, run, Layer())
    damage(folder)
    assert folder.trained(run.identity) is None


def test_the_training_of_another_run_counts_as_none(folder, run, toy):
    finish(folder, run, Layer())
    assert folder.trained(toy.first(seeds=(1,)).identity) is None


def test_forgetting_keeps_the_plan_and_the_features(folder, run):
    finish(folder, run, Layer())
    folder.features.mkdir()
    folder.forget_training()
    folder.forget_training()
    assert sorted(path.name for path in folder.path.iterdir()) == ["features", "losses.jsonl", "run.json"]


def test_the_note_of_a_training_is_plain_json(folder, run):
    finish(folder, run, Layer())
    document = msgspec.json.decode((folder.path / "training.json").read_bytes())
    assert document["run"] == run.identity.sha256
    assert document["description"] == {"kind": "vectors", "shape": [2], "samples": 9, "value_range": None}

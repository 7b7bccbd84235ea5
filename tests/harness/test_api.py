from __future__ import annotations

import errno
import inspect
import json
import os
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

import harness
from harness import UsageError
from harness.api import DEVICES
from harness.cli import main, running
from harness.errors import MissingDataError, StorageError, UnfitError, UnknownNameError
from harness.execution import Outcome
from harness.ledger import whole_files
from harness.ledger.frames import Records

AE = {"method": "ae", "data": "digits", "budget": "smoke", "evaluators": ["knn"], "threads": 1, "references": False}


@pytest.fixture(autouse=True)
def _no_data_roots(monkeypatch):
    monkeypatch.delenv("HARNESS_DATA", raising=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a finished run of AE on digits."""
    out = tmp_path_factory.mktemp("finished")
    harness.run(**AE, out=out)
    return out


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of the finished run's folder."""
    (run,) = Path(shutil.copytree(finished, tmp_path / "runs")).glob("digits/ae-*")
    return run


def digits():
    """The images as the data set `digits` delivers them: [1797, 1, 8, 8] in -1..1."""
    from sklearn.datasets import load_digits

    return (load_digits().images[:, None] / 8 - 1).astype(np.float32)


# ------------------------------------------------------------------------------------------------------------ run


def numbers(document):
    """What of a record must not depend on who asked for it, when."""
    kept = ("id", "run", "status", "identity", "budget", "reference", "metrics", "selection", "content_sha256", "n", "artifacts")
    return {key: document[key] for key in kept}


def test_a_store_that_cannot_be_written_is_noticed_before_training(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(whole_files, "_new_temporary", refuse)
    with pytest.raises(StorageError, match=r"records/record.json could not be written: the folder .*records is not writable"):
        harness.run(**AE, out=tmp_path / "runs", store=tmp_path / "records")
    assert not (tmp_path / "runs").exists()


def test_the_records_are_those_of_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours = harness.run(
        "ae", "digits", budget="smoke", evaluators=["knn"], seeds=2, options={"objective.lr": 2e-3}, threads=1, out="one"
    )
    with pytest.raises(SystemExit) as end:
        main(
            [
                "run",
                "--method",
                "ae",
                "--data",
                "digits",
                "--budget",
                "smoke",
                "--evaluators",
                "knn",
                "--seeds",
                "2",
                "-o",
                "objective.lr=2e-3",
                "--threads",
                "1",
                "--out",
                "two",
                "--json",
            ]
        )
    assert end.value.code == 0
    theirs = json.loads(capsys.readouterr().out)
    assert [numbers(json.loads(msgspec.json.encode(record))) for record in ours] == [numbers(document) for document in theirs]


def test_what_the_command_line_recorded_is_found(folder, capsys):
    records = harness.run(**AE, out=folder.parents[1])
    assert [record.attempt for record in records] == [1]


def test_run_answers_with_records(finished):
    assert isinstance(harness.run(**AE, out=finished), Records)


def test_to_frame_is_one_call(finished):
    frame = harness.run(**AE, out=finished).to_frame()
    assert list(frame["method"]) == ["ae"]
    assert list(frame["metric"]) == ["accuracy"]


def test_references_are_computed_unless_they_are_left_out(finished):
    records = harness.run(**(AE | {"references": True}), out=finished)
    assert {record.identity.method.name: record.reference for record in records} == {
        "ae": False, "majority": True, "random": True, "raw": True,
    }  # fmt: skip


def test_rerun_makes_another_attempt(folder):
    assert [record.attempt for record in harness.run(**AE, out=folder.parents[1], rerun=True)] == [2]


def test_records_can_be_kept_elsewhere(tmp_path):
    harness.run(**AE, out=tmp_path / "runs", store=tmp_path / "ledger")
    assert len(list((tmp_path / "ledger").rglob("*.json"))) == 1


def test_a_failed_cell_is_a_record(tmp_path):
    records = harness.run(**AE, options={"objective.lr": 1e30}, out=tmp_path)
    assert [record.status for record in records.failed] == ["diverged"]


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        ({}, [0]), ({"seed": 3}, [3]), ({"seeds": 2}, [0, 1]), ({"seeds": [4, 2]}, [4, 2]), ({"seeds": range(1, 3)}, [1, 2]),
        ({"seeds": (5, 5)}, [5]), ({"seeds": np.arange(2)}, [0, 1]), ({"seed": np.int64(3)}, [3]),
    ],
)  # fmt: skip
def test_seeds_are_one_a_number_of_them_or_the_seeds_themselves(tmp_path, given, seeds, monkeypatch):
    planned = []
    nothing = Outcome(records=[], computed=0, problems=[])
    monkeypatch.setattr("harness.api.execute", lambda work, *rest: planned.append(work) or nothing)
    harness.run(**AE, **given, out=tmp_path)
    assert [each.run.identity.seed for each in planned[0]] == seeds


@pytest.mark.parametrize(
    ("options", "typed"),
    [
        ({"objective.lr": 1e-3, "train.patience": None}, ("objective.lr=0.001", "train.patience=null")),
        ({"train.restore_best": True, "evaluator.knn.k": [1, 5]}, ("train.restore_best=true", "evaluator.knn.k=[1,5]")),
        ({"objective.loss": "bce"}, ("objective.loss=bce",)),
        ({"objective.lr": np.float32(0.5), "evaluator.knn.k": np.array([1, 5])}, ("objective.lr=0.5", "evaluator.knn.k=[1,5]")),
        (["objective.lr=1e-3"], ("objective.lr=1e-3",)),
        ("objective.lr=1e-3", ("objective.lr=1e-3",)),
        ((), ()),
    ],
)
def test_options_are_a_mapping_or_as_typed(options, typed):
    assert harness.api._assignments(options) == typed


def test_one_evaluator_or_feature_may_be_named_without_a_list(tmp_path):
    records = harness.run(**(AE | {"evaluators": "knn"}), features="fc", out=tmp_path)
    assert [(record.identity.evaluator.name, record.identity.feature) for record in records] == [("knn", "fc")]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"seed": 1, "seeds": 2}, r"^Give either `seed` \(that one\) or `seeds`"),
        ({"seeds": 0}, "^`seeds` is 0; give at least one seed"),
        ({"seeds": []}, r"^`seeds` is \[\]; give at least one seed"),
        ({"seeds": [0, -1]}, "none of them below 0"),
        ({"seed": -1}, "^`seeds` is -1"),
        ({"seed": 1.5}, "^Seeds are whole numbers"),
        ({"seeds": "5"}, "^Seeds are whole numbers"),
        ({"evaluators": []}, "^`evaluators` names nothing; leave it out for the default"),
        ({"features": ()}, "^`features` names nothing; leave it out for the default"),
        ({"device": "gpu"}, "^`device` is 'gpu'; it is one of auto, cpu, cuda"),
        ({"precision": "16"}, "^`precision` is '16'; it is one of 32, bf16"),
        ({"threads": 0}, "^`threads` is 0; at least one thread is needed"),
        ({"budget": "smok"}, "^There is no budget named 'smok'; did you mean 'smoke'"),
        ({"data": np.zeros((3, 4))}, "^`data` is a ndarray; give a name, or wrap it with harness.from_arrays"),
        ({"options": {"objective.lrr": 1}}, "^Option objective.lrr does not exist; did you mean objective.lr"),
        ({"options": {"encoder": {"width": 8}}}, "is not of the form PART.KEY=VALUE"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, given, sentence):
    with pytest.raises(UsageError, match=sentence) as caught:
        harness.run(**(AE | given), out=tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_data_that_cannot_be_had_are_a_data_error(tmp_path, monkeypatch):
    def unreachable(*arguments, **keywords):
        raise ConnectionError

    monkeypatch.setattr("pooch.retrieve", unreachable)
    with pytest.raises(MissingDataError, match="Data set cora lacks the file"):
        harness.run("dgi", "cora", budget="smoke", out=tmp_path)


def test_the_verbs_take_what_the_commands_take():
    """Every flag of `harness run` that says what to compute or where is an argument of harness.run."""
    only_there = {"suite", "dry_run", "as_json", "checkpoint_every"}
    assert {parameter.name for parameter in running.run.params} - only_there == set(inspect.signature(harness.run).parameters)


def test_the_devices_are_those_of_the_command_line():
    assert running.DEVICES == DEVICES


# ------------------------------------------------------------------------------------------------- evaluate, prepare


def test_an_old_run_is_judged_by_another_evaluator(folder):
    records = harness.evaluate(folder, ["logistic"])
    assert [(record.status, record.identity.evaluator.name) for record in records] == [("ok", "logistic")]
    assert len(harness.run(**AE, out=folder.parents[1])) == 1


def test_an_old_run_is_not_trained_again(folder):
    before = (folder / "model.safetensors").stat().st_mtime_ns
    harness.evaluate(str(folder), "knn", features="conv", threads=1, rerun=True)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_evaluating_again_finds_the_record(folder):
    assert [harness.evaluate(folder, ["knn"])[0].attempt for _ in range(2)] == [1, 1]
    assert harness.evaluate(folder, ["knn"], rerun=True)[0].attempt == 2


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"evaluators": []}, "^`evaluators` names nothing"),
        ({"evaluators": ["svmm"]}, "did you mean 'svm'"),
        ({"evaluators": ["knn"], "features": ["z"]}, "no feature of encoder image-small named 'z'"),
        ({"evaluators": ["knn"], "options": {"objective.lr": 1}}, "belongs to the training, which is done"),
        ({"evaluators": ["knn"], "device": "gpu"}, "^`device` is 'gpu'"),
    ],
)
def test_a_mistake_in_evaluating_is_one_sentence(folder, given, sentence):
    with pytest.raises(UsageError, match=sentence):
        harness.evaluate(folder, **given)


@pytest.mark.parametrize("call", [lambda place: harness.evaluate(place, ["knn"]), harness.load])
def test_a_folder_that_is_no_run_is_refused(tmp_path, call):
    with pytest.raises(UsageError, match="is not a run folder: it has no run.json"):
        call(tmp_path)


@pytest.mark.parametrize("call", [lambda place: harness.evaluate(place, ["knn"]), harness.load])
def test_a_training_that_is_not_finished_is_refused(folder, call):
    (folder / "training.json").unlink()
    with pytest.raises(UsageError, match="holds no finished training"):
        call(folder)


def test_prepare_gives_the_places_of_files():
    assert harness.prepare("digits", "sbm") == {"digits": {}, "sbm": {}}


# ------------------------------------------------------------------------------------------------------------ load


@pytest.fixture(scope="module")
def trained(finished):
    (folder,) = finished.glob("digits/ae-*")
    return harness.load(folder)


@pytest.fixture(scope="module")
def stored(finished):
    """The representation that the run was judged on, [1797, 64]."""
    (file,) = finished.glob("digits/ae-*/features/y.npy")
    return np.load(file)


def test_a_loaded_encoder_gives_the_stored_representation(trained, stored):
    np.testing.assert_allclose(trained.encode(digits()), stored, rtol=1e-5, atol=1e-5)


def test_numpy_and_torch_are_the_same_to_it(trained):
    images = digits()[:20]
    np.testing.assert_array_equal(trained.encode(images), trained.encode(torch.tensor(images)))


def test_an_array_that_cannot_be_written_to_or_runs_backwards_is_taken(trained, stored):
    images = digits()[:10]
    images.flags.writeable = False
    np.testing.assert_allclose(trained.encode(images[::-1]), stored[:10][::-1], rtol=1e-5, atol=1e-5)


def test_the_order_of_samples_is_kept_over_batches(trained, stored):
    np.testing.assert_allclose(trained.encode(digits()[:50], batch_size=7), stored[:50], rtol=1e-5, atol=1e-5)


def test_bytes_are_scaled_to_the_range_it_was_trained_on(trained):
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    np.testing.assert_allclose(trained.encode(images), trained.encode(images / np.float32(127.5) - 1), rtol=1e-4, atol=1e-4)


def test_another_feature_can_be_asked_for(trained):
    assert trained.encode(digits()[:3], "conv").shape == (3, *trained.features["conv"])


def test_the_features_it_offers_have_shapes(trained):
    assert trained.features == {"y": (64,), "fc": (128,), "conv": (32, 4, 4), "local": (16, 8, 8)}


def test_an_unknown_feature_is_named(trained):
    with pytest.raises(UnknownNameError, match="no feature named 'z'; known: y, fc, conv"):
        trained.encode(digits()[:3], "z")
    with pytest.raises(UnknownNameError, match="no feature named 'convv'; did you mean 'conv'"):
        trained.encode(digits()[:3], "convv")


def test_a_batch_or_source_can_be_encoded_whatever_its_numbers(trained, stored):
    source = harness.ImageSource(torch.tensor(digits()))
    part = source.subset(np.array([3, 1000]))
    np.testing.assert_allclose(trained.encode(part), stored[[3, 1000]], rtol=1e-5, atol=1e-5)
    (batch,) = part.in_order(8)
    np.testing.assert_allclose(trained.encode(batch), stored[[3, 1000]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (np.zeros((3, 1, 9, 9)), r"samples of shape \(1, 9, 9\); ae on digits, seed 0, reads images of \(1, 8, 8\)"),
        (np.zeros((3, 64)), "The new data are vectors"),
        (np.zeros(64), r"New data have shape \(64,\)"),
        ([["a", "b"]], "`data` cannot be read as an array of numbers"),
        (np.zeros((3, 1, 8, 8), dtype=np.int64), "uint8 or float pixels"),
    ],
)
def test_new_data_of_another_form_are_refused(trained, data, sentence):
    with pytest.raises(UsageError, match=sentence):
        trained.encode(data)


def test_the_encoder_is_a_torch_module_in_eval_mode(trained):
    assert isinstance(trained.encoder, torch.nn.Module)
    assert not trained.encoder.training


def test_decoding_gives_inputs_back(trained, stored):
    decoded = trained.decode(stored[:5])
    assert decoded.shape == (5, 1, 8, 8)
    assert not decoded.requires_grad


def test_what_was_encoded_is_decoded_near_where_it_was(tmp_path):
    (record,) = harness.run(**(AE | {"budget": "fast"}), out=tmp_path)
    (folder,) = tmp_path.glob("digits/ae-*")
    run, images = harness.load(folder), digits()
    error = (run.decode(run.encode(images)).numpy() - images) ** 2
    assert error.mean() < 0.5 * images.var()
    assert record.status == "ok"


def test_decoding_takes_a_tensor_with_a_gradient(trained, stored):
    y = torch.tensor(stored[:2], requires_grad=True)
    torch.testing.assert_close(trained.decode(y), trained.decode(stored[:2]))


def test_a_run_without_a_generator_says_what_it_has(trained):
    with pytest.raises(UsageError, match="has no generator; modules it offers: decoder"):
        trained.generate(4)


def test_a_run_without_training_can_be_loaded_and_has_no_decoder(tmp_path):
    harness.run("raw", "digits", evaluators=["knn"], out=tmp_path)
    (folder,) = tmp_path.glob("digits/raw-*")
    run = harness.load(folder)
    np.testing.assert_allclose(run.encode(digits()[:4]), digits()[:4].reshape(4, -1))
    with pytest.raises(UsageError, match="has no decoder; modules it offers: none"):
        run.decode(np.zeros((1, 64)))


def test_a_damaged_model_is_not_loaded(folder):
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    with pytest.raises(UsageError, match=r"holds no finished training, .* with --rerun trains anew"):
        harness.load(folder)


def test_an_interrupted_training_is_not_loaded_and_can_be_continued(folder):
    (folder / "training.json").unlink()
    (folder / "training.safetensors").touch()
    with pytest.raises(UsageError, match=r"holds no finished training; the run's own command continues it"):
        harness.load(folder)


# ---------------------------------------------------------------------------------------------- data of one's own


def images(n=40, seed=0):
    return np.random.default_rng(seed).random((n, 1, 8, 8), dtype=np.float32)


LABELS = np.arange(40) % 2


def test_images_of_ones_own_are_judged_like_any_data_set(tmp_path):
    records = harness.run(
        "ae", harness.from_arrays(images(), LABELS, value_range=(0.0, 1.0)), budget="smoke", evaluators=["knn"], out=tmp_path
    )
    assert [record.identity.method.name for record in records] == ["ae", "majority", "random", "raw"]
    assert {record.status for record in records} == {"ok"}


def test_vectors_of_ones_own_are_judged_like_any_data_set(tmp_path):
    records = harness.run("raw", harness.from_arrays(images()[:, 0, 0], LABELS), budget="smoke", out=tmp_path)
    assert [record.identity.evaluator.name for record in records] == ["logistic-lbfgs", "svm", "knn"]
    assert {record.status for record in records} == {"ok"}


def test_several_binary_labels_are_judged_by_probes_that_can(tmp_path):
    labels = np.stack([LABELS, 1 - LABELS], axis=1)
    records = harness.run("raw", harness.from_arrays(images()[:, 0, 0], labels), budget="smoke", out=tmp_path)
    assert {record.status for record in records} == {"ok"}
    assert {record.metrics[0].name for record in records} == {"micro_f1"}


def test_the_parts_that_were_passed_in_are_used(tmp_path):
    data = harness.from_arrays(images()[:, 0, 0], LABELS, train=np.arange(10), validation=np.arange(10, 20), test=np.arange(20, 40))
    (record,) = harness.run("raw", data, evaluators=["knn"], out=tmp_path)
    assert record.n == {"train": 10, "validation": 10, "test": 20}


def test_without_parts_a_stratified_fifth_is_the_test_part(tmp_path):
    (record,) = harness.run("raw", harness.from_arrays(images()[:, 0, 0], LABELS), evaluators=["knn"], out=tmp_path)
    assert record.n == {"train": 32, "test": 8}


def test_training_sees_the_training_part_only():
    data = harness.from_arrays(images(), LABELS, train=np.arange(10), test=np.arange(10, 40))
    dataset = data.build(None, None)
    assert dataset.pretrain.index.tolist() == list(range(10))
    assert len(dataset.inputs) == 40


def test_masks_are_sample_numbers():
    mask = LABELS.astype(bool)
    data = harness.from_arrays(images(), LABELS, train=mask, test=~mask)
    splits = data.build(None, None).annotations.splits["user"]
    assert splits.train.tolist() == np.flatnonzero(mask).tolist()
    assert data.spec.recipe == harness.from_arrays(images(), LABELS, train=np.flatnonzero(mask), test=~mask).spec.recipe


def test_the_drawn_parts_hold_each_class_in_proportion_and_every_sample_once():
    labels = np.repeat([0, 1, 2, 3], [20, 10, 9, 1])
    splits = harness.from_arrays(images(), labels).build(None, None).annotations.splits["user"]
    assert np.bincount(labels[splits.test], minlength=4).tolist() == [4, 2, 1, 0]
    assert sorted([*splits.train, *splits.test]) == list(range(40))


def test_the_drawn_parts_are_the_same_every_time():
    one, other = (harness.from_arrays(images(), LABELS).build(None, None).annotations.splits["user"] for _ in range(2))
    assert one.test.tolist() == other.test.tolist()


def test_the_same_arrays_are_the_same_data():
    assert harness.from_arrays(images(), LABELS).spec == harness.from_arrays(torch.tensor(images()), LABELS.tolist()).spec


@pytest.mark.parametrize(
    "other",
    [
        lambda: harness.from_arrays(images(seed=1), LABELS),
        lambda: harness.from_arrays(images(), 1 - LABELS),
        lambda: harness.from_arrays(images()),
        lambda: harness.from_arrays(images(), LABELS, value_range=(0.0, 1.0)),
        lambda: harness.from_arrays(images(), LABELS, train=[0, 1], test=[2, 3]),
        lambda: harness.from_arrays(images(), LABELS, train=[2, 3], test=[0, 1]),
        lambda: harness.from_arrays(images(), LABELS, train=[0, 1], test=[2, 3], validation=[4, 5]),
        lambda: harness.from_arrays(images().reshape(40, 64), LABELS),
    ],
)
def test_other_arrays_labels_ranges_or_parts_are_other_data(other):
    this, that = harness.from_arrays(images(), LABELS), other()
    assert this.spec.name != that.spec.name
    assert this.spec.recipe != that.spec.recipe


def test_the_range_of_vectors_is_part_of_what_they_are():
    flat = images().reshape(40, 64)
    assert harness.from_arrays(flat).spec.recipe != harness.from_arrays(flat, value_range=(0.0, 1.0)).spec.recipe


def test_data_of_one_name_and_other_content_are_never_taken_for_the_same(tmp_path):
    one, other = (harness.from_arrays(images(seed=seed)[:, 0, 0], LABELS, name="mine") for seed in (0, 1))
    (first,) = harness.run("raw", one, evaluators=["knn"], out=tmp_path)
    (second,) = harness.run("raw", other, evaluators=["knn"], out=tmp_path)
    assert first.identity.data.name == second.identity.data.name == "mine"
    assert first.id != second.id
    assert first.content_sha256 != second.content_sha256


def test_a_name_of_ones_own_shows_in_the_record_as_the_users(tmp_path):
    data = harness.from_arrays(images()[:, 0, 0], LABELS, name="mine")
    (record,) = harness.run("raw", data, evaluators=["knn"], out=tmp_path)
    assert (record.identity.data.name, record.identity.data.distribution) == ("mine", "user")


@pytest.mark.parametrize("name", ["digits", "Mine!", "a b"])
def test_a_name_that_is_taken_or_none_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=name):
        harness.run("raw", harness.from_arrays(images(), LABELS, name=name), evaluators=["knn"], out=tmp_path)


def test_without_labels_an_evaluator_that_needs_them_is_refused(tmp_path):
    with pytest.raises(UnfitError, match="needs labels, and data set user-.* has none"):
        harness.run("raw", harness.from_arrays(images()), out=tmp_path)


def test_a_method_that_does_not_fit_ones_own_data_is_refused(tmp_path):
    with pytest.raises(
        UnfitError, match=r"Method ae has no encoder for the samples of data set user-.*, whose shape is \(3, 5, 5\)"
    ):
        harness.run("ae", harness.from_arrays(np.zeros((40, 3, 5, 5), dtype=np.float32), LABELS), out=tmp_path)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"values": np.zeros(5)}, r"^`values` has shape \(5,\); give images \[N, C, H, W\] or vectors \[N, D\]"),
        ({"values": np.zeros((0, 4))}, "it holds no sample"),
        ({"values": np.full((3, 4), np.nan)}, "^`values` holds values that are NaN or infinite"),
        ({"values": [["a"]]}, "^`values` cannot be read as an array of numbers"),
        ({"values": [[1.0], [1.0, 2.0]]}, "^`values` cannot be read as an array of numbers"),
        ({"values": np.zeros((3, 1, 8, 8), dtype=np.int64)}, "uint8 or float pixels"),
        ({"labels": LABELS[:-1]}, r"^`labels` has shape \(39,\); for 40 samples it is \[40\] or \[40, K\]"),
        ({"labels": np.zeros((40, 2, 2))}, "^`labels` has shape"),
        ({"labels": 3}, "^`labels` has shape"),
        ({"labels": ["cat"] * 40}, "^`labels` cannot be read as an array of numbers"),
        ({"labels": LABELS + 0.5}, "^`labels` must hold the class numbers"),
        ({"labels": LABELS - 2}, "^`labels` must hold the class numbers"),
        ({"labels": np.full(40, -1)}, "^`labels` must hold the class numbers"),
        ({"labels": np.arange(40)[:, None]}, "must hold 0 and 1 only"),
        ({"labels": np.arange(40)}, "too few samples of each class to draw a test part"),
        ({"train": [0, 1]}, "^Give both `train` and `test`, or neither"),
        ({"test": [0, 1]}, "^Give both `train` and `test`, or neither"),
        ({"train": [0, 1], "test": [1, 2]}, "share samples"),
        ({"train": [0, 0], "test": [1]}, "share samples"),
        ({"train": [0], "test": [1], "validation": [1]}, "share samples"),
        ({"train": [0], "test": [40]}, "^`test` must hold sample numbers from 0 to 39"),
        ({"train": [-1], "test": [0]}, "^`train` must hold sample numbers"),
        ({"train": [0.5], "test": [0]}, "^`train` must hold sample numbers"),
        ({"train": [], "test": [0]}, "^`train`"),
        ({"train": np.ones(39, dtype=bool), "test": [0]}, r"^The mask `train` has shape \(39,\); for 40 samples it is \[40\]"),
        ({"train": np.ones(40, dtype=bool), "test": np.zeros(40, dtype=bool)}, "^`test` holds no sample"),
    ],
)
def test_arrays_that_make_no_data_set_are_one_sentence(given, sentence):
    with pytest.raises(UsageError, match=sentence) as caught:
        harness.from_arrays(**({"values": images(), "labels": LABELS} | given))
    assert "\n" not in str(caught.value)


def test_an_unknown_label_is_nan_or_minus_one():
    unknown = np.where(LABELS == 0, np.nan, LABELS)
    labels = harness.from_arrays(images(), unknown, train=[0], test=[1]).build(None, None).annotations.labels
    assert labels.tolist() == np.where(LABELS == 0, -1, LABELS).tolist()


def test_a_run_on_ones_own_data_is_judged_again_with_the_same_data(tmp_path):
    data = harness.from_arrays(images(), LABELS, value_range=(0.0, 1.0))
    harness.run("ae", data, budget="smoke", evaluators=["knn"], references=False, out=tmp_path)
    (folder,) = tmp_path.glob("*/ae-*")
    assert harness.evaluate(folder, ["logistic"], data=data)[0].status == "ok"


def test_a_run_on_ones_own_data_can_be_loaded_without_them(tmp_path):
    harness.run(
        "ae", harness.from_arrays(images(), LABELS), budget="smoke", evaluators=["knn"], references=False, out=tmp_path, threads=1
    )
    (folder,) = tmp_path.glob("*/ae-*")
    np.testing.assert_allclose(harness.load(folder).encode(images()), np.load(folder / "features" / "y.npy"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (None, r"was trained on data passed in from Python; pass the same again: harness.evaluate\(..., data=...\)"),
        (harness.from_arrays(images(seed=1), LABELS), "is not what .* was trained on"),
        (harness.from_arrays(images(seed=1), LABELS, name="mine"), "is not what .* was trained on"),
    ],
)
def test_a_run_on_ones_own_data_is_never_judged_with_others(tmp_path, data, sentence):
    harness.run(
        "ae", harness.from_arrays(images(), LABELS, name="mine"), budget="smoke", evaluators=["knn"], references=False, out=tmp_path
    )
    (folder,) = tmp_path.glob("*/ae-*")
    with pytest.raises(UsageError, match=sentence):
        harness.evaluate(folder, ["logistic"], data=data)


# --------------------------------------------------------------------------------------------- a graph of one's own


def pieces(seed=0):
    """Two groups of 20 nodes with features of their own and edges among themselves."""
    rng = np.random.default_rng(seed)
    labels = np.arange(40) % 2
    x = (rng.random((40, 6)) < np.where(labels[:, None] == np.arange(6) % 2, 0.8, 0.2)).astype(np.float32)
    ends = rng.integers(0, 20, (2, 120)) * 2
    return {"x": x, "edge_index": ends + rng.integers(0, 2, 120), "labels": labels}


GRAPH = {"method": "dgi", "budget": "smoke", "evaluators": ["knn"], "references": False, "threads": 1}


def test_a_graph_in_pieces_is_judged_like_any_data_set(tmp_path):
    records = harness.run(**(GRAPH | {"references": True}), data=harness.from_graph(**pieces()), out=tmp_path)
    assert [record.identity.method.name for record in records] == ["dgi", "majority", "random", "raw"]
    assert {record.status for record in records} == {"ok"}


def test_a_loaded_encoder_reads_another_graph(tmp_path):
    data = harness.from_graph(**pieces())
    harness.run(**GRAPH, data=data, out=tmp_path)
    (folder,) = tmp_path.glob("*/dgi-*")
    run = harness.load(folder)
    np.testing.assert_allclose(run.encode(data.build(None, None).inputs), np.load(folder / "features" / "node.npy"), atol=1e-5)


def torch_geometric_data(**changes):
    geometric = pytest.importorskip("torch_geometric.data")
    given = pieces() | changes
    fields = {"x": given["x"], "edge_index": given["edge_index"], "y": given["labels"]}
    fields |= {name: value for name, value in given.items() if name.endswith("mask")}
    return geometric.Data(**{name: torch.tensor(value) for name, value in fields.items()})


def test_a_torch_geometric_graph_is_the_same_as_its_pieces():
    assert harness.from_graph(torch_geometric_data()).spec == harness.from_graph(**pieces()).spec


def test_a_torch_geometric_graph_brings_its_masks():
    train = np.arange(40) < 10
    test = np.arange(40) >= 30
    data = torch_geometric_data(train_mask=train, val_mask=~train & ~test, test_mask=test)
    splits = harness.from_graph(data).build(None, None).annotations.splits["user"]
    assert [len(part) for part in splits.parts().values()] == [10, 20, 10]


def test_a_torch_geometric_graph_can_be_encoded(tmp_path):
    data = torch_geometric_data()
    harness.run(**GRAPH, data=harness.from_graph(data), out=tmp_path)
    (folder,) = tmp_path.glob("*/dgi-*")
    np.testing.assert_allclose(harness.load(folder).encode(data), np.load(folder / "features" / "node.npy"), atol=1e-5)


def test_a_graph_with_another_number_of_features_is_refused(tmp_path):
    harness.run(**GRAPH, data=harness.from_graph(**pieces()), out=tmp_path)
    (folder,) = tmp_path.glob("*/dgi-*")
    with pytest.raises(UsageError, match=r"samples of shape \(4,\); .* reads graph of \(6,\)"):
        harness.load(folder).encode(torch_geometric_data(x=pieces()["x"][:, :4]))


def test_what_is_given_stands_over_what_the_graph_holds():
    labels = 1 - pieces()["labels"]
    given = harness.from_graph(torch_geometric_data(), labels=labels).build(None, None).annotations.labels
    assert given.tolist() == labels.tolist()


def test_an_edge_may_be_given_once_or_twice():
    graph = pieces()
    both = np.concatenate([graph["edge_index"], graph["edge_index"][::-1]], axis=1)
    assert harness.from_graph(**graph).spec == harness.from_graph(**(graph | {"edge_index": both})).spec


def test_training_sees_the_whole_graph():
    dataset = harness.from_graph(**pieces(), train=[0, 1], test=[2, 3]).build(None, None)
    assert dataset.pretrain is dataset.inputs


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"x": None}, "^A graph needs `x`"),
        ({"edge_index": None}, "^A graph needs `x`"),
        ({"x": np.zeros(40)}, r"^`x` has shape \(40,\); node features are \[N, F\]"),
        ({"x": np.full((40, 2), np.inf)}, "^`x` holds values that are NaN or infinite"),
        ({"edge_index": np.zeros((3, 5), dtype=np.int64)}, r"^`edge_index` is torch.int64 of shape \(3, 5\)"),
        ({"edge_index": np.zeros((2, 5))}, "node pairs are whole numbers"),
        ({"edge_index": np.array([[0], [40]])}, "^`edge_index` names nodes 0 to 40; there are 40 nodes, counted from 0"),
        ({"edge_index": np.array([[-1], [3]])}, "^`edge_index` names nodes -1 to 3"),
        ({"labels": np.zeros(39)}, "^`labels` has shape"),
        ({"train": np.zeros((40, 10), dtype=bool), "test": [0]}, r"^The mask `train` has shape \(40, 10\)"),
    ],
)
def test_pieces_that_make_no_graph_are_one_sentence(changes, sentence):
    with pytest.raises(UsageError, match=sentence):
        harness.from_graph(**(pieces() | changes))

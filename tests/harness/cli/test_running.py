from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.cli.running import command_line, evaluate, prepare, run
from harness.ledger.records import Record, decode_record, encode_record
from harness.ledger.stores import FolderStore

PLAIN = (
    *("run", "--method", "ae", "--data", "digits", "--budget", "smoke", "--evaluators", "knn"),
    *("--threads", "1", "--no-references"),
)
BROKEN = Path(__file__).parents[2] / "broken_plugins"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def listing(folder):
    """Every file below `folder` with its time of change."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def flags(command):
    return {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts) if flag.startswith("-")}


# -------------------------------------------------------------------------------------------------- the contract


@pytest.mark.parametrize(
    "flag",
    [
        "--method", "--data", "--seed", "--seeds", "--protocol", "--encoder", "--features", "--evaluators", "-o", "--budget",
        "--device", "--precision", "--threads", "--out", "--store", "--no-references", "--dry-run", "--rerun", "--json", "--suite",
        "--trust-first",
    ],
)  # fmt: skip
def test_run_has_the_flags_that_scripts_rely_on(flag):
    assert flag in flags(run)


@pytest.mark.parametrize("flag", ["--evaluators", "--features", "-o", "--json"])
def test_evaluate_has_the_flags_that_scripts_rely_on(flag):
    assert flag in flags(evaluate)


def test_prepare_takes_trust_first():
    assert "--trust-first" in flags(prepare)


def test_the_defaults_are_those_of_the_contract():
    defaults = {parameter.name: parameter.to_info_dict()["default"] for parameter in run.params}
    assert (str(defaults["out"]), defaults["device"], defaults["references"]) == ("runs", "auto", True)


# ------------------------------------------------------------------------------------------------------- run


def test_a_run_ends_with_code_0_and_one_record_per_cell(cli):
    answer = cli(*PLAIN, "--json")
    assert answer.code == 0
    assert [record["status"] for record in answer.document] == ["ok"]


def test_the_json_document_is_the_list_of_valid_records(cli, runs):
    for document in cli(*cli.ae, "--json").document:
        assert isinstance(decode_record(json.dumps(document).encode()), Record)


def test_reference_rows_are_planned_with_the_request_and_flagged(cli, runs):
    rows = {record["identity"]["method"]["name"]: record["reference"] for record in cli(*cli.ae, "--json").document}
    assert rows == {"ae": False, "random": True, "raw": True, "majority": True}


def test_no_references_leaves_the_reference_rows_out(cli, runs):
    assert [record["identity"]["method"]["name"] for record in cli(*PLAIN, "--json").document] == ["ae"]


def test_progress_goes_to_stderr_alone(cli):
    answer = cli(*PLAIN, "--json")
    assert "1 run, 1 cell to compute" in answer.err
    assert "ae on digits, seed 0" in answer.err
    assert answer.document


def test_the_length_is_said_before_anything_is_computed(cli):
    assert "ae: 1 epoch, budget smoke" in cli(*PLAIN).err.splitlines()[0]


def test_the_default_budget_is_paper(cli):
    answer = cli("run", "--method", "ae", "--data", "digits", "--dry-run")
    assert "ae on digits, seed 0: 50 epochs" in answer.out


def test_a_second_identical_run_computes_nothing(cli, runs):
    before = listing(runs)
    answer = cli(*cli.ae)
    assert answer.code == 0
    assert "0 cells computed, 4 found" in answer.out
    assert listing(runs) == before


def test_only_what_is_missing_is_computed(cli, runs):
    answer = cli(*cli.ae, "--seeds", "2", "--no-references")
    assert "1 cell computed, 1 found" in answer.out


def test_another_evaluator_does_not_train_again(cli, ae_run):
    before = (ae_run / "model.safetensors").stat().st_mtime_ns
    answer = cli(*PLAIN, "--evaluators", "knn,logistic")
    assert "1 cell computed, 1 found" in answer.out
    assert (ae_run / "model.safetensors").stat().st_mtime_ns == before


def test_an_interrupted_training_is_continued(cli, ae_run, runs):
    (ae_run / "training.json").unlink()
    for record in (runs / "records" / "digits" / "ae").iterdir():
        record.unlink()
    assert cli(*PLAIN, "--json").document[0]["status"] == "ok"
    assert (ae_run / "training.json").exists()


def test_rerun_makes_a_second_attempt_and_keeps_the_first(cli, runs):
    (first,) = FolderStore(runs / "records").attempts_of("digits", "ae")
    answer = cli(*PLAIN, "--rerun", "--json")
    assert answer.document[0]["attempt"] == 2
    attempts = list(FolderStore(runs / "records").attempts_of("digits", "ae"))
    assert [attempt.attempt for attempt in attempts] == [1, 2]
    assert attempts[0] == first


def test_rerun_trains_anew_and_agrees_with_the_first_attempt(cli, runs):
    cli(*PLAIN, "--rerun")
    first, second = FolderStore(runs / "records").attempts_of("digits", "ae")
    assert second.metrics == first.metrics
    assert second.artifacts == first.artifacts


def test_the_command_is_recorded_without_the_path_of_the_program(cli):
    assert cli(*PLAIN, "--json").document[0]["passed"]["command"].startswith("harness run --method ae")


@pytest.mark.parametrize(
    ("typed", "recorded"),
    [
        ("/home/ada/runs", "runs"),
        ("/home/ada/runs/", "runs/"),
        ("/runs", "runs"),
        ("--out=/home/ada/runs", "--out=runs"),
        ("folder:/home/ada/photos", "folder:photos"),
        ("cora,folder:/home/ada/photos", "cora,folder:photos"),
        ("data.files=/home/ada/a,/home/ada/b", "data.files=a,b"),
        ("runs/digits/ae-s0-1f0c2d3e", "runs/digits/ae-s0-1f0c2d3e"),
        ("hf:owner/name", "hf:owner/name"),
        ("hf:https://hub.example/owner", "hf:https://hub.example/owner"),
        ("objective.lr=0.1", "objective.lr=0.1"),
    ],
)
def test_the_recorded_command_has_of_absolute_paths_the_last_part_alone(typed, recorded, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/opt/bin/harness", "run", typed])
    assert command_line() == f"harness run {recorded}"


# ------------------------------------------------------------------------------------- which seeds, which cells


def seeds_of(answer):
    return [entry["seed"] for entry in answer.document]


def test_the_default_seed_is_0(cli):
    assert seeds_of(cli(*PLAIN, "--dry-run", "--json")) == [0]


def test_seeds_says_how_many(cli):
    assert seeds_of(cli(*PLAIN, "--seeds", "3", "--dry-run", "--json")) == [0, 1, 2]


def test_seed_says_which(cli):
    assert seeds_of(cli(*PLAIN, "--seed", "3", "--dry-run", "--json")) == [3]


def test_a_seed_of_any_size_is_taken(cli):
    assert seeds_of(cli(*PLAIN, "--seed", str(2**63 - 1), "--dry-run", "--json")) == [2**63 - 1]


@pytest.mark.parametrize("request_", [PLAIN, ("run", "--suite", "any.toml")])
def test_seed_and_seeds_exclude_each_other(cli, request_):
    answer = cli(*request_, "--seed", "1", "--seeds", "2")
    assert answer.code == 2
    assert answer.sentence == "Give either --seed (that one) or --seeds (how many), not both."


def test_features_and_evaluators_are_separated_by_commas(cli):
    answer = cli(*PLAIN, "--features", "y, conv", "--evaluators", "svm,knn", "--dry-run", "--json")
    cells = [(cell["feature"], cell["evaluator"]) for cell in answer.document[0]["cells"]]
    assert cells == [("y", "svm"), ("y", "knn"), ("conv", "svm"), ("conv", "knn")]


def test_evaluators_are_by_default_the_protocols(cli):
    answer = cli("run", "--method", "ae", "--data", "digits", "--no-references", "--dry-run", "--json")
    assert [cell["evaluator"] for cell in answer.document[0]["cells"]] == ["svm", "logistic-lbfgs", "knn"]


@pytest.mark.parametrize("flag", ["--evaluators", "--features"])
@pytest.mark.parametrize("value", ["", " , "])
def test_naming_nothing_is_refused(cli, flag, value):
    answer = cli(*PLAIN, flag, value)
    assert answer.code == 2
    assert answer.sentence == f"Invalid value for '{flag}': it names nothing; leave it out for the default."


def test_full_names_mean_the_same_parts(cli, runs):
    full = ["harness_baselines/ae" if word == "ae" else "harness_images/digits" if word == "digits" else word for word in PLAIN]
    assert cli(*full, "--dry-run", "--json").document[0]["cells"][0]["done"]


def test_an_option_reaches_the_record(cli):
    record = cli(*PLAIN, "-o", "encoder.width=8", "-o", "objective.lr=2e-3", "-o", "evaluator.knn.k=[3]", "--json").document[0]
    identity = record["identity"]
    assert identity["encoder"]["options"]["width"] == 8
    assert identity["objective"]["options"]["lr"] == 2e-3
    assert identity["evaluator"]["options"]["k"] == [3]
    assert record["passed"]["options"] == ["encoder.width=8", "objective.lr=2e-3", "evaluator.knn.k=[3]"]


def test_the_last_of_two_values_for_an_option_counts(cli):
    answer = cli(*PLAIN, "-o", "train.epochs=7", "-o", "train.epochs=9", "--dry-run")
    assert "9 epochs" in answer.out


def test_threads_are_recorded(cli):
    assert cli(*PLAIN, "--json").document[0]["environment"]["threads"] == 1


def test_bf16_is_another_run(cli):
    one, other = (cli(*PLAIN, "--precision", each, "--dry-run", "--json").document[0]["run"] for each in ("32", "bf16"))
    assert one != other


def test_another_encoder_is_another_run(cli):
    plain = cli("run", "--method", "supervised", "--data", "digits", "--dry-run", "--json").document[0]
    given = cli("run", "--method", "supervised", "--data", "digits", "--encoder", "identity", "--dry-run", "--json").document[0]
    assert plain["run"] != given["run"]


# --------------------------------------------------------------------------------------------------- where to


def test_runs_and_records_go_where_out_says(cli, tmp_path):
    cli(*PLAIN, "--out", "elsewhere")
    assert len(list((tmp_path / "elsewhere" / "digits").iterdir())) == 1
    assert len(list((tmp_path / "elsewhere" / "records").rglob("*.json"))) == 1


def test_store_says_where_records_go(cli, tmp_path):
    cli(*PLAIN, "--store", "ledger")
    assert len(list((tmp_path / "ledger").rglob("*.json"))) == 1
    assert not (tmp_path / "runs" / "records").exists()


def test_a_run_folder_is_named_by_data_method_seed_and_id(cli, tmp_path):
    record = cli(*PLAIN, "--json").document[0]
    assert (tmp_path / "runs" / "digits" / f"ae-s0-{record['run'][:8]}" / "model.safetensors").exists()


@pytest.mark.parametrize("flags_", [("--out", "file/runs"), ("--out", "fine", "--store", "file/records")])
def test_a_folder_that_cannot_be_written_is_one_sentence(cli, tmp_path, flags_):
    (tmp_path / "file").write_text("in the way")
    answer = cli(*PLAIN, *flags_)
    assert answer.code == 1
    assert "file" in answer.sentence


def test_an_out_that_is_below_a_file_is_said_to_be_no_folder(cli, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "Not a directory" in cli(*PLAIN, "--out", "file/runs", "--store", "records").sentence


# ---------------------------------------------------------------------------------------------------- dry run


def test_a_dry_run_writes_nothing(cli, tmp_path):
    assert cli(*cli.ae, "--dry-run").code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_calls_no_trainer(cli, monkeypatch):
    monkeypatch.setattr("harness.execution.execute", lambda *arguments: pytest.fail("a dry run computed something"))
    assert cli(*cli.ae, "--dry-run").code == 0


def test_a_dry_run_with_trust_first_fetches_and_locks_nothing(cli, toy_files, data_root, cache):
    (data_root / "toy").mkdir()
    (data_root / "toy" / "unpinned.bin").write_bytes(toy_files.PINNED)
    assert cli("run", "--method", "raw", "--data", "toy-unpinned", "--trust-first", "--dry-run").code == 0
    assert not cache.exists()


def test_a_dry_run_says_which_cells_are_recorded(cli, runs):
    answer = cli(*cli.ae, "--seeds", "2", "--dry-run")
    assert "ae on digits, seed 0: 1 epoch; knn on y (recorded)" in answer.out
    assert "ae on digits, seed 1: 1 epoch; knn on y\n" in answer.out
    assert "4 of 8 cells would be computed." in answer.out


def test_a_dry_run_is_refused_for_what_a_run_is_refused_for(cli):
    assert cli("run", "--method", "aee", "--data", "digits", "--dry-run").code == 2


# ---------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--method", "bigann"), "There is no method named 'bigann'; did you mean 'bigan'?"),
        (("--data", "digit"), "There is no data set named 'digit'; did you mean 'digits'?"),
        (("--evaluators", "svmm"), "There is no evaluator named 'svmm'; did you mean 'svm'?"),
        (("--features", "convv"), "There is no feature of encoder image-small named 'convv'; did you mean 'conv'?"),
        (("--protocol", "digits-holdot"), "There is no protocol named 'digits-holdot'; did you mean 'digits-holdout'?"),
        (("--encoder", "image-smal"), "There is no encoder named 'image-smal'; did you mean 'image-small'?"),
        (("-o", "objective.lrr=1"), "Option objective.lrr does not exist; did you mean objective.lr?"),
        (("-o", "train.epoch=1"), "Option train.epoch does not exist; did you mean train.epochs?"),
        (("-o", "encoder.witdh=1"), "Option encoder.witdh does not exist; did you mean encoder.width?"),
        (("-o", "evaluator.knn.metric=1"), "Option evaluator.knn.metric does not exist; evaluator.knn has k."),
        (("-o", "objectiv.lr=1"), "Option 'objectiv.lr=1' names no part of a run; did you mean objective?"),
        (("-o", "lr=1"), "Option 'lr=1' is not of the form PART.KEY=VALUE, for example objective.lr=1e-3."),
        (("-o", "evaluator.svm.C=1"), "Option evaluator.svm.C is for an evaluator that is not used; add it to --evaluators."),
    ],
)
def test_a_mistake_is_one_sentence_with_the_nearest_right_name(cli, arguments, sentence):
    answer = cli(*PLAIN, *arguments)
    assert answer.code == 2
    assert answer.sentence == sentence


def test_an_ill_typed_option_is_named_with_its_value(cli):
    answer = cli(*PLAIN, "-o", "objective.lr=fast")
    assert answer.code == 2
    assert "objective.lr" in answer.sentence
    assert "fast" in answer.sentence


@pytest.mark.parametrize(
    ("flag", "value", "right"),
    [("--budget", "smok", "'smoke'"), ("--device", "gpu", "'cuda'"), ("--precision", "16", "'bf16'"), ("--seeds", "0", "x>=1")],
)
def test_a_value_that_is_none_of_the_choices_is_refused_with_the_choices(cli, flag, value, right):
    answer = cli(*PLAIN, flag, value)
    assert answer.code == 2
    assert right in answer.sentence


@pytest.mark.parametrize("missing", ["--method", "--data"])
def test_a_request_without_method_or_data_shows_an_example(cli, missing):
    given = ("--data", "digits") if missing == "--method" else ("--method", "ae")
    answer = cli("run", *given)
    assert answer.code == 2
    assert answer.sentence == f"{missing} is missing; for example: harness run --method ae --data digits"


def test_a_method_that_does_not_fit_the_data_is_refused_with_the_reason(cli):
    answer = cli("run", "--method", "ae", "--data", "cora")
    assert answer.code == 2
    assert answer.sentence.startswith("Method ae does not fit data set cora: it has an encoder for images")


def test_an_encoder_that_does_not_fit_the_objective_is_refused_with_the_reason(cli):
    answer = cli(*PLAIN, "--encoder", "identity")
    assert answer.code == 2
    assert "has no mirror decoder" in answer.sentence


def test_a_reference_alone_that_needs_a_compared_method_says_so(cli):
    assert "name one with --encoder" in cli("run", "--method", "random", "--data", "digits").sentence


def test_a_misspelt_flag_is_refused_with_the_nearest(cli):
    answer = cli(*PLAIN, "--epochs", "3")
    assert answer.code == 2
    assert "No such option" in answer.sentence


def test_a_device_that_is_not_here_is_refused(cli, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    answer = cli(*PLAIN, "--device", "cuda")
    assert answer.code == 2
    assert "There is no CUDA device here" in answer.sentence


# ---------------------------------------------------------------------------------------------- a cell that fails


def test_a_diverged_cell_ends_with_code_1_and_is_a_record(cli):
    answer = cli(*PLAIN, "-o", "objective.lr=1e30", "--json")
    assert answer.code == 1
    assert [record["status"] for record in answer.document] == ["diverged"]


def test_a_failure_is_said_on_stderr(cli):
    assert "diverged: ae on digits, seed 0, knn on y: Training diverged at step" in cli(*PLAIN, "-o", "objective.lr=1e30").err


def test_a_failed_cell_is_tried_again(cli):
    cli(*PLAIN, "-o", "objective.lr=1e30")
    assert cli(*PLAIN, "-o", "objective.lr=1e30", "--json").document[0]["attempt"] == 2


def test_an_interruption_ends_with_code_130(cli, monkeypatch):
    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.execution.execute", interrupted)
    answer = cli(*PLAIN)
    assert answer.code == 130
    assert answer.err.splitlines()[-1] == "Interrupted. Nothing is lost: the same command continues where it stopped."


def test_an_observer_that_raises_changes_nothing_and_is_told_of(cli, plugins_here, caplog):
    plugins_here(BROKEN, "broken_observer")
    answer = cli(*PLAIN, "--json")
    assert answer.code == 0
    assert answer.document[0]["status"] == "ok"
    assert "Observer broken_observer raised in harness_run_started and was ignored: ZeroDivisionError" in caplog.text


# ------------------------------------------------------------------------------------------------------- suites

SUITE = """
summary = "two widths"
seeds = 2
budget = "smoke"
evaluators = ["knn"]
references = false

[[runs]]
method = "ae"
data = "digits"

[[runs]]
method = "ae"
data = ["digits"]
seeds = [5]
options = ["encoder.width=8"]
"""


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "widths.toml"
    path.write_text(SUITE)
    return str(path)


def test_a_suite_declares_runs(cli, suite):
    answer = cli("run", "--suite", suite, "--dry-run", "--json")
    assert [(run_["method"], run_["seed"]) for run_ in answer.document] == [("ae", 0), ("ae", 1), ("ae", 5)]


def test_a_suite_shares_records_with_the_same_runs_asked_for_one_by_one(cli, suite, runs):
    answer = cli("run", "--suite", suite, "--dry-run", "--json")
    assert [run_["cells"][0]["done"] for run_ in answer.document] == [True, False, False]


def test_seeds_on_the_command_line_stand_over_those_of_the_suite(cli, suite):
    assert seeds_of(cli("run", "--suite", suite, "--seeds", "1", "--dry-run", "--json")) == [0, 0]


def test_evaluators_and_budget_on_the_command_line_stand_over_those_of_the_suite(cli, suite):
    answer = cli("run", "--suite", suite, "--evaluators", "svm", "--budget", "fast", "--dry-run")
    assert "10 epochs; svm on y" in answer.out


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--method", "ae"), ("--data", "digits"), ("--protocol", "p"), ("--encoder", "e"), ("--features", "y"),
        ("-o", "train.epochs=1"), ("--precision", "bf16"),
    ],
)  # fmt: skip
def test_what_the_suite_says_cannot_be_given_beside_it(cli, suite, flag, value):
    answer = cli("run", "--suite", suite, flag, value, "--dry-run")
    assert answer.code == 2
    assert answer.sentence == f"{flag} does not go with --suite: the suite's file says it."


# ------------------------------------------------------------------------------------------------------ evaluate


def test_evaluate_scores_an_old_run_without_training(cli, ae_run):
    before = {name: (ae_run / name).stat().st_mtime_ns for name in ("model.safetensors", "training.json", "losses.jsonl")}
    answer = cli("evaluate", str(ae_run), "--evaluators", "logistic", "--json")
    assert answer.code == 0
    assert [record["identity"]["evaluator"]["name"] for record in answer.document] == ["logistic"]
    assert {name: (ae_run / name).stat().st_mtime_ns for name in before} == before


def test_evaluate_stores_beside_the_runs_other_records(cli, ae_run, runs):
    cli("evaluate", str(ae_run), "--evaluators", "logistic")
    assert len(list((runs / "records" / "digits" / "ae").iterdir())) == 2


def test_evaluate_can_judge_another_feature(cli, ae_run):
    answer = cli("evaluate", str(ae_run), "--evaluators", "knn", "--features", "fc", "--json")
    assert [record["identity"]["feature"] for record in answer.document] == ["fc"]


def test_evaluate_finds_what_is_recorded(cli, ae_run):
    assert "0 cells computed, 1 found" in cli("evaluate", str(ae_run), "--evaluators", "knn").out


def test_evaluate_agrees_with_the_run_that_had_the_evaluator_from_the_start(cli, ae_run, runs):
    (recorded,) = FolderStore(runs / "records").attempts_of("digits", "ae")
    again = cli("evaluate", str(ae_run), "--evaluators", "knn", "--rerun", "--json").document[0]
    assert again["attempt"] == 2
    assert again["metrics"] == json.loads(encode_record(recorded))["metrics"]


def test_evaluate_takes_the_evaluators_options(cli, ae_run):
    answer = cli("evaluate", str(ae_run), "--evaluators", "knn", "-o", "evaluator.knn.k=[1]", "--json")
    assert answer.document[0]["identity"]["evaluator"]["options"]["k"] == [1]


def test_evaluate_refuses_options_of_the_training(cli, ae_run):
    answer = cli("evaluate", str(ae_run), "--evaluators", "knn", "-o", "objective.lr=1")
    assert answer.code == 2
    assert "the training, which is done" in answer.sentence


def test_evaluate_of_a_folder_that_is_no_run_says_so(cli, runs):
    answer = cli("evaluate", str(runs / "digits"), "--evaluators", "knn")
    assert answer.code == 2
    assert "is not a run folder" in answer.sentence


def test_evaluate_of_an_unfinished_training_trains_nothing(cli, ae_run):
    (ae_run / "training.json").unlink()
    answer = cli("evaluate", str(ae_run), "--evaluators", "logistic")
    assert answer.code == 2
    assert "holds no finished training" in answer.sentence


def test_evaluate_of_a_renamed_folder_trains_nothing(cli, ae_run, tmp_path):
    ae_run.rename(tmp_path / "mine")
    answer = cli("evaluate", "mine", "--evaluators", "logistic")
    assert answer.code == 2
    assert "was moved or renamed" in answer.sentence
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "runs"]


def test_evaluate_needs_evaluators(cli, ae_run):
    assert cli("evaluate", str(ae_run)).code == 2


# ------------------------------------------------------------------------------------------------------- prepare


def test_prepare_of_embedded_data_needs_no_files(cli):
    assert cli("prepare", "digits").out == "digits: needs no files.\n"


def test_prepare_verifies_a_file_in_a_data_root(cli, toy_files, data_root, cache):
    (data_root / "toy").mkdir()
    (data_root / "toy" / "pinned.bin").write_bytes(toy_files.PINNED)
    answer = cli("prepare", "toy-pinned")
    assert answer.code == 0
    assert answer.out == f"toy-pinned: toy/pinned.bin verified at {data_root / 'toy' / 'pinned.bin'}\n"
    assert not cache.exists()


def test_prepare_answers_with_places_in_json(cli, toy_files, data_root):
    (data_root / "toy").mkdir()
    (data_root / "toy" / "pinned.bin").write_bytes(toy_files.PINNED)
    place = str(data_root / "toy" / "pinned.bin")
    assert cli("prepare", "toy-pinned", "digits", "--json").document == {"toy-pinned": {"toy/pinned.bin": place}, "digits": {}}


@pytest.mark.parametrize("command", [("prepare", "toy-offline"), ("run", "--method", "raw", "--data", "toy-offline")])
def test_a_missing_file_offline_is_one_sentence_with_all_that_helps(cli, toy_files, data_root, cache, command):
    answer = cli(*command)
    assert answer.code == 1
    message = answer.err
    assert "lacks the file toy/offline.bin" in message
    assert str(data_root) in message
    assert str(cache / "downloads") in message
    assert toy_files.SHA256 in message
    assert "HARNESS_DATA" in message
    assert "--data digits" in message


def test_a_missing_file_leaves_an_empty_document_and_code_1(cli, toy_files, data_root, cache):
    answer = cli("run", "--method", "raw", "--data", "toy-pinned", "--json")
    assert answer.code == 1
    assert answer.document == []


def test_a_file_of_another_content_is_refused_before_it_is_read(cli, toy_files, data_root, cache, monkeypatch):
    monkeypatch.setattr(toy_files, "build", lambda context, options: pytest.fail("a corrupted file was parsed"))
    (data_root / "toy").mkdir()
    (data_root / "toy" / "pinned.bin").write_bytes(toy_files.PINNED[:-1])
    answer = cli("run", "--method", "raw", "--data", "toy-pinned")
    assert answer.code == 1
    assert f"its sha256 is {sha256(toy_files.PINNED[:-1])}" in answer.err
    assert "it was not read" in answer.err


@pytest.fixture
def unpinned(toy_files, data_root, cache):
    """A data set whose file is there and that nobody has pinned; the file."""
    (data_root / "toy").mkdir()
    file = data_root / "toy" / "unpinned.bin"
    file.write_bytes(toy_files.PINNED)
    return file


@pytest.mark.parametrize("command", [("prepare", "toy-unpinned"), ("run", "--method", "raw", "--data", "toy-unpinned")])
def test_data_that_nobody_pinned_are_refused(cli, unpinned, command, cache):
    answer = cli(*command)
    assert answer.code == 2
    assert "Nobody has pinned the sha256 of data set toy-unpinned" in answer.sentence
    assert "--trust-first" in answer.sentence
    assert not cache.exists()


def test_trust_first_writes_the_hashes_down(cli, unpinned, cache):
    assert cli("prepare", "toy-unpinned", "--trust-first").code == 0
    (lock,) = (cache / "locks").iterdir()
    assert json.loads(lock.read_text()) == {"toy/unpinned.bin": sha256(unpinned.read_bytes())}


def test_rows_of_data_trusted_first_are_marked(cli, unpinned):
    answer = cli("run", "--method", "raw", "--data", "toy-unpinned", "--trust-first", "--json")
    assert answer.code == 0
    assert [record["trusted_first"] for record in answer.document] == [True]


def test_what_was_trusted_once_is_trusted_and_marked_later(cli, unpinned):
    cli("prepare", "toy-unpinned", "--trust-first")
    answer = cli("run", "--method", "raw", "--data", "toy-unpinned", "--json")
    assert [record["trusted_first"] for record in answer.document] == [True]


def test_a_mark_shows_in_the_table(cli, unpinned):
    assert "unpinned" in cli("run", "--method", "raw", "--data", "toy-unpinned", "--trust-first").out


def test_a_file_that_changed_since_it_was_trusted_is_refused(cli, unpinned):
    cli("prepare", "toy-unpinned", "--trust-first")
    unpinned.write_bytes(b"other")
    for more in ((), ("--trust-first",)):
        answer = cli("prepare", "toy-unpinned", *more)
        assert answer.code == 1
        assert "what was trusted first" in answer.sentence


# ------------------------------------------------------------------------------------------- in its own process


def process(*arguments, cwd, **keywords):
    code = "from harness.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **keywords
    )


@pytest.mark.slow
def test_stdout_of_a_process_is_one_json_document(tmp_path):
    out, err = process(*PLAIN, "--json", cwd=tmp_path).communicate(timeout=240)
    assert [record["status"] for record in json.loads(out)] == ["ok"]
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a single process")
def test_ctrl_c_during_training_ends_with_130_and_the_same_command_continues(tmp_path):
    request = [*PLAIN, "-o", "train.epochs=20000"]
    running = process(*request, "--checkpoint-every", "0.1", cwd=tmp_path)
    deadline = time.monotonic() + 240
    while not list(tmp_path.glob("runs/digits/*/training.safetensors")):
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=240)
    assert running.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert len(list(tmp_path.glob("runs/digits/*/training.safetensors"))) == 1


@pytest.mark.slow
def test_a_second_process_in_the_same_run_folder_is_told_to_wait(tmp_path, cli):
    running = process(*PLAIN, "-o", "train.epochs=20000", "--checkpoint-every", "0.1", cwd=tmp_path)
    try:
        deadline = time.monotonic() + 240
        while not list(tmp_path.glob("runs/digits/*/training.safetensors")):
            assert time.monotonic() < deadline, "no checkpoint was written"
            time.sleep(0.1)
        answer = cli(*PLAIN, "-o", "train.epochs=20000")
        assert answer.code == 2
        assert "Another process is computing" in answer.err
    finally:
        running.kill()
        running.communicate()

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.api import installed
from harness.ledger.stores import FolderStore

BROKEN = Path(__file__).parents[2] / "broken_plugins"
KINDS = {
    "methods": "method",
    "datasets": "dataset",
    "encoders": "encoder",
    "objectives": "objective",
    "evaluators": "evaluator",
    "protocols": "protocol",
    "pictures": "picture",
    "suites": "suite",
}


# ---------------------------------------------------------------------------------------------------------- list


@pytest.mark.parametrize("kind", KINDS)
def test_list_names_every_part_of_a_kind(cli, kind):
    answer = cli("list", kind)
    assert answer.code == 0
    families = [f"{entry.name}:ARG" for entry in installed()[1].entries("family")] if kind == "datasets" else []
    named = [entry.name for entry in installed()[1].entries(KINDS[kind])]
    assert [line.split()[0] for line in answer.out.splitlines()] == [*named, *families]


def test_list_without_a_kind_has_a_section_for_each(cli):
    headings = [line for line in cli("list").out.splitlines() if not line.startswith(" ")]
    assert headings == list(KINDS)


def test_list_shows_each_parts_summary(cli):
    assert "Autoencoder: the representation from which the input is best reconstructed." in cli("list", "methods").out


def test_list_shows_a_methods_other_names(cli):
    assert "Deep InfoMax, local term, InfoNCE bound. (also dim)" in cli("list", "methods").out


def test_list_in_json_says_whose_each_part_is(cli):
    (ae,) = [entry for entry in cli("list", "methods", "--json").document["methods"] if entry["name"] == "ae"]
    assert (ae["full_name"], ae["plugin"], ae["distribution"]) == ("harness_baselines/ae", "baselines", "infomax-harness")


def test_list_names_the_distribution_of_strangers_parts_only(cli, plugins_here):
    plugins_here(BROKEN, "healthy_plugin")
    lines = {line.split()[0]: line for line in cli("list", "methods").out.splitlines()}
    assert lines["still"].endswith("[healthy_plugin-dist 1.0]")
    assert lines["ae"].endswith("reconstructed.")


def test_list_shows_families_of_data_sets_with_an_example(cli, plugins_here):
    plugins_here(BROKEN, "healthy_plugin")
    assert "sized:ARG" in cli("list", "datasets").out
    assert "for example sized:10" in cli("list", "datasets").out
    assert "sized:ARG" in [entry["name"] for entry in cli("list", "datasets", "--json").document["datasets"]]


def test_list_of_an_unknown_kind_names_the_kinds(cli):
    answer = cli("list", "method")
    assert answer.code == 2
    assert "'methods'" in answer.sentence


# ---------------------------------------------------------------------------------------------------------- show


@pytest.mark.parametrize("name", ["ae", "digits", "image-small", "autoencoder", "svm", "digits-holdout"])
def test_show_begins_with_kind_and_full_name(cli, name):
    answer = cli("show", name)
    assert answer.code == 0
    (entry,) = installed()[1].find(name)
    assert answer.out.splitlines()[0] == f"{entry.kind} {entry.full_name}"
    assert answer.out.splitlines()[1] == f"  {entry.spec.summary}"


def test_show_of_a_method_has_its_recipe_and_budgets(cli):
    out = cli("show", "ae").out
    assert "\n  options\n    train: epochs=200, batch_size=64\n" in out
    assert "\n    digits: train.epochs=50, objective.lr=0.001\n" in out
    assert "\n  budgets\n    fast: train.epochs=7, objective.decoder_scale=0.5\n    smoke: train.epochs=1," in out
    assert "\n  data budgets\n    digits: fast.train.epochs=10\n" in out


def test_show_of_a_method_with_several_encoders_has_those_of_each_data_set_and_track(cli):
    out = cli("show", "dim-g").out
    assert "    stl10: alexnet-64\n" in out
    assert "    images: dcgan-32, conv-28, dcgan-64, image-small\n" in out


def test_show_of_an_objective_has_its_options_with_defaults(cli):
    assert "    lr = 0.0001  (float) Adam's learning rate, for every network" in cli("show", "autoencoder").out


def test_show_of_an_encoder_has_its_features(cli):
    assert "y [B, latent] the representation, before any nonlinearity" in cli("show", "image-small").out


def test_show_of_an_encoder_has_its_shapes(cli):
    assert "  shapes: (any, 32, 32)\n" in cli("show", "dcgan-32").out


def test_show_of_a_data_set_has_its_recipe(cli):
    out = cli("show", "cifar10").out
    assert "    files: cifar10/train.parquet, cifar10/test.parquet\n" in out
    assert "    elsewhere: type=hub, repository=uoft-cs/cifar10," in out


def test_show_has_published_numbers_that_differ_by_feature_on_one_line(cli):
    assert (
        "dim-l-infonce on cifar10, mlp-paper accuracy: 75.21 on conv, 75.57 on fc, 69.13 on y (same protocol;"
        in cli("show", "dim").out
    )


def test_show_of_an_evaluator_has_its_metrics_and_needs(cli):
    out = cli("show", "knn").out
    assert "  needs: labels" in out
    assert "accuracy test samples whose class is predicted" in out


def test_show_of_a_data_set_has_its_protocols(cli):
    assert "  protocols: digits-holdout" in cli("show", "digits").out


def test_show_takes_a_full_name(cli):
    assert cli("show", "harness_baselines/ae").out == cli("show", "ae").out


def test_show_of_a_name_that_two_kinds_have_shows_both(cli):
    headings = [line for line in cli("show", "supervised").out.splitlines() if line and not line.startswith(" ")]
    assert headings == ["method harness_reference/supervised", "objective harness_reference/supervised"]


def test_show_of_a_suite_a_family_and_one_of_its_data_sets(cli, plugins_here):
    plugins_here(BROKEN, "healthy_plugin")
    assert cli("show", "all").out.startswith("suite healthy_plugin/all")
    assert cli("show", "sized").out.startswith("family healthy_plugin/sized")
    assert cli("show", "sized:7").out.startswith("dataset healthy_plugin/sized:7")


def test_show_of_a_suite_has_what_its_file_declares(cli):
    out = cli("show", "dim-extended").out
    assert "    vae, aae, bigan, nat, dim-g, dim-lg, dim-l-infonce on cifar10; seeds 3; features y; evaluators recon" in out
    (document,) = cli("show", "dim-extended", "--json").document
    assert [(run["data"], run["seeds"], run["evaluators"]) for run in document["runs"]] == [
        ("cifar10", 3, ["reconstruction", "mine", "ndm"]),
        ("cifar10", 3, ["svm", "svm-paper"]),
    ]


def test_show_of_a_suite_without_its_file_says_so(cli, plugins_here):
    plugins_here(BROKEN, "healthy_plugin")
    answer = cli("show", "all")
    assert (answer.code, answer.out.splitlines()[-1]) == (0, "  The suite's package healthy_plugin is not installed.")


def test_show_has_published_numbers_of_a_method_on_many_data_sets_on_one_line(cli):
    out = cli("show", "st-dim").out
    assert "    st-dim, ram-probe f1: 0.49 on atari:asteroids, 0.53 on atari:berzerk, " in out
    assert "    st-dim on atari:boxing, ram-probe variable_f1: 0.92 of clock, 0.7 of enemy_score, " in out


def test_show_has_published_numbers_with_their_source(cli, plugins_here):
    plugins_here(BROKEN, "healthy_plugin")
    assert "    still on plain, zero zero: 0.0 (same protocol; Nobody (2000))" in cli("show", "still").out


def test_an_objective_of_a_methods_name_does_not_repeat_its_published_numbers(cli):
    method, objective = cli("show", "bigan", "--json").document
    assert (method["kind"], objective["kind"]) == ("method", "objective")
    assert method["published"]
    assert "published" not in objective


def test_show_in_json_is_a_list_of_the_parts_of_that_name(cli):
    (document,) = cli("show", "autoencoder", "--json").document
    assert document["kind"] == "objective"
    assert document["spec"]["needs_decoder"] is True
    assert [option["name"] for option in document["options"]] == ["decoder_scale", "lr"]
    assert document["options"][1] == {
        "name": "lr",
        "type": "float",
        "default": 0.0001,
        "description": "Adam's learning rate, for every network",
    }


def test_show_of_a_misspelt_name_suggests_the_nearest(cli):
    answer = cli("show", "supervisd")
    assert answer.code == 2
    assert answer.sentence == "There is no part named 'supervisd'; did you mean 'supervised' or 'ram-supervised'?"


def test_show_of_an_unknown_name_says_where_the_names_are(cli):
    answer = cli("show", "xyzzy")
    assert answer.code == 2
    assert answer.sentence == "There is no part named 'xyzzy'; `harness list` shows what there is."


# ------------------------------------------------------------------------------------------------------- plugins


def test_plugins_shows_each_with_its_version_and_what_it_offers(cli):
    lines = cli("plugins").out.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("images ")]
    assert lines[at].split()[:3] == ["images", "ok", "infomax-harness"]
    assert "2 families" in lines[at + 1]
    assert "8 methods" in lines[at + 1]


def test_plugins_in_json_has_one_entry_for_each(cli):
    document = cli("plugins", "--json").document
    assert {status["name"] for status in document} >= {"baselines", "graphs", "images", "probes", "reference"}
    assert {status["status"] for status in document} == {"ok"}


def test_plugins_says_what_is_wrong_with_a_broken_one_and_ends_with_0(cli, plugins_here):
    plugins_here(BROKEN, "broken_import")
    answer = cli("plugins")
    assert answer.code == 0
    (line,) = [line for line in answer.out.splitlines() if line.startswith("broken_import")]
    assert line.split()[1] == "failed"


# ---------------------------------------------------------------------------------------------------------- runs


def test_runs_list_shows_every_run_with_state_and_folder(cli, runs, ae_run):
    answer = cli("runs", "list")
    assert answer.code == 0
    assert len(answer.out.splitlines()) == 4
    (line,) = [line for line in answer.out.splitlines() if "ae-s0" in line]
    assert line.split() == ["trained", line.split()[1], "MB", f"runs/digits/{ae_run.name}"]


def test_runs_list_in_json_has_id_name_and_size(cli, runs, ae_run):
    (ae,) = [state for state in cli("runs", "list", "--json").document if state["name"].startswith("ae")]
    assert ae["name"] == "ae on digits, seed 0"
    assert ae["run"].startswith(ae_run.name.removeprefix("ae-s0-"))
    assert ae["bytes"] == sum(path.stat().st_size for path in ae_run.rglob("*") if path.is_file())


def test_runs_list_tells_a_training_that_is_not_finished(cli, ae_run):
    (ae_run / "training.json").unlink()
    assert "begun" in cli("runs", "list").out
    (ae_run / "training.safetensors").touch()
    assert "interrupted" in cli("runs", "list").out


def test_runs_list_shows_a_damaged_folder_beside_the_others(cli, ae_run):
    (ae_run / "run.json").write_text("{")
    answer = cli("runs", "list")
    assert answer.code == 0
    assert sorted(line.split()[0] for line in answer.out.splitlines()) == ["trained", "trained", "trained", "unreadable"]


def test_runs_list_of_another_folder(cli, runs):
    assert cli("runs", "list", "--out", "nowhere").out == "There is no run under nowhere.\n"
    assert cli("runs", "list", "--out", "nowhere", "--json").document == []


def test_runs_clean_removes_representations_only(cli, runs):
    before = {path.relative_to(runs) for path in runs.rglob("*") if path.is_file()}
    assert cli("runs", "clean").code == 0
    gone = before - {path.relative_to(runs) for path in runs.rglob("*") if path.is_file()}
    assert gone
    assert {path.parent.name for path in gone} == {"features"}


def test_runs_clean_keeps_models_and_records(cli, runs, ae_run):
    records = FolderStore(runs / "records").read()
    model = (ae_run / "model.safetensors").read_bytes()
    cli("runs", "clean")
    assert FolderStore(runs / "records").read() == records
    assert (ae_run / "model.safetensors").read_bytes() == model


def test_a_representation_is_made_again_after_cleaning(cli, runs, ae_run):
    before = (ae_run / "features" / "y.npy").read_bytes()
    cli("runs", "clean")
    answer = cli("evaluate", str(ae_run), "--evaluators", "logistic", "--json")
    assert answer.document[0]["status"] == "ok"
    assert (ae_run / "features" / "y.npy").read_bytes() == before


def test_what_is_recorded_needs_no_representation(cli, runs):
    cli("runs", "clean")
    assert "0 cells computed, 4 found" in cli(*cli.ae).out


def test_runs_clean_says_how_much_it_freed(cli, runs):
    size = sum(path.stat().st_size for path in runs.glob("*/*/features/*"))
    assert cli("runs", "clean").out == f"Freed {size / 1e6:.1f} MB of representations in 4 runs.\n"
    assert cli("runs", "clean").out == "Freed 0.0 MB of representations in 0 runs.\n"


def test_runs_clean_in_json_lists_what_it_removed(cli, runs, ae_run):
    removed = cli("runs", "clean", "--json").document
    assert f"runs/digits/{ae_run.name}/features" in [each["path"] for each in removed]


def test_a_dry_run_of_clean_removes_nothing(cli, runs):
    before = sorted(runs.rglob("*"))
    assert "Would free" in cli("runs", "clean", "--dry-run").out
    assert sorted(runs.rglob("*")) == before


def test_runs_clean_removes_temporary_files_of_killed_processes(cli, runs, ae_run):
    left = ae_run / ".tmp-00000000-1-00000000.json"
    left.touch()
    os.utime(left, (0, 0))
    cli("runs", "clean")
    assert not left.exists()


def test_runs_without_a_command_shows_its_help(cli):
    answer = cli("runs")
    assert answer.code == 2
    assert "clean" in answer.err

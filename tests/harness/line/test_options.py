"""Which options each part of a run gets."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from harness.errors import OptionError, UnfitError, UnknownNameError, UsageError
from harness.line.options import data_options


def test_a_missing_budget_is_refused_with_those_there_are(toy):
    spec = msgspec.structs.replace(toy.catalog.method("squeeze").spec, budgets={"smoke": {}})
    with pytest.raises(UnfitError, match="Method squeeze has no budget 'fast'; it has paper, smoke"):
        toy.with_parts(toy.entry(spec)).plan(budget="fast")


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("objective.lr", "Option 'objective.lr' is not of the form PART.KEY=VALUE, for example objective.lr=1e-3."),
        ("lr=3", "Option 'lr=3' is not of the form PART.KEY=VALUE, for example objective.lr=1e-3."),
        ("objectiv.lr=3", "Option 'objectiv.lr=3' names no part of a run; did you mean objective?"),
        (
            "probe.lr=3",
            "Option 'probe.lr=3' names no part of a run; parts are data, encoder, objective, train and evaluator.NAME.",
        ),
        ("objective.rl=3", "Option objective.rl does not exist; objective has lr."),
        ("encoder.widht=3", "Option encoder.widht does not exist; did you mean encoder.width?"),
        ("encoder.zzz=3", "Option encoder.zzz does not exist; encoder has width."),
        ("encoder.width=wide", "Option encoder.width='wide': expected `int`, got `str`."),
        ("encoder.width=0", "Option encoder.width='0': expected `int` >= 1."),
        ("objective.lr=nan", "Option objective.lr='nan': expected `float` > 0.0."),
        ("data.noise=inf", "Option data.noise='inf': a finite number is expected."),
        ("train.epochs=[1", "The value of option 'train.epochs=[1' is not valid JSON."),
        ("train.patience=[1]", "Option train.patience=[1]: expected `int | null`, got `array`."),
        ("train.epochs=[1]", "Option train.epochs=[1]: expected `int`, got `array`."),
        ("evaluator.centroid.shrnk=1", "Option evaluator.centroid.shrnk does not exist; did you mean evaluator.centroid.shrink?"),
        (
            "evaluator.spread.shrink=1",
            "Option evaluator.spread.shrink is for an evaluator that is not used; add it to --evaluators.",
        ),
        ("evaluator.centriod.shrink=1", "There is no evaluator named 'centriod'; did you mean 'centroid'?"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_right(toy, option, sentence):
    with pytest.raises(UsageError) as caught:
        toy.plan(options=(option,))
    assert str(caught.value).startswith(sentence)


def test_an_option_for_a_part_that_takes_none_says_so(toy):
    with pytest.raises(OptionError, match=r"encoder\.width does not exist; encoder takes no options"):
        toy.plan(encoder="identity", options=("encoder.width=3",))


def test_options_are_layered_defaults_recipe_data_set_budget_typed(toy):
    assert toy.catalog.encoder("mlp").spec.options().width == 8
    assert toy.first().identity.encoder.options == {"width": 6}
    assert toy.first(options=("encoder.width=5",)).identity.encoder.options == {"width": 5}
    assert toy.first().identity.training.epochs == 4
    assert toy.first(budget="smoke").identity.training.epochs == 2
    assert toy.first(budget="smoke", options=("train.epochs=3",)).identity.training.epochs == 3


def test_a_recipe_has_values_for_a_track_and_for_a_data_set_which_stands_over_it(toy):
    spec = msgspec.structs.replace(
        toy.catalog.method("squeeze").spec,
        data_options={"synthetic": {"encoder": {"width": 3}, "train": {"epochs": 9}}, "blobs": {"encoder": {"width": 6}}},
    )
    identity = toy.with_parts(toy.entry(spec)).first().identity
    assert (identity.encoder.options, identity.training.epochs) == ({"width": 6}, 9)


def test_a_budget_has_values_for_a_track_and_for_a_data_set_which_stand_over_its_own(toy):
    spec = msgspec.structs.replace(
        toy.catalog.method("squeeze").spec,
        data_budgets={
            "synthetic": {"smoke": {"train": {"epochs": 7, "batch_size": 20}}},
            "blobs": {"smoke": {"train": {"batch_size": 30}}},
            "images": {"smoke": {"train": {"epochs": 99}}},
        },
    )
    here = toy.with_parts(toy.entry(spec))
    smoke = here.first(budget="smoke").identity.training
    assert (smoke.epochs, smoke.batch_size) == (7, 30)
    assert here.first(budget="smoke", options=("train.epochs=2",)).identity.training.epochs == 2
    assert here.first(budget="fast").identity.training.epochs == 4


def test_typed_values_become_numbers(toy):
    identity = toy.first(options=("objective.lr=1e-3", "train.patience=7", "train.restore_best=true")).identity
    assert identity.objective.options == {"lr": 0.001}
    assert (identity.training.patience, identity.training.restore_best) == (7, True)


def test_patience_can_be_switched_off_again(toy):
    spec = msgspec.structs.replace(toy.catalog.method("squeeze").spec, options={"train": {"patience": 5}})
    patient = toy.with_parts(toy.entry(spec))
    assert patient.first().identity.training.patience == 5
    assert patient.first(options=("train.patience=none",)).identity.training.patience is None


def test_evaluators_have_options_per_budget_and_typed_ones(toy):
    assert toy.first().cells[0].evaluator.options == {"shrink": 0.0}
    assert toy.first(budget="smoke").cells[0].evaluator.options == {"shrink": 0.25}
    assert toy.first(budget="smoke", options=("evaluator.centroid.shrink=0.5",)).cells[0].evaluator.options == {"shrink": 0.5}


def test_an_evaluators_full_name_reaches_its_options_too(toy):
    run = toy.first(evaluators=("toy/centroid",), options=("evaluator.toy/centroid.shrink=0.5",))
    assert run.cells[0].evaluator.options == {"shrink": 0.5}


def test_reference_rows_have_the_compared_methods_data_options(toy):
    runs = toy.plan(options=("data.noise=0.25",)).runs
    assert [run.identity.data.options for run in runs] == [{"noise": 0.25}] * 4
    assert [run.identity.data.options for run in toy.plan().runs] == [{"noise": 0.75}] * 4


def test_the_random_row_has_the_compared_methods_encoder_options(toy):
    squeeze, _, random, _ = toy.plan().runs
    assert random.identity.encoder == squeeze.identity.encoder
    squeeze, _, random, _ = toy.plan(options=("encoder.width=5",)).runs
    assert random.identity.encoder == squeeze.identity.encoder
    assert random.identity.encoder.options == {"width": 5}


def test_options_of_objective_and_training_do_not_move_reference_rows(toy):
    plain, changed = toy.plan().runs, toy.plan(options=("objective.lr=0.5", "train.epochs=9")).runs
    assert plain[0].identity != changed[0].identity
    assert [run.identity for run in plain[1:]] == [run.identity for run in changed[1:]]


def with_sizes(toy):
    """Blobs whose noise is another in every budget."""
    spec = replace(toy.BLOBS, budgets={"fast": {"noise": 0.1}, "smoke": {"noise": 0.2}})
    return toy.with_parts(toy.entry(spec, toy.build_blobs))


def test_a_data_set_has_option_values_of_its_own_for_a_budget_and_reference_rows_share_them(toy):
    runs = with_sizes(toy).plan(method="any", budget="paper").runs
    assert {run.identity.data.options["noise"] for run in runs} == {0.5}
    other = toy.method("other", "predict", {"*": "identity"}, budgets={"fast": {}})
    runs = with_sizes(toy).with_parts(toy.entry(other)).plan(method="other", budget="fast").runs
    assert {run.identity.data.options["noise"] for run in runs} == {0.1}


def test_a_methods_own_values_stand_over_the_data_sets_and_typed_ones_over_both(toy):
    assert with_sizes(toy).first(budget="fast").identity.data.options["noise"] == 0.75
    assert with_sizes(toy).first(budget="fast", options=("data.noise=0.3",)).identity.data.options["noise"] == 0.3


def test_the_size_of_a_data_set_can_be_resolved_alone(toy):
    spec = with_sizes(toy).catalog.dataset("blobs").spec
    assert data_options(spec, "fast").noise == 0.1
    assert data_options(spec, "fast", ["data.noise=2"]).noise == 2.0
    with pytest.raises(OptionError, match="Option part 'train' is none of a data set's"):
        data_options(spec, "fast", ["train.epochs=2"])
    with pytest.raises(UnknownNameError, match="fats"):
        data_options(spec, "fats")

"""Specs of Deep InfoMax: light, of valid options only, with the recipes of its paper."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import (
    DataSetSpec,
    EncoderSpec,
    EvaluatorSpec,
    FeatureSpec,
    GeneratedRecipe,
    MetricSpec,
    OptionError,
    ProtocolSpec,
    UnfitError,
)
from harness.bounds import BOUNDS
from harness.catalog.catalog import Catalog, Entry
from harness.catalog.checks import checked
from harness.catalog.importing import import_part
from harness.catalog.kinds import kind_of, name_of
from harness.contracts.options import describe_options, resolve_options
from harness.contracts.training import TrainOptions
from harness.line.planning import Request, plan
from harness_images.spec_dim import DIM, METHODS, DIMOptions

BY_NAME = {method.name: method for method in METHODS}
NOTHING_TO_TRAIN_FOR = (
    "Option objective: alpha, beta and gamma are all 0, so there is nothing to train for; give one of them a weight."
)


def options_of(name, *layers):
    return resolve_options("objective", DIMOptions, BY_NAME[name].options["objective"], *layers)


def test_the_specs_import_nothing_heavy():
    program = """
import sys
for name in ("torch", "numpy", "scipy", "sklearn"):
    sys.modules[name] = None
import harness_images.spec_dim
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=240)


# ---------------------------------------------------------------------------------------------------- options


def test_without_any_weight_there_is_nothing_to_train_for():
    with pytest.raises(OptionError) as caught:
        resolve_options("objective", DIMOptions, {"alpha": 0, "beta": 0, "gamma": 0})
    assert str(caught.value) == NOTHING_TO_TRAIN_FOR


@pytest.mark.parametrize("name", BY_NAME)
def test_no_methods_weights_can_all_be_taken_away(name):
    with pytest.raises(OptionError, match="nothing to train for"):
        options_of(name, {"alpha": "0", "beta": "0", "gamma": "0", "coordinates": "none"})


def test_coordinates_alone_are_enough_to_train_for_unless_they_weigh_nothing():
    weightless = {"alpha": 0, "beta": 0, "gamma": 0, "coordinates": "both"}
    assert resolve_options("objective", DIMOptions, weightless).coordinates == "both"
    with pytest.raises(OptionError, match="nothing to train for"):
        resolve_options("objective", DIMOptions, weightless, {"coordinate_weight": 0})


@pytest.mark.parametrize("weight", ["alpha", "beta", "gamma"])
def test_each_weight_alone_is_enough(weight):
    assert resolve_options("objective", DIMOptions, {"alpha": 0, "beta": 0, "gamma": 0, weight: 0.1})


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": -1},
        {"beta": -0.1},
        {"gamma": -1},
        {"penalty": -1},
        {"coordinate_weight": -1},
        {"bound": "w1"},
        {"critic": "bilinear"},
        {"global_critic": "bilinear"},
        {"coordinates": "polar"},
        {"units": 0},
        {"hidden": 0},
        {"places": 0},
        {"negatives": 0},
        {"permutations": 0},
        {"occlusion": 1.0},
        {"occlusion": -0.1},
        {"lr": 0},
    ],
    ids=str,
)
def test_values_without_meaning_are_refused(wrong):
    with pytest.raises(OptionError, match=f"objective.{next(iter(wrong))}"):
        resolve_options("objective", DIMOptions, wrong)


@pytest.mark.parametrize("name", ["places", "negatives"])
def test_a_number_of_places_or_negatives_is_typed_as_one_or_as_none(name):
    assert getattr(resolve_options("objective", DIMOptions, {name: "32"}), name) == 32
    assert getattr(resolve_options("objective", DIMOptions, {name: 32}, {name: "none"}), name) is None


@pytest.mark.parametrize("bound", BOUNDS)
def test_every_bound_can_be_asked_for(bound):
    assert resolve_options("objective", DIMOptions, {"bound": bound}).bound == bound


def test_no_bound_can_be_asked_for_that_there_is_not():
    (bound,) = [field for field in describe_options(DIMOptions) if field.name == "bound"]
    assert set(bound.type.split(" | ")) == set(BOUNDS)


def test_every_option_is_described():
    assert all(field.description for field in describe_options(DIMOptions))


def test_the_defaults_are_the_published_ones():
    options = DIMOptions()
    assert (options.lr, options.units, options.hidden, options.penalty) == (1e-4, 2048, 512, 1.0)
    assert (options.places, options.negatives) == (None, None)


# ---------------------------------------------------------------------------------------------------- methods

WEIGHTS = {  # alpha, beta, gamma of Hjelm et al. 2019
    "dim-g": (1.0, 0.0, 1.0),
    "dim-l-dv": (0.0, 1.0, 0.1),
    "dim-l-jsd": (0.0, 1.0, 0.1),
    "dim-l-infonce": (0.0, 1.0, 0.1),
    "dim-lg": (0.5, 0.1, 0.1),
    "dim-l-coord": (0.0, 1.0, 0.1),
    "dim-l-occlude": (0.0, 1.0, 0.1),
    "dim-l-coord-occlude": (0.0, 1.0, 0.1),
}


def test_the_methods_are_those_of_the_papers_tables():
    assert list(BY_NAME) == list(WEIGHTS)


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_weights_are_those_of_the_paper(name):
    options = options_of(name)
    assert (options.alpha, options.beta, options.gamma) == WEIGHTS[name]


@pytest.mark.parametrize(
    ("name", "bound"), [("dim-g", "jsd"), ("dim-l-dv", "dv"), ("dim-l-jsd", "jsd"), ("dim-l-infonce", "infonce"), ("dim-lg", "jsd")]
)
def test_each_row_has_its_bound(name, bound):
    assert options_of(name).bound == bound


@pytest.mark.parametrize(
    ("name", "coordinates", "hides"),
    [
        ("dim-l-infonce", "none", False),
        ("dim-l-coord", "both", False),
        ("dim-l-occlude", "none", True),
        ("dim-l-coord-occlude", "both", True),
    ],
)
def test_the_rows_with_structure_are_infonce_and_that(name, coordinates, hides):
    options = options_of(name)
    assert (options.bound, options.coordinates) == ("infonce", coordinates)
    assert 1 / 3 <= options.occlusion <= 1 / 2 if hides else options.occlusion == 0


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("budget", ["paper", "fast", "smoke"])
@pytest.mark.parametrize("data", ["cifar10", "stl10", "mnist"])
def test_every_recipe_gives_options_that_its_parts_have(method, data, budget):
    layers = [method.options, method.data_options.get(data, {}), method.budgets.get(budget, {})]
    assert all(set(layer) <= {"train", "objective"} for layer in layers)
    assert resolve_options("objective", DIMOptions, *(layer.get("objective", {}) for layer in layers))
    assert resolve_options("train", TrainOptions, *(layer.get("train", {}) for layer in layers)).batch_size == 64


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_smaller_budget_shortens_training_and_narrows_critics_and_nothing_else(method):
    epochs = [method.options["train"]["epochs"], *(method.budgets[name]["train"]["epochs"] for name in ("fast", "smoke"))]
    assert epochs == sorted(epochs, reverse=True)
    for budget in method.budgets.values():
        assert set(budget["train"]) == {"epochs"}
        assert set(budget["objective"]) <= {"units", "hidden"}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_training_is_as_long_as_published(method):
    epochs = {data: method.data_options.get(data, method.options)["train"]["epochs"] for data in ("cifar10", "cifar100")}
    epochs |= {data: method.data_options.get(data, method.options)["train"]["epochs"] for data in ("stl10", "tiny-imagenet")}
    assert epochs == {"cifar10": 1000, "cifar100": 1000, "stl10": 200, "tiny-imagenet": 200}


def test_every_method_says_where_it_is_from():
    assert all("1808.06670" in method.paper and "hjelm2019" in method.citation for method in METHODS)


# --------------------------------------------------------------------------------------------- in a catalog


def entry(spec):
    return Entry(
        kind=kind_of(spec),
        name=name_of(spec),
        full_name=f"toy/{name_of(spec)}",
        spec=spec,
        plugin="toy",
        distribution="toy",
        version="1",
    )


def data_of(name, shape):
    return DataSetSpec(
        name=name,
        summary=name,
        track="images",
        kind="images",
        build="toy:build",
        recipe=GeneratedRecipe(generator="toy"),
        protocols=("toy-split",),
        sampling=("items",),
        shape=shape,
        annotations=(),
    )


def encoder_of(name, side):
    features = tuple(FeatureSpec(feature, feature) for feature in ("y", "local"))
    return EncoderSpec(
        name=name, summary=name, kinds=("images",), features=features, build="toy:build", shapes=((None, side, side),)
    )


SIZES = {"dcgan-32": 32, "conv-28": 28, "dcgan-64": 64, "alexnet-64": 64, "image-small": 8}
DATA = {
    "cifar10": (3, 32, 32),
    "mnist": (1, 28, 28),
    "faces": (3, 64, 64),
    "stl10": (3, 64, 64),
    "tiny-imagenet": (3, 64, 64),
    "digits": (1, 8, 8),
    "large": (3, 224, 224),
}
METRIC = MetricSpec(name="spread", unit="1", higher_is_better=None, primary=True)


@pytest.fixture(scope="module")
def catalog():
    parts = [
        DIM,
        *METHODS,
        *(data_of(name, shape) for name, shape in DATA.items()),
        *(encoder_of(name, side) for name, side in SIZES.items()),
        ProtocolSpec(name="toy-split", summary="toy", track="images", splits="none", preprocessing="none", evaluators=("spread",)),
        EvaluatorSpec(name="spread", summary="spread", build="toy:build", metrics=(METRIC,), needs=()),
    ]
    return Catalog(entry(part) for part in parts)


def first(catalog, method="dim", data="cifar10", *options):
    return plan(Request(method=method, data=data, options=options), catalog).runs[0]


@pytest.mark.parametrize("spec", [DIM, *METHODS], ids=lambda spec: spec.name)
def test_every_spec_is_well_formed(spec):
    assert checked(spec) == spec


def test_the_build_string_leads_to_a_function():
    assert callable(import_part(DIM.build, entry(DIM)))


def test_dim_is_local_infonce(catalog):
    assert first(catalog, "dim").identity.method.name == "dim-l-infonce"
    assert first(catalog, "dim") == first(catalog, "dim-l-infonce")


def test_no_two_methods_answer_to_one_name():
    names = [name for method in METHODS for name in (method.name, *method.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("data", "encoder"),
    [
        ("cifar10", "dcgan-32"),
        ("mnist", "conv-28"),
        ("faces", "dcgan-64"),
        ("stl10", "alexnet-64"),
        ("tiny-imagenet", "alexnet-64"),
        ("digits", "image-small"),
    ],
)
@pytest.mark.parametrize("method", BY_NAME)
def test_images_of_each_size_have_their_encoder(catalog, method, data, encoder):
    assert first(catalog, method, data).identity.encoder.name == encoder


def test_images_of_another_size_have_none(catalog):
    with pytest.raises(UnfitError, match=r"no encoder for the samples of .*, whose shape is \(3, 224, 224\)"):
        first(catalog, "dim", "large")


@pytest.mark.parametrize("method", BY_NAME)
def test_a_batch_of_one_has_no_negatives_and_is_not_planned(catalog, method):
    with pytest.raises(UnfitError, match=r"needs batches of 2 or more; train\.batch_size is 1\."):
        first(catalog, method, "cifar10", "train.batch_size=1")


def test_a_batch_of_two_is(catalog):
    assert first(catalog, "dim", "cifar10", "train.batch_size=2").identity.training.batch_size == 2


def test_planning_refuses_an_objective_without_weights(catalog):
    with pytest.raises(OptionError) as caught:
        first(catalog, "dim", "cifar10", "objective.alpha=0", "objective.beta=0", "objective.gamma=0")
    assert str(caught.value) == NOTHING_TO_TRAIN_FOR

"""What `gaussians:ARG` and `equicorrelated:ARG` mean."""

from __future__ import annotations

import pytest

from harness import UsageError
from harness.api import installed
from harness.line.planning import recipe_sha256
from harness_information.gaussians import law_of
from harness_information.laws import RecipeNoise
from harness_information.naming import (
    LAW_KEYS,
    MAP_NAMES,
    gaussians_settings,
    resolve_equicorrelated,
    resolve_gaussians,
)

SPELLINGS = {
    "mi=6": ("correlated,mi=6", "mi=6.0,d=20", " mi = 6 , d = 20 ", "d=2e1,mi=6"),
    "mi=6,cubic": ("cubic,mi=6", "correlated,cubic,d=20,mi=6.00"),
    "mi=1,d=2": ("d=2,mi=1",),
    "rho=0.75,d=1": ("rho=.75", "correlated,d=1,rho=0.750"),
    "rho=0,d=1": ("rho=-0", "rho=0"),
    "rho=0.5,d=20": ("d=20,rho=0.5",),
    "dense,rho=0.5,d=2": ("dense", "dense,dx=2,dy=2", "dense,d=7,dx=2,dy=2"),
    "dense,rho=0.5,dx=2,dy=3": ("dense,d=3,dx=2", "dy=3,dense,rho=0.5"),
    "sparse,rho=0.8,d=2": ("sparse", "sparse,d=2"),
    "student,dof=1,d=2": ("student", "student,dof=1.0"),
    "student,dof=3,dx=1,dy=2,asinh": ("asinh,student,dx=1,dy=2,dof=3", "asinh,student,dx=1,dof=3"),
    "uniform,noise=0.1": ("uniform", "uniform,noise=1e-1"),
    "rho=0.75,d=1,swiss-roll": ("swiss-roll,rho=0.75",),
}

REFUSALS = {
    "": "gaussians: holds '', which is not understood; it takes correlated, dense, sparse, student, uniform, cubic, ",
    "densee,d=2": "holds 'densee', which is not understood; did you mean dense?",
    "mi=6,cubik": "holds 'cubik', which is not understood; did you mean cubic?",
    "mi=1,swis-roll": "did you mean swiss-roll?",
    "mi=1,dd=3": "holds 'dd=3', which is not understood; did you mean d?",
    "uniform,noice=1": "did you mean noise?",
    "mi": "holds 'mi', which is not understood; it takes ",
    "mi=": "holds 'mi=', which is not understood; it takes ",
    "mi=6,mi=7": "holds 'mi=7', which is not understood; it takes ",
    "cubic=1,mi=2": "holds 'cubic=1', which is not understood; it takes ",
    "mi=6,rho=.5": "gives both mi and rho; write gaussians:mi=6.",
    "cubic": "gives neither mi nor rho; write gaussians:mi=6.",
    "dense,sparse": "names dense and sparse; choose one.",
    "mi=1,cubic,asinh": "names cubic and asinh; choose one.",
    "dense,mi=3": "the law dense has no mi; it takes rho, d, dx, dy.",
    "mi=6,dx=3": "the law correlated has no dx; it takes mi, rho, d.",
    "uniform,d=3": "the law uniform has no d; it takes noise.",
    "mi=101": "mi=101 is out of range; it is from 0 to 100 nats.",
    "mi=-1": "mi=-1 is out of range",
    "mi=six": "mi=six is out of range",
    "mi=nan": "mi=nan is out of range",
    "mi=inf": "mi=inf is out of range",
    "mi=11,d=1": "32-bit numbers hold no more than 10 nats a dimension; give d=2 or more.",
    "mi=100,d=9": "give d=10 or more.",
    "rho=1": "rho=1 is out of range; it is from -0.999999999 to 0.999999999.",
    "dense,rho=-0.1": "rho=-0.1 is out of range; it is from 0 to 0.999999999.",
    "sparse,rho=-1": "rho=-1 is out of range",
    "student,dof=0": "dof=0 is out of range; it is a whole number from 1 to 1000.",
    "student,dof=1.5": "dof=1.5 is out of range",
    "mi=1,d=0": "d=0 is out of range; it is a whole number from 1 to 1000.",
    "mi=1,d=inf": "d=inf is out of range",
    "dense,dy=1001": "dy=1001 is out of range",
    "uniform,noise=0": "noise=0 is out of range; it is from 0.0001 to 10.",
    "sparse,dx=1": "the law sparse correlates two pairs of coordinates and needs d=2 or more.",
    "uniform,spiral": "a spiral turns a plane and needs d=2 or more.",
    "dense,dy=1,spiral": "a spiral turns a plane and needs d=2 or more.",
    "mi=1,swiss-roll": "a swiss-roll is rolled from a line and needs an x of one dimension, for example rho=0.75,d=1.",
    "student,d=1,swiss-roll": "choose asinh.",
    "student,bimodal": "choose asinh.",
    "student,normal-cdf": "brings the far values that the law student has to one and the same 32-bit number",
}

EQUICORRELATED_REFUSALS = {
    "": "equicorrelated: holds '', which is not understood; it takes d=, r=.",
    "rho=0.5": "holds 'rho=0.5', which is not understood; it takes d=, r=.",
    "cubic": "holds 'cubic', which is not understood; it takes d=, r=.",
    "r": "holds 'r', which is not understood; it takes d=, r=.",
    "d=2,d=3": "holds 'd=3', which is not understood",
    "d=1": "one coordinate is correlated with nothing; give d=2 or more.",
    "d=2.5": "d=2.5 is out of range; it is a whole number from 1 to 1000.",
    "r=1": "r=1 is out of range; it is from 0 to 0.999999999.",
    "r=-0.1": "r=-0.1 is out of range",
}


def laws_and_maps():
    """Every law with every map that it takes."""
    found = []
    for law in LAW_KEYS:
        for name in ("none", *MAP_NAMES):
            values = ["rho=0.75"] if law == "correlated" else []
            dims = [] if law == "uniform" else ["d=1" if name == "swiss-roll" and law != "sparse" else "d=2"]
            argument = ",".join([law, *values, *dims, *([name] if name != "none" else [])])
            try:
                found.append(resolve_gaussians(argument))
            except UsageError:
                continue
    return {spec.name: spec for spec in found}


ALL = laws_and_maps()


@pytest.mark.parametrize(
    ("name", "spelling"), [(name, spelling) for name, spellings in SPELLINGS.items() for spelling in (name, *spellings)]
)
def test_a_law_has_one_name_however_it_is_spelt(name, spelling):
    assert resolve_gaussians(spelling) == resolve_gaussians(name)
    assert resolve_gaussians(spelling).name == f"gaussians:{name}"


@pytest.mark.parametrize("name", ALL)
def test_a_name_is_resolved_to_itself(name):
    again = resolve_gaussians(name.removeprefix("gaussians:"))
    assert again == ALL[name]


def test_every_law_and_every_map_can_be_named():
    settings = [spec.recipe.settings for spec in ALL.values()]
    assert {one["law"] for one in settings} == set(LAW_KEYS)
    assert {one["map"] for one in settings} == {"none", *MAP_NAMES}
    assert len(ALL) == 5 * 9 - 5  # no sparse swiss-roll, no uniform spiral, and three that student does not take


@pytest.mark.parametrize(("one", "other"), [("mi=1.2345678", "mi=1.2345679"), ("rho=0.99999999", "rho=0.99999998")])
def test_laws_that_differ_in_a_late_digit_have_names_that_differ(one, other):
    names = {resolve_gaussians(argument).name for argument in (one, other)}
    assert len(names) == 2
    for name, argument in zip(sorted(names), sorted([one, other]), strict=True):
        assert gaussians_settings(name.removeprefix("gaussians:")) == gaussians_settings(argument)


def test_recipes_differ_where_laws_differ():
    digests = {recipe_sha256(spec.recipe, {}) for spec in ALL.values()}
    assert len(digests) == len(ALL)


@pytest.mark.parametrize(
    ("one", "other"), [("mi=6", "mi=6,d=10"), ("mi=6", "mi=6.5"), ("dense", "dense,rho=0.4"), ("rho=.5", "rho=-.5")]
)
def test_recipes_differ_where_a_value_does(one, other):
    assert recipe_sha256(resolve_gaussians(one).recipe, {}) != recipe_sha256(resolve_gaussians(other).recipe, {})


def test_recipes_hold_every_value_that_was_left_out():
    assert resolve_gaussians("dense,d=3").recipe.settings == {
        "law": "dense",
        "map": "none",
        "dx": 3,
        "dy": 3,
        "rho": 0.5,
        "seed": 0,
    }


@pytest.mark.parametrize("name", ALL)
def test_the_spec_s_shape_is_that_of_what_is_drawn(name):
    spec = ALL[name]
    law = law_of(spec.recipe.settings)
    x, y = law.draw(3, RecipeNoise(0))
    assert spec.shape == (law.x_dims, law.y_dims) == (x.shape[1], y.shape[1])


@pytest.mark.parametrize("name", ALL)
def test_no_map_that_may_be_named_brings_different_values_together(name):
    settings = ALL[name].recipe.settings
    plain = law_of({**settings, "map": "none"}).draw(4096, RecipeNoise(1))
    mapped = law_of(settings).draw(4096, RecipeNoise(1))
    for before, after in zip(plain, mapped, strict=True):
        assert len(after.unique(dim=0)) >= 0.998 * len(before.unique(dim=0))


@pytest.mark.parametrize(("argument", "sentence"), REFUSALS.items())
def test_what_names_no_law_is_refused_with_a_sentence(argument, sentence):
    refused_with_a_sentence(resolve_gaussians, "gaussians", argument, sentence)


@pytest.mark.parametrize(("argument", "sentence"), EQUICORRELATED_REFUSALS.items())
def test_what_names_no_vectors_is_refused_with_a_sentence(argument, sentence):
    refused_with_a_sentence(resolve_equicorrelated, "equicorrelated", argument, sentence)


def refused_with_a_sentence(resolve, prefix, argument, sentence):
    with pytest.raises(UsageError) as caught:
        resolve(argument)
    message = str(caught.value)
    assert sentence in message
    assert message.startswith(f"{prefix}:{argument}")
    assert message.endswith((".", "?"))
    assert "\n" not in message


@pytest.mark.parametrize(
    "argument", ["mi=10,d=1", "mi=100", "rho=0.999999999", "student,half-cube", "student,asinh", "uniform,cubic"]
)
def test_what_lies_at_the_limit_is_taken(argument):
    assert law_of(gaussians_settings(argument)).mutual_information > 0


@pytest.mark.parametrize(
    ("argument", "name"),
    [("d=10", "d=10,r=0.5"), ("r=.5", "d=10,r=0.5"), (" d = 3 , r=0.250", "d=3,r=0.25"), ("r=-0,d=2", "d=2,r=0")],
)
def test_equicorrelated_vectors_have_one_name(argument, name):
    spec = resolve_equicorrelated(argument)
    assert spec.name == f"equicorrelated:{name}"
    assert resolve_equicorrelated(name) == spec
    assert spec.shape == (spec.recipe.settings["d"],)


def test_the_catalogue_knows_them_by_any_spelling():
    catalog = installed()[1]
    assert catalog.dataset("gaussians:d=2,mi=1").spec.name == "gaussians:mi=1,d=2"
    assert catalog.dataset("equicorrelated:d=2").spec.name == "equicorrelated:d=2,r=0.5"


def test_the_catalogue_passes_a_refusal_on():
    with pytest.raises(UsageError, match=r"did you mean dense\?"):
        installed()[1].dataset("gaussians:dens")

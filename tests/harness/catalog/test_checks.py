from __future__ import annotations

import re

import msgspec
import pytest

import harness
from harness.catalog.checks import SpecError, checked

ENCODER = harness.EncoderSpec(
    name="tiny", summary="Tiny.", kinds=("vectors",), features=(harness.FeatureSpec("y", "[N, 2]"),), build="a:b"
)
OBJECTIVE = harness.ObjectiveSpec(name="none", summary="None.", build="a:b", sampling=())
METHOD = harness.MethodSpec(name="still", summary="Still.", objective="none", encoders={"*": "tiny"})
PROTOCOL = harness.ProtocolSpec(
    name="split", summary="Split.", track="images", splits="half", preprocessing="none", evaluators=("svm",)
)
METRIC = harness.MetricSpec(name="accuracy", unit="%", higher_is_better=True, lower=0, upper=100)
EVALUATOR = harness.EvaluatorSpec(name="svm", summary="SVM.", build="a:b", needs=("labels",), metrics=(METRIC,))
FILE = harness.FileSpec(path="mnist/raw/x.gz", sha256="0" * 64, url="https://example.org/x.gz", size=3)
DATASET = harness.DataSetSpec(
    name="mnist",
    summary="Digits.",
    track="images",
    kind="images",
    build="a:b",
    recipe=harness.FilesRecipe(files=(FILE,)),
    protocols=("split",),
    sampling=("items",),
    shape=(1, 28, 28),
)
HUB = harness.HubRecipe(repository="owner/mnist", revision="0" * 40, files=("data/train.parquet",))
FAMILY = harness.DataSetFamilySpec(prefix="folder", summary="Folders.", resolve="a:b", example="folder:here")
NUMBER = harness.PublishedNumber(method="dgi", data="cora", evaluator="svm", metric="accuracy", value=82.3, source="A (2019)")
PICTURE = harness.PictureSpec(name="tiles", summary="Tiles.", kinds=("images",), build="a:b", needs=("inputs",))
SUITE = harness.SuiteSpec(name="table", summary="Table 2.", path="package.sub:suites/table.toml")


class NotOptions(msgspec.Struct):
    lr: float = 1.0


class Options(harness.Options):
    lr: float = 1.0


class UnreadableOptions(harness.Options):
    lr: Nowhere = 1.0  # noqa: F821 (such an annotation is what is tested)


def with_(spec, **changes):
    return msgspec.structs.replace(spec, **changes)


def with_file(**changes):
    return with_(DATASET, recipe=harness.FilesRecipe(files=(with_(FILE, **changes),)))


def with_hub(**changes):
    return with_(DATASET, recipe=with_(HUB, **changes))


@pytest.mark.parametrize(
    "spec", [with_hub(), ENCODER, OBJECTIVE, METHOD, PROTOCOL, EVALUATOR, DATASET, FAMILY, NUMBER, PICTURE, SUITE]
)
def test_a_right_spec_is_returned_as_it_is(spec):
    assert checked(spec) == spec


def test_lists_become_the_tuples_that_the_contract_names():
    assert checked(with_(ENCODER, kinds=["vectors"])).kinds == ("vectors",)


def test_whole_numbers_become_the_floats_that_the_contract_names():
    assert isinstance(checked(with_(NUMBER, value=82)).value, float)


def test_tuples_inside_option_values_stay_tuples():
    method = with_(METHOD, options={"encoder": {"widths": (64, 32)}})
    assert checked(method).options == {"encoder": {"widths": (64, 32)}}


def test_the_message_names_the_type_and_name_of_the_spec():
    with pytest.raises(SpecError, match=r"^ObjectiveSpec 'Bad Name': "):
        checked(with_(OBJECTIVE, name="Bad Name"))


def test_all_mistakes_are_told_at_once():
    with pytest.raises(SpecError, match=r"lower-case letters.*one line.*package\.module:attribute"):
        checked(with_(OBJECTIVE, name="Bad Name", summary="", build="nowhere"))


def test_a_type_error_deep_inside_names_its_place():
    with pytest.raises(SpecError, match=re.escape("field features[0].name: expected `str`, got `int`")):
        checked(with_(ENCODER, features=(harness.FeatureSpec(3, "[N, 2]"),)))


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (with_(OBJECTIVE, name=None), "field name: expected `str`"),
        (with_(OBJECTIVE, version=1.5), "field version: expected `int`"),
        (with_(OBJECTIVE, version=0), "version counts from 1"),
        (with_(OBJECTIVE, summary="two\nlines"), "summary is not one line"),
        (with_(OBJECTIVE, build="module"), "build 'module' is not of the form"),
        (with_(OBJECTIVE, sampling="items"), "field sampling: expected `array`, got `str`"),
        (with_(OBJECTIVE, sampling=("",)), "sampling holds an empty word"),
        (with_(OBJECTIVE, options=3), "field options: expected `type`"),
        (with_(OBJECTIVE, options=NotOptions), "options NotOptions is not a subclass of harness.Options"),
        (with_(OBJECTIVE, options=UnreadableOptions), "the field types of options UnreadableOptions cannot be read"),
        (with_(OBJECTIVE, requires=("scikit-learn",)), "requires holds 'scikit-learn', which is not an import name"),
        (with_(ENCODER, kinds=()), "kinds is empty"),
        (with_(ENCODER, features=()), "features is empty"),
        (with_(ENCODER, features=ENCODER.features * 2), "feature 'y' is there twice"),
        (with_(ENCODER, features=(harness.FeatureSpec("a,b", ""),)), "feature name 'a,b' has other characters"),
        (with_(ENCODER, decoder="module"), "decoder 'module' is not of the form"),
        (with_(ENCODER, smallest_batch=0), "smallest_batch counts from 1"),
        (with_(METHOD, objective=""), "objective is empty"),
        (with_(METHOD, encoders={}), "encoders is empty"),
        (with_(METHOD, encoders={"*": ()}), "encoders of '*' is empty"),
        (with_(METHOD, aliases=("Still one",)), "alias 'Still one': a name has lower-case letters"),
        (with_(METHOD, aliases=("still",)), "name 'still' is there twice"),
        (with_(OBJECTIVE, smallest_batch=0), "smallest_batch counts from 1"),
        (with_(METHOD, options={"trian": {}}), "options has the part 'trian'; parts are data, encoder, objective, train"),
        (with_(METHOD, data_options={"cora": {"opt": {}}}), "data_options.cora has the part 'opt'"),
        (with_(METHOD, budgets={"fast": {"opt": {}}}), "budgets.fast has the part 'opt'"),
        (with_(METHOD, data_budgets={"cora": {"fast": {"opt": {}}}}), "data_budgets.cora.fast has the part 'opt'"),
        (with_(METHOD, data_budgets={"cora": {"quick": {}}}), "budgets has 'quick'; budgets are paper, fast, smoke"),
        (with_(METHOD, budgets={"quick": {}}), "budgets has 'quick'; budgets are paper, fast, smoke"),
        (with_(METHOD, reference="always"), "field reference: invalid enum value 'always'"),
        (with_(PROTOCOL, track="audio"), "field track: invalid enum value 'audio'"),
        (with_(PROTOCOL, evaluators=()), "evaluators is empty"),
        (with_(EVALUATOR, metrics=()), "metrics is empty"),
        (with_(EVALUATOR, metrics=(METRIC, METRIC)), "metric 'accuracy' is there twice"),
        (with_(EVALUATOR, metrics=(with_(METRIC, unit=""),)), "metric accuracy has no unit"),
        (with_(EVALUATOR, metrics=(with_(METRIC, name="Top 1"),)), "metric name 'Top 1' has other characters"),
        (with_(EVALUATOR, metrics=(with_(METRIC, lower=2, upper=1),)), "its lower bound above its upper one"),
        (with_(EVALUATOR, needs=("weights",)), "field needs[0]: invalid enum value 'weights'"),
        (with_(EVALUATOR, tracks=()), "tracks is empty"),
        (
            with_(EVALUATOR, options=Options, budgets={"fast": {"rl": 1}}),
            "Option budgets.fast.rl does not exist",
        ),
        (with_(EVALUATOR, options=Options, budgets={"fast": {"lr": "x"}}), "expected `float`"),
        (with_(DATASET, kind=""), "kind is empty"),
        (with_(DATASET, protocols=()), "protocols is empty"),
        (with_(DATASET, sampling=()), "sampling is empty"),
        (with_(DATASET, annotations=("inputs",)), "annotations are labels, factors or truth, not inputs"),
        (with_(DATASET, shape=(1, 0, 28)), "shape, samples and classes are positive"),
        (with_(DATASET, samples=0), "shape, samples and classes are positive"),
        (with_(DATASET, recipe=harness.FilesRecipe(files=())), "recipe.files is empty"),
        (with_(DATASET, recipe=harness.FilesRecipe(files=(FILE, FILE))), "recipe file 'mnist/raw/x.gz' is there twice"),
        (with_hub(repository="mnist"), "repository 'mnist' is not of the form owner/name"),
        (with_hub(repository="../../x"), "is not of the form owner/name"),
        (with_hub(revision="main"), "revision 'main' is not a commit of 40 lower-case hexadecimal digits"),
        (with_hub(files=()), "a hub recipe names the files it reads"),
        (with_hub(files=("a.parquet", "a.parquet")), "recipe file 'a.parquet' is there twice"),
        (with_hub(files=("../a.parquet",)), "is not a plain relative path"),
        (
            with_(DATASET, recipe=harness.FilesRecipe(files=(FILE,), elsewhere=with_(HUB, revision="v1"))),
            "revision 'v1' is not a commit",
        ),
        (with_file(path="/etc/passwd"), "is not a plain relative path"),
        (with_file(path="../secret"), "is not a plain relative path"),
        (with_file(path="raw\\x.gz"), "is not a plain relative path"),
        (with_file(sha256="ABC"), "is not 64 lower-case hexadecimal digits"),
        (with_file(url="file:///etc/passwd"), "does not start with https://"),
        (with_file(size=-1), "is negative"),
        (with_(FAMILY, prefix="folder:"), "a prefix has lower-case letters"),
        (with_(FAMILY, resolve="module"), "resolve 'module' is not of the form"),
        (with_(FAMILY, example=""), "example is empty"),
        (with_(NUMBER, value=float("nan")), "value is not finite"),
        (with_(NUMBER, std=-1.0), "std is not a finite non-negative number"),
        (with_(NUMBER, source=""), "source is empty"),
        (with_(PICTURE, build="module"), "build 'module' is not of the form"),
        (with_(PICTURE, kinds=()), "kinds is empty"),
        (with_(PICTURE, needs=("encoder",)), "needs are labels, factors, inputs, truth or modules, not encoder"),
        (with_(PICTURE, requires=("scikit-learn",)), "requires holds 'scikit-learn', which is not an import name"),
        (with_(SUITE, path="suites/table.toml"), "is not of the form"),
        (with_(SUITE, path="package:../table.toml"), "is not of the form"),
        (with_(SUITE, path="package:/table.toml"), "is not of the form"),
    ],
)
def test_a_wrong_value_is_refused_with_its_reason(spec, complaint):
    with pytest.raises(SpecError, match=re.escape(complaint)):
        checked(spec)


def test_an_unpinned_file_is_no_mistake():
    assert checked(with_file(sha256=None))

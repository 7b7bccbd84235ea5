"""A plugin that implements every hook rightly: the neighbour that must not suffer from the broken ones."""

import harness
from harness import hookimpl

told = []


@hookimpl
def harness_datasets():
    return [
        harness.DataSetSpec(
            name="plain",
            summary="A plain data set.",
            track="synthetic",
            kind="vectors",
            build="healthy_plugin:build",
            recipe=harness.GeneratedRecipe(generator="plain"),
            protocols=("plain-split",),
            sampling=("items",),
        ),
        harness.DataSetFamilySpec(
            prefix="sized", summary="Data sets of a size.", resolve="healthy_plugin:resolve", example="sized:10"
        ),
    ]


@hookimpl
def harness_encoders():
    return [
        harness.EncoderSpec(
            name="tiny",
            summary="A tiny encoder.",
            kinds=("vectors",),
            features=(harness.FeatureSpec("y", "[N, 2]"),),
            build="healthy_plugin:build",
        )
    ]


@hookimpl
def harness_objectives():
    return [harness.ObjectiveSpec(name="nothing", summary="No training.", build="healthy_plugin:build", sampling=())]


@hookimpl
def harness_methods():
    return [harness.MethodSpec(name="still", summary="Trains nothing.", objective="nothing", encoders={"*": "tiny"})]


@hookimpl
def harness_protocols():
    return [
        harness.ProtocolSpec(
            name="plain-split",
            summary="One split.",
            track="synthetic",
            splits="first half, second half",
            preprocessing="none",
            evaluators=("zero",),
        )
    ]


@hookimpl
def harness_evaluators():
    return [
        harness.EvaluatorSpec(
            name="zero",
            summary="Scores zero.",
            build="healthy_plugin:build",
            needs=(),
            metrics=(harness.MetricSpec(name="zero", unit="1", higher_is_better=None),),
        )
    ]


@hookimpl
def harness_pictures():
    return [harness.PictureSpec(name="nought", summary="Draws nothing.", kinds=("*",), build="healthy_plugin:build")]


@hookimpl
def harness_published():
    return [
        harness.PublishedNumber(method="still", data="plain", evaluator="zero", metric="zero", value=0, source="Nobody (2000)")
    ]


@hookimpl
def harness_suites():
    return [harness.SuiteSpec(name="all", summary="Everything.", path="healthy_plugin:all.toml")]


@hookimpl
def harness_run_started(run):
    told.append(("run_started", run))


@hookimpl
def harness_preparation_advanced(data, done, total, unit):
    told.append(("preparation_advanced", data, done, total, unit))


@hookimpl
def harness_evaluation_advanced(run, evaluator, feature, done, total, unit):
    told.append(("evaluation_advanced", run, evaluator, feature, done, total, unit))


@hookimpl
def harness_step_finished(run, step, total, terms):
    told.append(("step_finished", run, step, total, dict(terms)))


@hookimpl
def harness_record_written(record):
    told.append(("record_written", record))


def build(*arguments):
    return arguments


def resolve(argument):
    if argument == "bad":
        raise harness.UsageError("A size is a number.")
    if argument == "crash":
        raise ZeroDivisionError("division by zero")
    if argument == "none":
        return None
    name = "unprefixed" if argument == "unprefixed" else f"sized:{argument}"
    return harness.DataSetSpec(
        name=name,
        summary="A data set of a size.",
        track="synthetic",
        kind="vectors",
        build="healthy_plugin:build",
        recipe=harness.GeneratedRecipe(generator="sized", settings={"size": argument}),
        protocols=("plain-split",),
        sampling=("items",),
    )

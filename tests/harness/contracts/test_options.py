from __future__ import annotations

import math
from typing import Annotated, Literal

import pytest

from harness import Meta, Options
from harness.contracts.options import describe_options, parse_assignment, resolve_options
from harness.errors import OptionError


class Example(Options, frozen=True, kw_only=True):
    lr: Annotated[float, Meta(gt=0, description="learning rate")] = 1e-3
    steps: Annotated[int, Meta(ge=1, description="updates")] = 10
    patience: Annotated[int | None, Meta(description="epochs")] = 5
    tied: bool = False
    widths: tuple[int, ...] = (64, 32)
    scales: tuple[float, ...] = (1.0,)
    norm: Literal["none", "batch"] = "batch"
    name: str = "x"
    note: str | None = None


def one(key, value):
    return getattr(resolve_options("objective", Example, {key: value}), key)


# --------------------------------------------------------------------------------------------- reading values


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("lr", "1e-3", 0.001),
        ("lr", "1", 1.0),
        ("steps", "300", 300),
        ("tied", "true", True),
        ("tied", "false", False),
        ("patience", "7", 7),
        ("patience", "none", None),
        ("patience", "None", None),
        ("patience", None, None),
        ("widths", [8, 4], (8, 4)),
        ("widths", "8, 4", (8, 4)),
        ("widths", "8", (8,)),
        ("scales", "0.5,1e-3", (0.5, 0.001)),
        ("norm", "none", "none"),
        ("name", "none", "none"),
        ("note", "none", "none"),
        ("note", None, None),
    ],
)
def test_text_is_read_by_the_fields_type(key, text, value):
    assert one(key, text) == value
    assert type(one(key, text)) is type(value)


def test_later_layers_win_over_earlier_ones_and_over_defaults():
    resolved = resolve_options("objective", Example, {"lr": 0.1, "steps": 3}, {}, {"lr": "0.2"})
    assert (resolved.lr, resolved.steps, resolved.patience) == (0.2, 3, 5)


def test_no_layers_are_the_defaults():
    assert resolve_options("objective", Example) == Example()


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("lr", "fast", "Option objective.lr='fast': expected `float`, got `str`."),
        ("lr", "0", "Option objective.lr='0': expected `float` > 0.0."),
        ("lr", "nan", "Option objective.lr='nan': expected `float` > 0.0."),
        ("lr", "inf", "Option objective.lr='inf': a finite number is expected."),
        ("lr", math.inf, "Option objective.lr=inf: a finite number is expected."),
        ("lr", None, "Option objective.lr=None: expected `float`, got `null`."),
        ("scales", [1.0, math.nan], "Option objective.scales=[1.0, nan]: a finite number is expected."),
        ("steps", "0", "Option objective.steps='0': expected `int` >= 1."),
        ("steps", "1.5", "Option objective.steps='1.5': expected `int`, got `str`."),
        ("steps", "none", "Option objective.steps='none': expected `int`, got `str`."),
        ("tied", "perhaps", "Option objective.tied='perhaps': expected `bool`, got `str`."),
        ("widths", [8, "wide"], "Option objective.widths=[8, 'wide']: expected `int`, got `str`."),
        ("widths", "8,wide", "Option objective.widths='8,wide': expected `int`, got `str`."),
        ("norm", "layer", "Option objective.norm='layer': expected one of batch | none."),
        ("norm", "bach", "Option objective.norm='bach': did you mean batch? It is one of batch | none."),
        ("stpes", "3", "Option objective.stpes does not exist; did you mean objective.steps?"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(key, value, sentence):
    with pytest.raises(OptionError) as caught:
        one(key, value)
    assert str(caught.value) == sentence


def test_options_without_fields_take_none():
    with pytest.raises(OptionError, match=r"Option encoder\.lr does not exist; encoder takes no options\."):
        resolve_options("encoder", Options, {"lr": 1})


def test_options_cannot_be_changed():
    with pytest.raises(AttributeError):
        Example().lr = 3.0


# ------------------------------------------------------------------------------------------- PART.KEY=VALUE


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("objective.lr=1e-3", ("objective", "lr", "1e-3")),
        ("evaluator.svm.C=0.1", ("evaluator.svm", "C", "0.1")),
        ("evaluator.toy/svm.C=0.1", ("evaluator.toy/svm", "C", "0.1")),
        (" data.name = a=b ", ("data", "name", "a=b")),
        ("encoder.widths=[64, 32]", ("encoder", "widths", [64, 32])),
        ('data.settings={"a": 1}', ("data", "settings", {"a": 1})),
        ("data.name=", ("data", "name", "")),
    ],
)
def test_an_assignment_is_taken_apart(text, pieces):
    assert parse_assignment(text) == pieces


@pytest.mark.parametrize("text", ["", "lr", "lr=3", "objective.lr", ".lr=3", "objective.=3", "=3"])
def test_what_is_no_assignment_is_refused_with_an_example(text):
    with pytest.raises(OptionError, match=r"is not of the form PART\.KEY=VALUE, for example objective\.lr=1e-3"):
        parse_assignment(text)


@pytest.mark.parametrize("text", ["data.a=[1", "data.a={", "data.a=[1,]"])
def test_json_that_is_none_is_refused(text):
    with pytest.raises(OptionError, match="is not valid JSON"):
        parse_assignment(text)


# ------------------------------------------------------------------------------------------------- descriptions


def test_fields_are_described_in_order_with_type_default_and_help():
    fields = describe_options(Example)
    assert [field.name for field in fields] == ["lr", "steps", "patience", "tied", "widths", "scales", "norm", "name", "note"]
    assert (fields[0].type, fields[0].default, fields[0].description) == ("float", 0.001, "learning rate")
    assert fields[1].type == "int"
    assert fields[2].type == "int | none"
    assert (fields[4].type, fields[4].default) == ("list of int", (64, 32))
    assert fields[6].type == "batch | none"
    assert fields[7].description == ""


def test_no_options_have_no_fields():
    assert describe_options(Options) == []

"""Published numbers of spatio-temporal Deep InfoMax, and the suites beside them."""

from __future__ import annotations

import statistics
import tomllib
from importlib import resources

import pytest

from harness_atari.categories import CATEGORIES, categories_of
from harness_atari.games import game
from harness_atari.spec import harness_evaluators, harness_methods, harness_published, harness_suites
from harness_atari.spec_published import _GAMES, _MEAN, _METHODS

PUBLISHED = harness_published()


def test_there_is_a_number_for_every_game_and_method_under_both_protocols():
    by_game = [number for number in PUBLISHED if number.data.startswith("atari:") and number.data != "atari:*" and not number.of]
    # The supervised column stands beside one row more.
    assert len(by_game) == 2 * 22 * 7 + 22
    assert len({(number.data, number.method, number.evaluator) for number in by_game}) == len(by_game)


@pytest.mark.parametrize(("column", "method"), list(enumerate(_METHODS)))
def test_the_published_means_are_those_of_the_published_games(column, method):
    assert statistics.fmean(row[column] for row in _GAMES.values()) == pytest.approx(_MEAN[column], abs=0.0075)


@pytest.mark.parametrize("name", _GAMES)
def test_every_game_is_one_of_the_papers(name):
    assert game(name).in_paper


def test_the_papers_supervised_rows_train_an_encoder_for_each_variable():
    found = {
        (number.method, number.evaluator): number for number in PUBLISHED if number.data == "atari:pong" and number.value == 0.87
    }
    assert set(found) == {("random", "ram-supervised"), ("supervised", "ram-probe"), ("supervised", "ram-probe-legacy")}
    assert {number.distance for number in found.values()} == {"near"}
    assert "an encoder for each variable, we one for all" in found["supervised", "ram-probe"].note


def test_what_numbers_are_of_exists():
    metrics = {metric.name for spec in harness_evaluators() for metric in spec.metrics}
    assert {number.metric for number in PUBLISHED} <= metrics
    for number in PUBLISHED:
        if "category" in number.of:
            assert number.of["category"] in CATEGORIES
        if "variable" in number.of:
            assert categories_of(number.of["variable"])
            assert number.of["variable"] in game("boxing").places


@pytest.mark.parametrize("suite", harness_suites(), ids=lambda suite: suite.name)
def test_every_suite_is_there_and_names_games_and_methods(suite):
    package, _, inside = suite.path.partition(":")
    text = resources.files(package).joinpath(inside).read_text()
    known = {method.name for method in harness_methods()} | {"vae", "supervised", "random", "majority"}
    declared = tomllib.loads(text)
    for run in declared["runs"]:
        assert set([run["method"]] if isinstance(run["method"], str) else run["method"]) <= known
        assert all(game(name.partition(":")[2]).in_paper for name in run.get("data", declared.get("data")))


def test_the_whole_table_is_planned():
    text = resources.files("harness_atari").joinpath("suites/st-dim.toml").read_text()
    assert {name.partition(":")[2] for name in tomllib.loads(text)["data"]} == set(_GAMES)

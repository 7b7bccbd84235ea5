"""Specs of the games and of their protocols."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import msgspec
import pytest

from harness import UnknownNameError
from harness_atari import spec_data
from harness_atari.games import games
from harness_atari.spec_data import AtariLabelOptions, AtariOptions, resolve_atari, resolve_atari_ram


def test_the_families_and_protocols_are_these():
    assert [family.prefix for family in spec_data.DATASETS] == ["atari", "atari-ram"]
    assert [protocol.id for protocol in spec_data.PROTOCOLS] == ["aari/1", "aari-legacy/1"]
    assert [protocol.evaluators for protocol in spec_data.PROTOCOLS] == [("ram-probe",), ("ram-probe-legacy",)]
    assert {protocol.features for protocol in spec_data.PROTOCOLS} == {("y",)}


@pytest.mark.parametrize("name", games())
def test_every_game_has_two_data_sets_made_of_the_same_collection(name):
    frames, labels = resolve_atari(name), resolve_atari_ram(name)
    assert (frames.name, labels.name) == (f"atari:{name}", f"atari-ram:{name}")
    assert (frames.kind, frames.shape, labels.kind, labels.shape) == ("frames", (1, 210, 160), "vectors", (1,))
    assert frames.recipe == labels.recipe
    assert frames.recipe.settings["rom_sha256"] == games()[name].rom_sha256
    assert frames.protocols == labels.protocols == ("aari", "aari-legacy")
    assert frames.annotations == labels.annotations == ("factors",)


@pytest.mark.parametrize("family", spec_data.DATASETS, ids=lambda family: family.prefix)
def test_a_family_s_example_is_one_of_its_data_sets(family):
    resolve = getattr(spec_data, family.resolve.partition(":")[2])
    prefix, _, argument = family.example.partition(":")
    assert resolve(argument).name == f"{prefix}:{argument}" == family.example


@pytest.mark.parametrize("resolve", [resolve_atari, resolve_atari_ram])
def test_an_unknown_game_is_refused_with_the_one_that_was_meant(resolve):
    with pytest.raises(UnknownNameError, match="did you mean 'ms_pacman'"):
        resolve("mspacman")


@pytest.mark.parametrize("options", [AtariOptions, AtariLabelOptions])
def test_every_option_is_described_and_its_default_valid(options):
    assert msgspec.convert(msgspec.to_builtins(options()), options) == options()
    for field in msgspec.inspect.type_info(options).fields:
        assert field.type.extra_json_schema["description"]


def test_the_paper_s_sizes_are_the_defaults_and_budgets_are_valid():
    options = AtariOptions()
    assert (options.pretrain_frames, options.probe_frames, options.validation, options.size) == (100_000, 50_000, 0.2, None)
    for resolve, kind in ((resolve_atari, AtariOptions), (resolve_atari_ram, AtariLabelOptions)):
        budgets = resolve("pong").budgets
        sizes = [msgspec.convert(budgets[budget], kind).probe_frames for budget in ("fast", "smoke")]
        assert sizes == [15_000, 4_000]
    assert resolve_atari("pong").budgets["fast"] == {"pretrain_frames": 20_000, "probe_frames": 15_000, "validation": 0.0}


@pytest.mark.parametrize(
    "values",
    [{"pretrain_frames": 4_001}, {"probe_frames": 0}, {"validation": 1.0}, {"validation": -0.1}, {"size": 83}, {"seed": -1}],
)
def test_an_option_without_a_meaning_is_refused(values):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(values, AtariOptions)


def test_the_emulator_s_version_is_part_of_the_recipe(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9" if name == "ale-py" else "0")
    assert resolve_atari("pong").recipe.settings["emulator"] == "ale-py 9.9"

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert resolve_atari("pong").recipe.settings["emulator"] == "ale-py 0.12.1"


def test_planning_imports_nothing_heavy():
    program = (
        "import sys; from harness_atari.spec_data import resolve_atari; resolve_atari('pong'); "
        "print({'torch', 'numpy', 'ale_py'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "set()"

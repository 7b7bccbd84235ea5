"""The table of annotated games."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from harness import UnknownNameError
from harness_atari.emulation import rom_path
from harness_atari.games import game, games


def test_there_are_24_games_22_of_them_in_the_paper():
    assert len(games()) == 24
    assert sorted(name for name, found in games().items() if not found.in_paper) == ["battle_zone", "skiing"]
    assert all(found.name == name for name, found in games().items())


def test_the_games_of_the_paper_have_336_variables():
    assert sum(len(found.places) for found in games().values() if found.in_paper) == 336


@pytest.mark.parametrize("name", games())
def test_every_place_is_in_ram(name):
    assert all(0 <= place < 128 for place in game(name).places.values())
    written = game(name).variables.values()
    assert len(game(name).places) == sum(1 if isinstance(place, int) else len(place) for place in written)


def test_the_entries_of_a_list_are_numbered_from_zero():
    places = game("breakout").places
    assert places["player_x"] == 72
    assert [name for name in places if name.startswith("block_bit_map")] == [f"block_bit_map_{k}" for k in range(30)]
    assert list(game("asteroids").places.items())[:2] == [("enemy_asteroids_y_0", 3), ("enemy_asteroids_y_1", 4)]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("pogn", "pong"),
        ("Pong", "pong"),
        ("mspacman", "ms_pacman"),
        ("ALE/MsPacman-v5", "ms_pacman"),
        ("MontezumaRevengeNoFrameskip-v4", "montezuma_revenge"),
        ("ms-pacman", "ms_pacman"),
        ("river_raid", "riverraid"),
    ],
)
def test_the_game_that_was_meant_is_named(name, meant):
    with pytest.raises(UnknownNameError, match=f"There is no annotated Atari game named '{name}'; did you mean '{meant}'"):
        game(name)


@pytest.mark.parametrize("name", ["", "chess", "zzz"])
def test_where_none_is_like_it_all_are_named(name):
    with pytest.raises(UnknownNameError, match="known: asteroids, battle_zone, .*yars_revenge"):
        game(name)


@pytest.mark.usefixtures("_needs_emulator")
@pytest.mark.parametrize("name", games())
def test_the_emulator_s_roms_are_the_pinned_ones(name):
    assert hashlib.sha256(rom_path(game(name)).read_bytes()).hexdigest() == game(name).rom_sha256


def test_reading_the_table_imports_nothing_heavy():
    program = (
        "import sys; from harness_atari.games import games; games(); print(sorted({'torch', 'numpy', 'ale_py'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "[]"

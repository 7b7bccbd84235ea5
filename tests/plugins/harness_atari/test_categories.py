"""Categories of variables by their names."""

from __future__ import annotations

from collections import Counter

import pytest

from harness_atari.categories import CATEGORIES, categories_of
from harness_atari.games import games

SMALL, AGENT, OTHER, SCORES, MISC = CATEGORIES


@pytest.mark.parametrize(
    ("variable", "categories"),
    [
        ("ball_x", (SMALL,)),
        ("player_missile_x1", (SMALL,)),  # the player's, and small all the same
        ("missiles_y", (SMALL,)),
        ("diver_or_enemy_missile_x_3", (SMALL,)),
        ("player_y", (AGENT,)),
        ("player_column", (AGENT,)),
        ("player_left_paddle_y", (AGENT,)),
        ("enemy_x", (OTHER,)),
        ("enemy_asteroids_y_14", (OTHER,)),
        ("red_enemy_column", (OTHER,)),
        ("bottom_of_rope_y", (OTHER,)),
        ("score", (SCORES,)),
        ("num_lives", (SCORES,)),
        ("clock_sec", (SCORES,)),
        ("oxygen_meter_value", (SCORES,)),
        ("frame_number_display", (SCORES,)),
        ("room_number", (MISC,)),
        ("block_bit_map_5", (MISC,)),
        ("pin_existence_0", (MISC,)),
        ("player_missile_direction", (MISC,)),  # no place, so it is no small object
        ("dots_eaten_count", (MISC,)),
        ("num_lives_direction", (SCORES, MISC)),
        ("tile_color_20", ()),
        ("angle_of_tank", ()),
    ],
)
def test_categories_are_read_from_the_name(variable, categories):
    assert categories_of(variable) == categories


def test_the_games_of_the_paper_have_as_many_variables_of_each_category_as_their_annotation():
    names = [name for game in games().values() if game.in_paper for name in game.places]
    counts = Counter(category for name in names for category in categories_of(name))
    assert len(names) == 336
    assert counts == {AGENT: 40, SMALL: 31, OTHER: 121, SCORES: 54, MISC: 70}
    assert sum(not categories_of(name) for name in names) == 21

"""Categories of RAM variables, read from a variable's name as the Atari Annotated RAM Interface does (Anand, Racah et al. 2019).

A variable that says where something is has `_x`, `_y`, `_z` or `_column` in its name, and the rest of the name says what: a small
object, the agent, or something else. Scores, clocks, lives and displays are known by one list of words, and what is counted or told
apart otherwise by another. A name can be in two categories, such as `num_lives_direction`, or in none, such as `tile_color_3`.
"""

from __future__ import annotations

SMALL_OBJECTS = "small_object_localization"
AGENT = "agent_localization"
OTHER = "other_localization"
SCORES = "score_clock_lives_display"
MISC = "misc"
CATEGORIES = (SMALL_OBJECTS, AGENT, OTHER, SCORES, MISC)

PLACES = ("_x", "_y", "_z", "_column")
SMALL = ("ball", "missile")
PLAYERS = ("agent", "player")
COUNTED = ("score", "clock", "lives", "lifes", "meter", "display")
STATES = ("count", "bit_map", "existence", "level", "room", "game_state", "direction")


def categories_of(variable: str) -> tuple[str, ...]:
    """The categories of a variable of this name, in the order of `CATEGORIES`: one, two or none."""

    def says(words: tuple[str, ...]) -> bool:
        return any(word in variable for word in words)

    found = []
    if says(PLACES):
        # What is small comes first: the player's missile is no agent.
        found.append(SMALL_OBJECTS if says(SMALL) else AGENT if says(PLAYERS) else OTHER)
    if says(COUNTED):
        found.append(SCORES)
    if says(STATES):
        found.append(MISC)
    return tuple(found)

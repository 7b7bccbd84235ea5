from __future__ import annotations

import pytest

from harness.names import after_number, duration


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (120, "2 min"), (5400, "1.5 h"), (36000, "10.0 h")])
def test_times_are_said_in_the_unit_that_fits(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(("unit", "words"), [("%", "81 %"), ("nats", "81 nats"), ("1", "81")])
def test_a_pure_number_has_no_unit(unit, words):
    assert f"81{after_number(unit)}" == words

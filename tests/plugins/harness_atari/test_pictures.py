"""The pictures of a run on Atari games."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from harness import FrameSource, RunView, Score, Splits
from harness_atari import pictures
from harness_atari.pictures import categories, positions
from harness_atari.stacked_probes import Training

N = 400


def made_view(**changes):
    """Frames with one dot, whose place the feature tells and the RAM has with an offset."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(3, 37, N), rng.integers(3, 47, N)
    frames = np.zeros((N, 1, 50, 40), np.uint8)
    for frame, column, line in zip(frames[:, 0], x, y, strict=True):
        frame[line - 1 : line + 2, column - 1 : column + 2] = 255
    told = np.concatenate([np.eye(40)[x], np.eye(50)[y]], axis=1).astype(np.float32) * 5
    source = FrameSource(frames, np.repeat(np.arange(4), N // 4))
    order = rng.permutation(N)
    fields = {
        "feature": "y",
        "features": lambda name: told,
        "description": source.description,
        "splits": Splits(train=np.sort(order[:300]), validation=np.sort(order[300:350]), test=np.sort(order[350:])),
        "seed": 3,
        "device": torch.device("cpu"),
        "factors": {"ball_x": x + 100, "ball_y": y + 7, "score": rng.integers(0, 5, N)},
        "inputs": source,
    }
    return RunView(**(fields | changes))


def marks(figure):
    """(marker, x, y) of everything drawn on the frames."""
    lines = [line for axis in figure.axes for line in axis.get_lines()]
    return [(line.get_marker(), *line.get_xdata(), *line.get_ydata()) for line in lines if line.get_marker() in ("o", "x")]


def test_places_are_drawn_where_things_are_on_the_frame():
    (picture,) = positions(made_view())
    view = made_view()
    numbers = np.sort(view.sample(pictures.SHOWN))
    drawn = marks(picture.figure)
    circles = [(x, y) for marker, x, y in drawn if marker == "o"]
    assert circles == [(view.factors["ball_x"][number] - 100, view.factors["ball_y"][number] - 7) for number in numbers]
    assert len([mark for mark in drawn if mark[0] == "x"]) == pictures.SHOWN
    assert "1 things" in picture.caption


def test_what_a_probe_reads_of_a_feature_that_tells_the_place_is_near_it(monkeypatch):
    # Three hundred frames are few steps.
    monkeypatch.setattr(pictures, "TRAINING", Training(lr=0.1, epochs=60, batch_size=64, patience=20))
    drawn = marks(positions(made_view())[0].figure)
    distances = [np.hypot(a[1] - b[1], a[2] - b[2]) for a, b in zip(drawn[::2], drawn[1::2], strict=True)]
    assert np.median(distances) <= 1


def test_a_feature_that_tells_nothing_is_read_wrongly():
    drawn = marks(positions(made_view(features=lambda name: np.zeros((N, 3), np.float32)))[0].figure)
    distances = [np.hypot(a[1] - b[1], a[2] - b[2]) for a, b in zip(drawn[::2], drawn[1::2], strict=True)]
    assert np.median(distances) > 3


@pytest.mark.parametrize("factors", [{}, {"score": np.zeros(N, int)}, {"ball_x": np.arange(N) % 30}])
def test_without_a_variable_that_says_where_something_is_there_is_nothing_to_draw(factors):
    assert positions(made_view(factors=factors)) == []


@pytest.mark.parametrize(("variable", "edge"), [("ball_x", (None, 49)), ("ball_y", (0, None))])
def test_what_has_one_coordinate_stands_at_the_edge(variable, edge):
    view = made_view()
    (picture,) = positions(made_view(factors={variable: view.factors[variable]}))
    offset = {"ball_x": 100, "ball_y": 7}[variable]
    place = [view.factors[variable][number] - offset for number in np.sort(view.sample(pictures.SHOWN))]
    circles = [(x, y) for marker, x, y in marks(picture.figure) if marker == "o"]
    assert circles == [tuple(real if known is None else known for known in edge) for real in place]
    assert picture.figure.axes[0].get_legend_handles_labels()[1] == ["ball, its " + ("column" if variable == "ball_x" else "line")]


def test_things_with_both_coordinates_come_first():
    both = made_view().factors
    factors = {f"wall_x_{number}": both["ball_x"] for number in range(pictures.MOST_THINGS)} | both
    (picture,) = positions(made_view(factors=factors))
    labels = picture.figure.axes[0].get_legend_handles_labels()[1]
    assert len(labels) == pictures.MOST_THINGS
    assert labels[:2] == ["ball", "wall 0, its column"]


def test_the_same_run_gives_the_same_picture():
    one, other = (marks(positions(made_view())[0].figure) for _ in range(2))
    assert one == other


def test_positions_can_be_written_as_svg():
    file = io.StringIO()
    positions(made_view())[0].figure.savefig(file, format="svg")
    assert "<svg" in file.getvalue()


# ------------------------------------------------------------------------------------------------------ categories

SCORES = [
    Score(name="f1", value=0.5),
    Score(name="category_f1", value=0.7, of={"category": "agent_localization"}),
    Score(name="category_f1", value=0.3, of={"category": "misc"}),
    Score(name="variable_f1", value=0.7, of={"variable": "player_x"}),
    Score(name="variable_f1", value=0.3, of={"variable": "direction"}),
    Score(name="variable_f1", value=0.2, of={"variable": "tile_color_1"}),
]


def test_categories_and_variables_are_bars():
    (picture,) = categories(made_view(scores={("ram-probe", "y"): SCORES, ("knn", "y"): [Score(name="accuracy", value=0.1)]}))
    left, right = picture.figure.axes
    assert [bar.get_width() for bar in left.patches] == [0.7, 0.3]
    assert [label.get_text() for label in left.get_yticklabels()] == ["agent localization", "misc"]
    assert [bar.get_width() for bar in right.patches] == [0.7, 0.3, 0.2]
    assert [label.get_text() for label in right.get_yticklabels()] == ["player_x", "direction", "tile_color_1"]
    assert "ram-probe" in picture.caption


def test_a_run_that_is_not_judged_yet_has_no_bars():
    assert categories(made_view()) == []

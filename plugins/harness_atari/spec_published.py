"""Published numbers of spatio-temporal Deep InfoMax, and the suites that compute ours beside them. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from harness import PublishedNumber, SuiteSpec

_SOURCE = "Anand et al. 2019, Unsupervised State Representation Learning in Atari, {}"
_LEGACY_NOTE = (
    "100,000 frames to train on and 50,000 to judge on; the authors' label set of the time, ours is that of their code today"
)
_NOTE = f"{_LEGACY_NOTE}; `aari` mends what `aari-legacy` keeps of the authors' code"
_SHARED_NOTE = f"{_LEGACY_NOTE}; the paper trains an encoder for each variable, we one for all, which is then judged by probes"

_METHODS = ("majority", "random", "vae", "pixel-pred", "cpc", "st-dim", "supervised")
"""Of the columns below."""

_GAMES: dict[str, tuple[float, ...]] = {
    "asteroids": (0.28, 0.34, 0.36, 0.34, 0.42, 0.49, 0.52),
    "berzerk": (0.18, 0.43, 0.45, 0.55, 0.56, 0.53, 0.68),
    "bowling": (0.33, 0.48, 0.50, 0.81, 0.90, 0.96, 0.95),
    "boxing": (0.01, 0.19, 0.20, 0.44, 0.29, 0.58, 0.83),
    "breakout": (0.17, 0.51, 0.57, 0.70, 0.74, 0.88, 0.94),
    "demon_attack": (0.16, 0.26, 0.26, 0.32, 0.57, 0.69, 0.83),
    "freeway": (0.01, 0.50, 0.01, 0.81, 0.47, 0.81, 0.98),
    "frostbite": (0.08, 0.57, 0.51, 0.72, 0.76, 0.75, 0.85),
    "hero": (0.22, 0.75, 0.69, 0.74, 0.90, 0.93, 0.98),
    "montezuma_revenge": (0.08, 0.68, 0.38, 0.74, 0.75, 0.78, 0.87),
    "ms_pacman": (0.10, 0.49, 0.56, 0.74, 0.65, 0.72, 0.87),
    "pitfall": (0.07, 0.34, 0.35, 0.44, 0.46, 0.60, 0.83),
    "pong": (0.10, 0.17, 0.09, 0.70, 0.71, 0.81, 0.87),
    "private_eye": (0.23, 0.70, 0.71, 0.83, 0.81, 0.91, 0.97),
    "qbert": (0.29, 0.49, 0.49, 0.52, 0.65, 0.73, 0.76),
    "riverraid": (0.04, 0.34, 0.26, 0.41, 0.40, 0.36, 0.57),
    "seaquest": (0.29, 0.57, 0.56, 0.62, 0.66, 0.67, 0.85),
    "space_invaders": (0.14, 0.41, 0.52, 0.57, 0.54, 0.57, 0.75),
    "tennis": (0.09, 0.41, 0.29, 0.57, 0.60, 0.60, 0.81),
    "venture": (0.09, 0.36, 0.38, 0.46, 0.51, 0.58, 0.68),
    "video_pinball": (0.09, 0.37, 0.45, 0.57, 0.58, 0.61, 0.82),
    "yars_revenge": (0.01, 0.22, 0.08, 0.19, 0.39, 0.42, 0.74),
}
_MEAN = (0.14, 0.44, 0.40, 0.58, 0.61, 0.68, 0.82)
_CATEGORIES: dict[str, tuple[float, ...]] = {
    "small_object_localization": (0.14, 0.19, 0.18, 0.31, 0.42, 0.51, 0.66),
    "agent_localization": (0.12, 0.31, 0.32, 0.48, 0.43, 0.58, 0.81),
    "other_localization": (0.14, 0.50, 0.39, 0.61, 0.66, 0.69, 0.80),
    "score_clock_lives_display": (0.13, 0.58, 0.54, 0.76, 0.83, 0.87, 0.91),
    "misc": (0.26, 0.59, 0.63, 0.70, 0.71, 0.75, 0.83),
}
_BOXING_METHODS = ("vae", "pixel-pred", "cpc", "global-t-dim", "st-dim")
_BOXING: dict[str, tuple[float, ...]] = {
    "clock": (0.03, 0.27, 0.79, 0.81, 0.92),
    "enemy_score": (0.19, 0.58, 0.59, 0.74, 0.70),
    "enemy_x": (0.32, 0.49, 0.15, 0.17, 0.51),
    "enemy_y": (0.22, 0.42, 0.04, 0.16, 0.38),
    "player_score": (0.08, 0.32, 0.56, 0.45, 0.88),
    "player_x": (0.33, 0.54, 0.19, 0.13, 0.56),
    "player_y": (0.16, 0.43, 0.04, 0.14, 0.37),
}


def _row(
    data: str, values: tuple[float, ...], where: str, methods: tuple[str, ...] = _METHODS, **fields: Any
) -> list[PublishedNumber]:
    """The numbers of one line of a table, beside each row of ours that is near them."""
    return [
        PublishedNumber(
            method=row,
            data=name,
            evaluator=evaluator,
            value=value,
            source=_SOURCE.format(where),
            distance=distance,
            note=note,
            **fields,
        )
        for method, value in zip(methods, values, strict=True)
        for row, name, evaluator, distance, note in _rows_beside(method, data)
    ]


def _rows_beside(method: str, data: str) -> Iterator[tuple[str, str, str, Literal["same", "near"], str]]:
    """Method, data set and evaluator of the rows of ours that a published number of a method stands beside, how near and why.

    That is under both protocols; `majority` also where there are labels alone. What the paper calls supervised is `ram-supervised`
    of the row `random`, and near to the method `supervised`.
    """
    if method == "supervised":
        yield "random", data, "ram-supervised", "near", _NOTE
        for evaluator in ("ram-probe-legacy", "ram-probe"):
            yield method, data, evaluator, "near", _SHARED_NOTE
        return
    for name in [data, data.replace("atari:", "atari-ram:")] if method == "majority" else [data]:
        yield method, name, "ram-probe-legacy", "same", _LEGACY_NOTE
        yield method, name, "ram-probe", "near", _NOTE


PUBLISHED = [
    *(number for game, values in _GAMES.items() for number in _row(f"atari:{game}", values, "F1 scores by game", metric="f1")),
    *_row("atari:*", _MEAN, "F1 scores by game, mean over the 22 games", metric="f1"),
    *(
        number
        for category, values in _CATEGORIES.items()
        for number in _row(
            "atari:*", values, "F1 scores by category, mean over the 22 games", metric="category_f1", of={"category": category}
        )
    ),
    *(
        number
        for variable, values in _BOXING.items()
        for number in _row(
            "atari:boxing", values, "F1 scores on Boxing", _BOXING_METHODS, metric="variable_f1", of={"variable": variable}
        )
    ),
]

SUITES = [
    SuiteSpec(
        name="st-dim",
        summary="Every method of the published table on its 22 games, with the ablations.",
        path="harness_atari:suites/st-dim.toml",
    ),
    SuiteSpec(
        name="st-dim-five",
        summary="Five games in budget fast: ST-DIM beside the VAE and the reference rows.",
        path="harness_atari:suites/st-dim-five.toml",
    ),
    SuiteSpec(
        name="aari-majority",
        summary="The majority row on the 22 games under the protocol of the authors' code: labels alone, no training.",
        path="harness_atari:suites/aari-majority.toml",
    ),
]

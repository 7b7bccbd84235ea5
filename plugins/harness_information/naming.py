"""What `gaussians:ARG` and `equicorrelated:ARG` mean: the settings of a law, read from an argument. Imports nothing heavy.

An argument is words and KEY=VALUE pairs with commas between: "mi=6", "mi=6,cubic", "dense,d=5", "student,d=2,dof=1".
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from harness import DataSetSpec, GeneratedRecipe, Meta, Options, UsageError

MAP_NAMES = ("cubic", "half-cube", "normal-cdf", "asinh", "wiggly", "bimodal", "spiral", "swiss-roll")

LAW_KEYS: Mapping[str, tuple[str, ...]] = {
    "correlated": ("mi", "rho", "d"),
    "dense": ("rho", "d", "dx", "dy"),
    "sparse": ("rho", "d", "dx", "dy"),
    "student": ("dof", "d", "dx", "dy"),
    "uniform": ("noise",),
}
"""Laws of `gaussians`, the first one where none is named, and the keys each takes. d stands for dx and dy at once."""

_BOUNDED_MAPS = ("normal-cdf", "bimodal", "swiss-roll")
_MOST_NATS = 10.0
"""Of one pair of coordinates. Beyond it the rounding of 32-bit numbers is no longer small beside what x leaves open of y."""
_HIGHEST = 0.999999999
"""Correlation of one pair of coordinates; the same limit."""

USUAL_DIMS = 20
"""Of x and of y where an information is asked for, as in the papers."""

SEED = 0
"""Of the pairs that are judged; a part of every recipe."""


class GaussiansOptions(Options, frozen=True, kw_only=True):
    """Options of the data sets with known information."""

    samples: Annotated[int, Meta(ge=2, description="pairs of the training part, and as many of the test part")] = 10_240
    fresh: Annotated[
        bool,
        Meta(description="training draws new pairs in every epoch, as many as the training part has; false: the training part"),
    ] = True


class EquicorrelatedOptions(Options, frozen=True, kw_only=True):
    """Options of the vectors with known total correlation."""

    samples: Annotated[int, Meta(ge=2, description="vectors of the training part, and as many of the test part")] = 10_240


def resolve_gaussians(argument: str) -> DataSetSpec:
    """The data set of a law. Raises UsageError when the argument names none, or gives it a value it cannot have."""
    settings = gaussians_settings(argument)
    name = "gaussians:" + _written(settings)
    dims = settings["dx"], settings["dy"]
    if settings["map"] == "swiss-roll":
        dims = 2, dims[1]
    return DataSetSpec(
        name=name,
        summary=f"Pairs of vectors of {dims[0]} and {dims[1]} dimensions with exactly known mutual information.",
        track="synthetic",
        kind="pairs",
        build="harness_information.gaussians:build_gaussians",
        recipe=GeneratedRecipe(generator="harness_information.gaussians", settings={**settings, "seed": SEED}),
        protocols=("known-information",),
        sampling=("items",),
        shape=dims,
        annotations=("truth",),
        options=GaussiansOptions,
        citation="Czyz, Grabowski, Vogt, Beerenwinkel, Marx (2023), Beyond Normal, NeurIPS; Poole et al. (2019), ICML",
    )


def gaussians_settings(argument: str) -> dict[str, Any]:
    """The settings of a law with all its defaults: {"law", "map", "dx", "dy", ...}. The errors of `resolve_gaussians`."""
    words, given = _pieces("gaussians", argument, (*LAW_KEYS, *MAP_NAMES), {key for keys in LAW_KEYS.values() for key in keys})
    laws, maps = [word for word in words if word in LAW_KEYS], [word for word in words if word in MAP_NAMES]
    if len(laws) > 1 or len(maps) > 1:
        raise UsageError(f"gaussians:{argument} names {' and '.join(laws if len(laws) > 1 else maps)}; choose one.")
    law = laws[0] if laws else "correlated"
    for key in given:
        if key not in LAW_KEYS[law]:
            raise UsageError(f"gaussians:{argument}: the law {law} has no {key}; it takes {', '.join(LAW_KEYS[law])}.")
    default_dims = USUAL_DIMS if law == "correlated" and "rho" not in given else 1 if law in ("correlated", "uniform") else 2
    d = _count("gaussians", argument, "d", given, default_dims)
    settings: dict[str, Any] = {
        "law": law,
        "map": maps[0] if maps else "none",
        "dx": _count("gaussians", argument, "dx", given, d),
        "dy": _count("gaussians", argument, "dy", given, d),
    }
    settings |= _SETTINGS[law](argument, given)
    smallest = min(settings["dx"], settings["dy"])
    if law == "sparse" and smallest < 2:
        raise UsageError(f"gaussians:{argument}: the law sparse correlates two pairs of coordinates and needs d=2 or more.")
    if law == "student" and settings["map"] in _BOUNDED_MAPS:
        raise UsageError(
            f"gaussians:{argument}: {settings['map']} brings the far values that the law student has to one and the same 32-bit "
            "number, which changes the information; choose asinh."
        )
    if settings["map"] == "spiral" and smallest < 2:
        raise UsageError(f"gaussians:{argument}: a spiral turns a plane and needs d=2 or more.")
    if settings["map"] == "swiss-roll" and settings["dx"] != 1:
        raise UsageError(
            f"gaussians:{argument}: a swiss-roll is rolled from a line and needs an x of one dimension, for example rho=0.75,d=1."
        )
    return settings


def resolve_equicorrelated(argument: str) -> DataSetSpec:
    """The data set of equicorrelated Gaussians. Raises UsageError when the argument has another form or an impossible value."""
    _, given = _pieces("equicorrelated", argument, (), ("d", "r"))
    dims = _count("equicorrelated", argument, "d", given, 10)
    if dims < 2:
        raise UsageError(f"equicorrelated:{argument}: one coordinate is correlated with nothing; give d=2 or more.")
    r = _number("equicorrelated", argument, "r", given, 0.5, lambda value: 0 <= value <= _HIGHEST, f"from 0 to {_HIGHEST}")
    settings = {"d": dims, "r": r}
    return DataSetSpec(
        name=f"equicorrelated:d={dims},r={_digits(r)}",
        summary=f"Gaussian vectors of {dims} dimensions, every two correlated by {r:g}, with exactly known total correlation.",
        track="synthetic",
        kind="vectors",
        build="harness_information.gaussians:build_equicorrelated",
        recipe=GeneratedRecipe(generator="harness_information.gaussians", settings={**settings, "seed": SEED}),
        protocols=("known-correlation",),
        sampling=("items",),
        shape=(dims,),
        annotations=("truth",),
        options=EquicorrelatedOptions,
    )


# ------------------------------------------------------------------------------------------ what each law's keys say


def _correlated(argument: str, given: Mapping[str, str]) -> dict[str, Any]:
    if ("mi" in given) == ("rho" in given):
        raise UsageError(
            f"gaussians:{argument} gives {'both mi and rho' if 'mi' in given else 'neither mi nor rho'}; write gaussians:mi=6."
        )
    if "mi" in given:
        mi = _number("gaussians", argument, "mi", given, 0.0, lambda value: 0 <= value <= 100, "from 0 to 100 nats")
        if mi > _MOST_NATS * _count("gaussians", argument, "d", given, USUAL_DIMS):
            raise UsageError(
                f"gaussians:{argument}: 32-bit numbers hold no more than {_MOST_NATS:g} nats a dimension; give "
                f"d={math.ceil(mi / _MOST_NATS)} or more."
            )
        return {"mi": mi}
    return {"rho": _rho(argument, given, 0.0)}


def _rho(argument: str, given: Mapping[str, str], default: float) -> float:
    return _number(
        "gaussians", argument, "rho", given, default, lambda value: abs(value) <= _HIGHEST, f"from -{_HIGHEST} to {_HIGHEST}"
    )


def _dense(argument: str, given: Mapping[str, str]) -> dict[str, Any]:
    return {"rho": _number("gaussians", argument, "rho", given, 0.5, lambda value: 0 <= value <= _HIGHEST, f"from 0 to {_HIGHEST}")}


def _sparse(argument: str, given: Mapping[str, str]) -> dict[str, Any]:
    return {"rho": _rho(argument, given, 0.8)}


def _student(argument: str, given: Mapping[str, str]) -> dict[str, Any]:
    return {"dof": _count("gaussians", argument, "dof", given, 1)}


def _uniform(argument: str, given: Mapping[str, str]) -> dict[str, Any]:
    return {"noise": _number("gaussians", argument, "noise", given, 0.1, lambda value: 1e-4 <= value <= 10, "from 0.0001 to 10")}


_SETTINGS: Mapping[str, Callable[[str, Mapping[str, str]], dict[str, Any]]] = {
    "correlated": _correlated,
    "dense": _dense,
    "sparse": _sparse,
    "student": _student,
    "uniform": _uniform,
}

# --------------------------------------------------------------------------------------------- reading an argument


def _pieces(prefix: str, argument: str, words: Sequence[str], keys: Sequence[str] | set[str]) -> tuple[list[str], dict[str, str]]:
    """The words and the KEY=VALUE pairs of an argument."""
    found: list[str] = []
    given: dict[str, str] = {}
    for piece in (piece.strip() for piece in argument.split(",")):
        key, equals, value = (part.strip() for part in piece.partition("="))
        known = sorted(keys) if equals else list(words)
        if key not in known or (equals and (key in given or not value)):
            near = difflib.get_close_matches(key, [*sorted(keys), *words], n=1)
            advice = (
                f"did you mean {near[0]}?"
                if near and near[0] != key
                else f"it takes {', '.join([*words, *(f'{k}=' for k in sorted(keys))])}."
            )
            raise UsageError(f"{prefix}:{argument} holds {piece!r}, which is not understood; {advice}")
        if equals:
            given[key] = value
        else:
            found.append(key)
    return found, given


def _count(prefix: str, argument: str, key: str, given: Mapping[str, str], default: int) -> int:
    return int(
        _number(
            prefix,
            argument,
            key,
            given,
            default,
            lambda value: value == int(value) and 1 <= value <= 1000,
            "a whole number from 1 to 1000",
        )
    )


def _number(
    prefix: str,
    argument: str,
    key: str,
    given: Mapping[str, str],
    default: float,
    fits: Callable[[float], bool],
    range_in_words: str,
) -> float:
    try:
        value = float(given.get(key, default)) + 0.0  # -0 is 0
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and fits(value)):
        raise UsageError(f"{prefix}:{argument}: {key}={given[key]} is out of range; it is {range_in_words}.")
    return value


def _written(settings: Mapping[str, Any]) -> str:
    """One spelling for each law: its word, its values, its dimensions where they are not the usual ones, its map."""
    pieces = [settings["law"]] if settings["law"] != "correlated" else []
    pieces += [f"{key}={_digits(settings[key])}" for key in ("mi", "rho", "dof", "noise") if key in settings]
    if settings["dx"] != settings["dy"]:
        pieces += [f"dx={settings['dx']}", f"dy={settings['dy']}"]
    elif settings["law"] != "uniform" and not ("mi" in settings and settings["dx"] == USUAL_DIMS):
        pieces.append(f"d={settings['dx']}")
    if settings["map"] != "none":
        pieces.append(settings["map"])
    return ",".join(pieces)


def _digits(value: float) -> str:
    """A number in as few digits as say it exactly: "6", "0.75"."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)

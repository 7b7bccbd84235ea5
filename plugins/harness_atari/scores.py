"""Weighted F1 and accuracy of many classifiers at once, and their means over categories of variables.

Weighted F1 is the mean of the classes' F1 = 2 TP / (true + predicted), each class weighted by how often it is true. A class that is
never true has no weight, however often it is predicted; a class that is true and never predicted counts with an F1 of 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness_atari.categories import CATEGORIES, categories_of

VALUES = 256
"""Of a byte."""


def weighted_f1_and_accuracy(
    predicted: NDArray[np.int64], true: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both scores of V variables, in [0, 1].

    Three counts over all variables together. scikit-learn's `f1_score` gives the same number of one variable at a time and takes
    some fifty times as long, most of it for looking up which values there are.

    :param predicted: [V, n] values of a byte, 0 to 255.
    :param true: [V, n] likewise.
    :returns: [V] weighted F1 and [V] accuracy.
    """
    variables, n = true.shape
    own = VALUES * np.arange(variables)[:, None]

    def counts(values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(values.ravel(), minlength=variables * VALUES).reshape(variables, VALUES)

    right = predicted == true
    support, said = counts(own + true), counts(own + predicted)
    hits = counts((own + true)[right])
    # Where a class is neither true nor predicted, nothing is divided by one.
    f1 = 2 * hits / np.maximum(support + said, 1)
    return (support * f1).sum(axis=1) / n, right.mean(axis=1)


def constant_f1(frequency: float) -> float:
    """Weighted F1 of always saying one value: 2p² / (1 + p).

    :param frequency: p, how often the value is true, from 0 to 1.
    """
    return 2 * frequency**2 / (1 + frequency)


def category_means(scores: Mapping[str, float]) -> dict[str, float]:
    """The mean over each category's variables, for the categories that have any; a variable in two categories counts in both.

    :param scores: a score by variable.
    """
    members = {category: [score for name, score in scores.items() if category in categories_of(name)] for category in CATEGORIES}
    return {category: float(np.mean(values)) for category, values in members.items() if values}


def headline(means: Mapping[str, float]) -> float:
    """The mean over categories, however many variables each has.

    :param means: what `category_means` gives; at least one category.
    """
    return float(np.mean(list(means.values())))

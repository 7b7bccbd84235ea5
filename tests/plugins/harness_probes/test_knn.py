"""k nearest neighbours."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from harness import EvaluationError
from harness_probes import knn
from harness_probes.knn import KnnProbe, vote
from harness_probes.samples import Samples
from harness_probes.spec import KnnOptions

CPU = torch.device("cpu")


def evaluate(task, **options):
    [score] = KnnProbe(KnnOptions(**options)).evaluate(task)
    return score


def one_by_one(train_x, train_y, x, k):
    """The rule as the module states it, one sample at a time."""
    unit = train_x / np.linalg.norm(train_x, axis=1, keepdims=True)
    said = []
    for query in x:
        similarity = np.round(unit @ (query / np.linalg.norm(query)) * 2**20)
        nearest = sorted(range(len(unit)), key=lambda i: (-similarity[i], i))[:k]
        votes = [train_y[i] for i in nearest]
        if train_y.ndim == 2:
            said.append(np.sum(votes, axis=0) * 2 > k)
        else:
            said.append(max(votes, key=lambda c: (votes.count(c), -votes.index(c))))
    return np.array(said)


@pytest.fixture
def drawn():
    """Training features and classes, and queries; whole numbers in few dimensions, so that ties abound."""
    rng = np.random.default_rng(0)
    x, queries = (rng.integers(1, 4, (n, 3)).astype(np.float32) for n in (60, 40))
    return x, rng.integers(0, 4, 60), queries


def test_the_vote_is_the_stated_rule(drawn):
    x, y, queries = drawn
    ks = [1, 2, 5, 20, 60]
    together = vote(Samples(x, y), queries, ks, CPU)
    for row, k in zip(together, ks, strict=True):
        assert np.array_equal(row, one_by_one(x, y, queries, k))


def test_binary_labels_follow_the_stated_rule(drawn):
    x, y, queries = drawn
    binary = np.stack([y == 0, y < 2, y != 3], axis=1)
    together = vote(Samples(x, binary), queries, [1, 4, 9], CPU)
    for row, k in zip(together, [1, 4, 9], strict=True):
        assert np.array_equal(row, one_by_one(x, binary, queries, k))


def test_without_ties_the_neighbours_are_scikit_learn_s():
    rng = np.random.default_rng(0)
    x, y, queries = (
        rng.normal(size=(200, 5)).astype(np.float32),
        rng.integers(0, 2, 200),
        rng.normal(size=(80, 5)).astype(np.float32),
    )
    model = KNeighborsClassifier(7, metric="cosine").fit(x, y)  # an odd number of votes for two classes: no ties
    assert np.array_equal(vote(Samples(x, y), queries, [7], CPU)[0], model.predict(queries))


def test_of_equally_similar_neighbours_the_earlier_one_counts():
    x = np.array([[2, 0], [1, 0], [3, 0]], np.float32)
    assert vote(Samples(x, np.array([2, 0, 1])), x, [1], CPU).tolist() == [[2, 2, 2]]


def test_of_equally_voted_classes_the_one_with_the_nearest_neighbour_wins():
    x = np.array([[1, 0.3], [1, 0.2], [1, 0.1], [1, 0.4]], np.float32)
    said = vote(Samples(x, np.array([0, 0, 1, 1])), np.array([[1, 0]], np.float32), [4], CPU)
    assert said.tolist() == [[1]]


def test_a_label_that_half_of_the_neighbours_have_is_off():
    x = np.ones((2, 1), np.float32)
    assert vote(Samples(x, np.array([[True], [False]])), x[:1], [2], CPU).tolist() == [[[False]]]


def test_the_length_of_a_feature_vector_does_not_matter(drawn):
    x, y, queries = drawn
    longer = x * np.arange(1, 61, dtype=np.float32)[:, None]
    assert np.array_equal(vote(Samples(longer, y), queries, [5], CPU), vote(Samples(x, y), queries, [5], CPU))


def test_a_vector_of_zeros_is_like_any_other(drawn):
    x, y, _ = drawn
    said = vote(Samples(x, y), np.zeros((1, 3), np.float32), [1], CPU)
    assert said.tolist() == [[y[0]]]


def test_the_size_of_a_block_does_not_matter(drawn, monkeypatch):
    x, y, queries = drawn
    whole = vote(Samples(x, y), queries, [1, 5], CPU)
    monkeypatch.setattr(knn, "BLOCK", 7 * 60)
    assert np.array_equal(vote(Samples(x, y), queries, [1, 5], CPU), whole)


def test_k_is_the_best_on_the_protocol_s_validation_part(make_task, blobs):
    train, test, validation = (blobs(n, distance=1.2, seed=seed) for n, seed in ((60, 0), (300, 1), (200, 2)))
    accuracies = {k: (one_by_one(*train, validation[0], k) == validation[1]).mean() for k in (1, 5, 20)}
    score = evaluate(make_task(*train, *test, validation=validation), k=(1, 5, 20))
    assert score.selected == {"k": max(accuracies, key=accuracies.get)}
    assert score.value == pytest.approx(100 * (one_by_one(*train, test[0], score.selected["k"]) == test[1]).mean())


def test_numbers_of_neighbours_beyond_the_samples_are_not_chosen(make_task, blobs):
    task = make_task(*blobs(9), *blobs(60, seed=1))
    assert evaluate(task, k=(1, 5, 50)).selected["k"] in (1, 5)


def test_too_few_training_samples_are_an_error(make_task, blobs):
    task = make_task(*blobs(9), *blobs(60, seed=1))
    with pytest.raises(EvaluationError, match=r"knn is to use 10 neighbours, but 9 training samples"):
        evaluate(task, k=(10, 20))


def test_there_is_no_spread(separable):
    score = evaluate(separable)
    assert (score.std, score.over, score.n) == (None, None, 1)


def test_unknown_labels_are_no_neighbours(separable):
    labels = separable.train.labels.copy()
    labels[3:] = -1
    task = dataclasses.replace(separable, train=dataclasses.replace(separable.train, labels=labels))
    with pytest.raises(EvaluationError, match="3 training samples have labels"):
        evaluate(task, k=(5,))

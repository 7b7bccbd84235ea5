"""k-means against the labels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from harness import EvaluationError
from harness_geometry import samples
from harness_geometry.clustering import Clustering
from harness_geometry.spec import ClusteringOptions


def evaluate(task, **options):
    scores = Clustering(ClusteringOptions(**{"restarts": 3, "n_init": 2} | options)).evaluate(task)
    return {score.name: score for score in scores}


def blobs(n, *, distance=30.0, classes=4, dims=6, seed=0):
    """`n` samples of Gaussian classes whose centres lie `distance` from the origin: float32 [n, dims], int64 [n]."""
    rng = np.random.default_rng(seed)
    centres = distance * np.linalg.qr(np.random.default_rng(99).normal(size=(dims, classes)))[0].T
    y = np.arange(n) % classes
    return (centres[y] + rng.normal(size=(n, dims))).astype(np.float32), y.astype(np.int64)


@pytest.fixture
def task(make_task):
    """Build a task of such classes; the parts are drawn apart."""

    def make(train=160, test=200, **keywords):
        (x, y), (test_x, test_y) = blobs(train, **keywords), blobs(test, seed=1, **keywords)
        return make_task(x, test_x, y, test_y)

    return make


def with_part(task, name, **changes):
    return dataclasses.replace(task, **{name: dataclasses.replace(getattr(task, name), **changes)})


def values(scores):
    return {name: score.value for name, score in scores.items()}


def test_well_separated_classes_are_found(task):
    assert values(evaluate(task())) == {"nmi": pytest.approx(1), "ari": pytest.approx(1)}


def test_noise_has_next_to_nothing_to_do_with_the_labels(make_task):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3000, 5)).astype(np.float32), rng.integers(0, 4, 3000)
    found = evaluate(make_task(x[:1000], x[1000:], y[:1000], y[1000:]))
    assert 0 <= found["nmi"].value < 0.01
    assert abs(found["ari"].value) < 0.01


def test_what_the_classes_are_called_does_not_matter(task):
    one = task(distance=2.0)
    other = with_part(one, "test", labels=np.array([2, 0, 3, 1])[one.test.labels])
    assert values(evaluate(other)) == pytest.approx(values(evaluate(one)))


def test_the_value_is_scikit_learn_s(task):
    one = task(distance=2.0)
    found = evaluate(one, restarts=1)
    seed = int(np.random.default_rng(one.seed).integers(2**31, size=1)[0])
    clusters = KMeans(4, n_init=2, random_state=seed).fit(one.train.features).predict(one.test.features)
    assert 0.1 < found["nmi"].value < 0.9
    assert found["nmi"].value == pytest.approx(normalized_mutual_info_score(one.test.labels, clusters), abs=0.02)
    assert found["ari"].value == pytest.approx(adjusted_rand_score(one.test.labels, clusters), abs=0.02)


def test_training_labels_are_not_looked_at(task):
    one = task(distance=2.0)
    shuffled = with_part(one, "train", labels=np.random.default_rng(0).permutation(one.train.labels))
    assert evaluate(shuffled) == evaluate(one)


def test_training_samples_without_a_label_are_fitted_too(task):
    one = task(distance=2.0)
    unknown = with_part(one, "train", labels=np.full_like(one.train.labels, -1))
    assert evaluate(unknown) == evaluate(one)


def test_test_samples_without_a_label_are_left_out(task):
    one = task()
    features, labels = one.test.features.copy(), one.test.labels.copy()
    features[::2], labels[::2] = -features[::2], -1
    assert evaluate(with_part(one, "test", features=features, labels=labels))["nmi"].value == pytest.approx(1)


def test_test_labels_are_only_scored_against(task):
    one, found = task(distance=2.0), []
    for labels in (one.test.labels, one.test.labels // 2):
        found.append(evaluate(with_part(one, "test", labels=labels))["nmi"].selected)
    assert found[0] == found[1] == {"clusters": 4, "samples": 160}


def test_mean_and_spread_are_over_restarts(task, monkeypatch):
    one, alone = task(distance=1.5), []
    whole = KMeans.predict
    monkeypatch.setattr(KMeans, "predict", lambda model, x: alone.append(whole(model, x)) or alone[-1])
    found = evaluate(one, restarts=4, n_init=1)["ari"]
    each = [adjusted_rand_score(one.test.labels, clusters) for clusters in alone]
    assert len(set(each)) == 4
    assert found.value == pytest.approx(np.mean(each))
    assert found.std == pytest.approx(np.std(each, ddof=1))
    assert (found.over, found.n) == ("restarts", 4)


def test_one_restart_has_no_spread(task):
    found = evaluate(task(distance=1.5), restarts=1)["nmi"]
    assert (found.std, found.over, found.n) == (None, None, 1)


def test_scale_and_shift_change_nothing(task):
    one = task(distance=2.0)

    def moved(scale, shift):
        changed = with_part(one, "train", features=one.train.features * np.float32(scale) + np.float32(shift))
        return with_part(changed, "test", features=one.test.features * np.float32(scale) + np.float32(shift))

    for scale, shift in ((1e-25, 0), (1e25, 0), (1, 50)):
        assert values(evaluate(moved(scale, shift))) == pytest.approx(values(evaluate(one)), abs=0.02)


def test_standardising_undoes_the_scale_of_single_columns(task):
    one = task(distance=3.0)

    def stretched(part):
        return part.features * np.array([1, 1, 1, 1, 1, 1000], np.float32)

    other = with_part(with_part(one, "train", features=stretched(one.train)), "test", features=stretched(one.test))
    same = values(evaluate(one, standardise=True))
    assert values(evaluate(other, standardise=True)) == pytest.approx(same, abs=0.02)
    assert values(evaluate(other))["nmi"] < same["nmi"] - 0.1


def test_a_constant_column_changes_nothing_when_standardised(task):
    one = task(distance=2.0)

    def widened(part):
        return np.column_stack([part.features, np.full(len(part), 0.1, np.float32)])

    other = with_part(with_part(one, "train", features=widened(one.train)), "test", features=widened(one.test))
    assert values(evaluate(other, standardise=True)) == pytest.approx(values(evaluate(one, standardise=True)), abs=0.02)


def test_features_with_more_axes_are_flattened(task):
    one = task(distance=2.0)
    as_map = with_part(one, "train", features=one.train.features.reshape(-1, 3, 2))
    as_map = with_part(as_map, "test", features=one.test.features.reshape(-1, 3, 2))
    assert evaluate(as_map) == evaluate(one)


def test_memory_mapped_features_are_left_alone(task, tmp_path):
    one = mapped = task(distance=2.0)
    for name in ("train", "test"):
        np.save(tmp_path / f"{name}.npy", getattr(one, name).features)
        mapped = with_part(mapped, name, features=np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    before = [(tmp_path / f"{name}.npy").read_bytes() for name in ("train", "test")]
    assert evaluate(mapped) == evaluate(one)
    assert [(tmp_path / f"{name}.npy").read_bytes() for name in ("train", "test")] == before


def test_the_size_of_a_block_does_not_matter(task, monkeypatch):
    one = task(distance=2.0)
    whole = values(evaluate(one))
    monkeypatch.setattr(samples, "BLOCK", 50)
    assert values(evaluate(one)) == pytest.approx(whole, abs=1e-6)


def test_at_most_so_many_samples_are_fitted(task):
    found = evaluate(task(), samples=40)
    assert found["nmi"].selected == {"clusters": 4, "samples": 40}
    assert found["nmi"].value == pytest.approx(1)


def test_the_same_seed_gives_the_same_scores_and_another_other_clusters(task):
    one = task(distance=1.0)
    assert evaluate(one) == evaluate(one)
    assert evaluate(one) != evaluate(dataclasses.replace(one, seed=1))


def test_fewer_different_samples_than_clusters_are_judged(make_task):
    x = np.repeat(np.eye(2, dtype=np.float32), 10, axis=0)
    y = np.repeat([0, 1], 10)
    assert values(evaluate(make_task(x, x, y, y, classes=5))) == {"nmi": pytest.approx(1), "ari": pytest.approx(1)}


def test_several_binary_labels_are_an_error(make_task):
    x, y = np.eye(6, dtype=np.float32), np.eye(6, dtype=np.int64)
    with pytest.raises(EvaluationError, match="^clustering judges single-label data; several binary labels"):
        evaluate(make_task(x, x, y, y))


def test_data_without_labels_are_an_error(make_task):
    x = np.eye(6, dtype=np.float32)
    with pytest.raises(EvaluationError, match="^The test part has no labels"):
        evaluate(make_task(x, x))


def test_fewer_samples_than_clusters_are_an_error(make_task):
    (x, y), (test_x, test_y) = blobs(3), blobs(40, seed=1)
    with pytest.raises(EvaluationError, match="^clustering looks for 4 clusters, one for each class, in 3 training samples"):
        evaluate(make_task(x, test_x, y, test_y))


@pytest.mark.parametrize("labels", [np.zeros(40, np.int64), np.full(40, -1)], ids=["one class", "none known"])
def test_fewer_than_two_classes_are_an_error(task, labels):
    with pytest.raises(EvaluationError, match="^clustering needs test samples of at least two classes"):
        evaluate(with_part(task(test=40), "test", labels=labels))

"""The linear SVM."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from harness import EvaluationError
from harness_probes import samples, svm
from harness_probes.spec import SvmOptions
from harness_probes.svm import SvmProbe


def evaluate(task, **options):
    [score] = SvmProbe(SvmOptions(**options)).evaluate(task)
    return score


def by_hand(train_x, train_y, x, y, C):
    """Accuracy in % of scikit-learn's machine on standardised features."""
    scaler = StandardScaler().fit(train_x.astype(float))
    model = LinearSVC(C=C, dual=False, tol=1e-8, max_iter=10_000).fit(scaler.transform(train_x), train_y)
    return 100 * model.score(scaler.transform(x), y)


def test_c_is_the_best_on_the_protocol_s_validation_part(make_task, blobs):
    train, test, validation = (blobs(n, distance=1.2, seed=seed) for n, seed in ((60, 0), (300, 1), (200, 2)))
    accuracies = {C: by_hand(*train, *validation, C) for C in SvmOptions().C}
    score = evaluate(make_task(*train, *test, validation=validation))
    assert accuracies[score.selected["C"]] == max(accuracies.values())
    assert score.value == pytest.approx(by_hand(*train, *test, score.selected["C"]), abs=0.34)  # one sample in 300


def tried(task, monkeypatch, **options):
    """The strengths that are fitted, the last one anew on the whole training part."""
    fitted = []
    whole = svm._Machines.fit

    def noted(machines, C, *arguments):
        fitted.append(C)
        return whole(machines, C, *arguments)

    monkeypatch.setattr(svm._Machines, "fit", noted)
    return fitted, evaluate(task, **options)


def with_accuracies(monkeypatch, *accuracies):
    """The machines seem to have these accuracies, one after the other."""
    left = iter(accuracies)
    monkeypatch.setattr(svm._Machines, "accuracy", lambda *_: next(left))


def test_no_larger_c_is_tried_after_one_that_is_clearly_worse(make_task, blobs, monkeypatch):
    train, test, validation = (blobs(n, distance=1.2, seed=seed) for n, seed in ((60, 0), (300, 1), (100, 2)))
    with_accuracies(monkeypatch, 80.0, 90.0, 86.0, 1.0)  # the standard error of 90 % of 100 samples is 3 %
    fitted, score = tried(make_task(*train, *test, validation=validation), monkeypatch)
    assert fitted == [1e-4, 1e-3, 1e-2, 1e-3]
    assert (score.selected, score.value) == ({"C": 1e-3}, 1.0)


def test_one_that_may_be_as_good_ends_nothing(make_task, blobs, monkeypatch):
    train, test, validation = (blobs(n, distance=1.2, seed=seed) for n, seed in ((60, 0), (300, 1), (100, 2)))
    with_accuracies(monkeypatch, 80.0, 90.0, 88.0, 87.5, 91.0, 1.0)
    fitted, score = tried(make_task(*train, *test, validation=validation), monkeypatch)
    assert fitted == [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1.0]
    assert score.selected == {"C": 1.0}


def test_the_standard_error_is_that_of_a_share():
    assert svm.standard_error(90.0, 100) == pytest.approx(3.0)
    rng = np.random.default_rng(0)
    assert svm.standard_error(30.0, 500) == pytest.approx(100 * np.std(rng.binomial(500, 0.3, 20_000) / 500), rel=0.03)


def test_the_final_fit_takes_a_drawn_validation_part_back_in(hard):
    score = evaluate(hard)
    expected = by_hand(hard.train.features, hard.train.labels, hard.test.features, hard.test.labels, score.selected["C"])
    assert score.value == pytest.approx(expected, abs=0.34)


def test_the_scale_of_single_columns_changes_nothing(hard):
    def moved(part):
        return dataclasses.replace(part, features=part.features * np.float32(10) ** np.arange(-4, 4, dtype=np.float32) + 3)

    task = dataclasses.replace(hard, train=moved(hard.train), test=moved(hard.test))
    # Adding 3 to a column of size 1e-4 leaves three digits of it in float32.
    assert evaluate(task).value == pytest.approx(evaluate(hard).value, abs=1)


def test_a_constant_column_changes_nothing(hard):
    def with_constant(part):
        return dataclasses.replace(part, features=np.column_stack([part.features, np.full(len(part), 0.1, np.float32)]))

    task = dataclasses.replace(hard, train=with_constant(hard.train), test=with_constant(hard.test))
    assert evaluate(task) == evaluate(hard)


def test_a_fit_that_does_not_converge_is_an_error(hard):
    with pytest.raises(EvaluationError, match=r"C = 1 did not converge in 1 steps; raise evaluator.svm.max_iter"):
        evaluate(hard, C=(1.0,), max_iter=1)


def test_large_features_are_computed_with_in_float32_to_the_same_score(hard, monkeypatch):
    exact = evaluate(hard)
    monkeypatch.setattr(svm, "DOUBLE", 0)
    assert evaluate(hard) == exact


def test_features_are_gone_through_in_blocks_to_the_same_score(hard, monkeypatch):
    whole = evaluate(hard)
    monkeypatch.setattr(samples, "BLOCK", 7 * hard.train.features.shape[1])
    assert evaluate(hard) == whole


def test_a_class_of_one_sample_stands_in_the_final_fit_alone(hard):
    labels = hard.train.labels.copy()
    labels[labels == 0] = -1
    labels[np.flatnonzero(hard.train.labels == 0)[0]] = 0
    task = dataclasses.replace(hard, train=dataclasses.replace(hard.train, labels=labels))
    assert evaluate(task).value > 30


NEAR = 0.1 + 3e-16


@pytest.mark.parametrize(("margins", "said"), [((0.1, NEAR, NEAR), 0), ((0.1, 0.2, 0.2 + 1e-9), 1), ((0.1, 0.2, 0.201), 2)])
def test_of_margins_that_are_equal_but_for_rounding_the_first_class_is_said(make_task, margins, said):
    labels = np.repeat([0, 1, 2], [10, 20, 30])
    task = make_task(np.zeros((60, 1), np.float32), labels, np.zeros((60, 1), np.float32), labels)
    rows = samples.labelled_rows(task, task.test, "test")
    weights = np.array([[0.0, 0.0, 0.0], margins])
    assert svm._Machines(rows).accuracy(weights, rows) == pytest.approx(100 * np.mean(labels == said))


def test_there_is_no_spread(hard):
    score = evaluate(hard)
    assert (score.std, score.over, score.n) == (None, None, 1)

"""The linear SVM of Deep InfoMax: `LinearSVC` as it comes, several runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from harness_probes.spec import SvmPaperOptions
from harness_probes.svm_paper import PaperSvm


def evaluate(task, **options):
    [score] = PaperSvm(SvmPaperOptions(**options)).evaluate(task)
    return score


@pytest.fixture
def unscaled(make_task, blobs):
    """Columns of very different size: the solver does not converge on them in a few passes."""

    def draw(n, seed):
        x, y = blobs(n, distance=1.5, seed=seed)
        return x * np.float32(10) ** np.arange(-3, 5, dtype=np.float32), y

    return make_task(*draw(120, 0), *draw(300, 1))


def test_the_defaults_are_five_runs_of_a_thousand_passes():
    assert SvmPaperOptions() == SvmPaperOptions(runs=5, max_iter=1000)


def test_a_run_is_linear_svc_on_the_features_as_they_are(hard):
    # Converged, so its random order does not matter; C, loss and tolerance are scikit-learn's defaults.
    model = LinearSVC(C=1.0, loss="squared_hinge", tol=1e-4, dual=True).fit(hard.train.features, hard.train.labels)
    expected = 100 * model.score(hard.test.features, hard.test.labels)
    assert evaluate(hard, runs=1).value == pytest.approx(expected, abs=0.34)  # one sample in 300


def test_runs_differ_in_their_random_order(unscaled):
    score = evaluate(unscaled)
    assert (score.over, score.n) == ("restarts", 5)
    assert score.std > 0


def test_value_and_spread_are_mean_and_sample_deviation_over_runs(unscaled, monkeypatch):
    alone = []
    whole = LinearSVC.predict
    monkeypatch.setattr(LinearSVC, "predict", lambda model, x: alone.append(whole(model, x)) or alone[-1])
    score = evaluate(unscaled, runs=3)
    accuracies = [100 * (predicted == unscaled.test.labels).mean() for predicted in alone]
    assert score.value == pytest.approx(np.mean(accuracies))
    assert score.std == pytest.approx(np.std(accuracies, ddof=1))


def test_runs_that_do_not_converge_are_counted_and_not_refused(unscaled):
    assert evaluate(unscaled, max_iter=2).selected == {"converged": 0}


def test_runs_that_converge_are_counted(separable):
    assert evaluate(separable).selected == {"converged": 5}


def test_one_run_has_no_spread(hard):
    score = evaluate(hard, runs=1)
    assert (score.std, score.n) == (None, 1)


def test_another_seed_gives_other_runs(unscaled):
    assert evaluate(unscaled) != evaluate(dataclasses.replace(unscaled, seed=1))

"""The probe of Deep Graph Infomax."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.preprocessing import StandardScaler

from harness import EvaluationError
from harness_probes import logistic
from harness_probes.logistic import LogisticProbes, predict, standardised, train_probes, xavier_uniform
from harness_probes.spec import LogisticOptions, StandardisedLogisticOptions


def evaluate(task, **options):
    [score] = LogisticProbes(LogisticOptions(**options)).evaluate(task)
    return score


def separately(x, y, weight, steps, lr):
    """One `nn.Linear` trained as the paper's code trains it."""
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.zero_()
    optimiser = torch.optim.Adam(layer.parameters(), lr=lr, weight_decay=0.0)
    for _ in range(steps):
        optimiser.zero_grad()
        logits = layer(x)
        loss = F.cross_entropy(logits, y) if y.ndim == 1 else F.binary_cross_entropy_with_logits(logits, y.float())
        loss.backward()
        optimiser.step()
    return layer.weight.detach(), layer.bias.detach()


@pytest.fixture
def batch():
    """[n, D] features, [n] classes, [n, C] binary labels and [P, C, D] initial weights."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 16, generator=generator)
    classes = torch.randint(0, 5, (60,), generator=generator)
    binary = torch.rand(60, 5, generator=generator) < 0.3
    weight = torch.stack([xavier_uniform(5, 16, generator) for _ in range(3)])
    return x, classes, binary, weight


@pytest.mark.parametrize("kind", ["classes", "binary labels"])
def test_probes_trained_together_are_those_trained_separately(batch, kind):
    x, classes, binary, initial = batch
    y = classes if kind == "classes" else binary
    weight, bias = train_probes(x, y, initial, steps=100, lr=0.01)
    for together, start in zip(zip(weight, bias, strict=True), initial, strict=True):
        alone = separately(x, y, start, steps=100, lr=0.01)
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_the_initial_weights_are_left_alone(batch):
    x, classes, _, initial = batch
    before = initial.clone()
    train_probes(x, classes, initial, steps=2, lr=0.01)
    assert torch.equal(initial, before)


def test_training_works_where_gradients_are_switched_off(batch):
    x, classes, _, initial = batch
    with torch.no_grad():
        quiet = train_probes(x, classes, initial, steps=5, lr=0.01)
    torch.testing.assert_close(quiet, train_probes(x, classes, initial, steps=5, lr=0.01), atol=0, rtol=0)


def test_xavier_uniform_fills_its_range():
    weight = xavier_uniform(7, 512, torch.Generator().manual_seed(0))
    bound = (6 / 519) ** 0.5
    assert weight.shape == (7, 512)
    assert weight.abs().max() <= bound
    assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_predictions_are_those_of_linear_layers(batch):
    x, _, _, weight = batch
    bias = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    logits = torch.stack([F.linear(x, w, b) for w, b in zip(weight, bias, strict=True)])
    assert np.array_equal(predict(x.numpy(), weight, bias, multi_label=False), logits.argmax(2).numpy())
    assert np.array_equal(predict(x.numpy(), weight, bias, multi_label=True), (logits.sigmoid() > 0.5).numpy())


def test_the_defaults_are_the_paper_s():
    assert LogisticOptions() == LogisticOptions(probes=50, steps=100, lr=0.01)


def test_value_and_spread_are_mean_and_sample_deviation_over_probes(hard):
    alone = []
    generator = hard.generator()
    x, y = torch.tensor(hard.train.features), torch.tensor(hard.train.labels)
    for _ in range(4):
        weight, bias = separately(x, y, xavier_uniform(3, 8, generator), steps=20, lr=0.01)
        predicted = F.linear(torch.tensor(hard.test.features), weight, bias).argmax(1).numpy()
        alone.append(100 * (predicted == hard.test.labels).mean())
    score = evaluate(hard, probes=4, steps=20)
    assert (score.over, score.n) == ("probes", 4)
    assert score.value == pytest.approx(np.mean(alone))
    assert score.std == pytest.approx(np.std(alone, ddof=1))


def test_another_seed_gives_another_score(hard):
    assert evaluate(hard, steps=5) != evaluate(dataclasses.replace(hard, seed=1), steps=5)


def test_one_probe_has_no_spread(hard):
    score = evaluate(hard, probes=1)
    assert (score.std, score.n) == (None, 1)


def test_groups_that_fit_memory_give_the_same_probes(hard, monkeypatch):
    whole = evaluate(hard, probes=7)
    monkeypatch.setattr(logistic, "MEMORY", 3 * (3 * 120 + 5 * 8) * 2)  # two probes at a time
    grouped = evaluate(hard, probes=7)
    assert grouped.n == 7
    assert (grouped.value, grouped.std) == pytest.approx((whole.value, whole.std))


def test_groups_hold_every_probe(monkeypatch):
    monkeypatch.setattr(logistic, "MEMORY", 1000)
    assert list(logistic._groups(7, n=20, inputs=10, outputs=3)) == [3, 3, 1]
    assert list(logistic._groups(2, n=10**9, inputs=10, outputs=3)) == [1, 1]


def test_binary_labels_are_learned(multi_label):
    assert evaluate(multi_label, lr=0.1).value > 80


def test_features_too_large_to_train_on_are_an_error(hard):
    train = dataclasses.replace(hard.train, features=np.sign(hard.train.features) * np.float32(3e38))
    with pytest.raises(EvaluationError, match="diverged on feature 'y'"):
        evaluate(dataclasses.replace(hard, train=train))


def test_standardised_columns_have_the_mean_and_deviation_of_the_training_part():
    rng = np.random.default_rng(0)
    train, test = (rng.normal(3, 5, (40, 3)).astype(np.float32) for _ in range(2))
    train[:, 1] = test[:, 1] = 7.0
    scaled_train, scaled_test = standardised(train, test)
    reference = StandardScaler().fit(train)
    np.testing.assert_allclose(scaled_train, reference.transform(train), atol=1e-5)
    np.testing.assert_allclose(scaled_test, reference.transform(test), atol=1e-5)


def test_standardising_makes_the_probe_blind_to_the_scale_of_the_features(make_task, blobs):
    (x, y), (z, w) = blobs(120, distance=2.0), blobs(300, distance=2.0, seed=1)
    probe = LogisticProbes(StandardisedLogisticOptions(probes=3))
    plain = probe.evaluate(make_task(x, y, z, w))[0].value
    scaled = probe.evaluate(make_task(1e-3 * x + 1, y, 1e-3 * z + 1, w))[0].value
    assert scaled == pytest.approx(plain, abs=1.0)

"""The small net of Deep InfoMax: `mlp`, stopped on the validation part, and `mlp-paper`, averaged over the last epochs."""

from __future__ import annotations

import copy
import dataclasses
import tracemalloc

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness import EvaluationError
from harness.line.seeding import isolated_randomness
from harness_probes import mlp, samples
from harness_probes.mlp import FeatureBatches, MlpProbe, PaperMlp, accuracy, small_net, train_epoch, train_to_best
from harness_probes.samples import labelled_rows
from harness_probes.spec import MlpOptions, MlpPaperOptions

QUICK = {"lr": (1e-2, 1e-3), "epochs": 6, "patience": 2}
PAPER = {"lr": 1e-2, "milestones": (3, 5), "epochs": 8, "averaged": 4}


def evaluate(probe, task):
    with isolated_randomness(task.seed):  # as the core does
        [score] = probe.evaluate(task)
    return score


def stopped(task, **options):
    return evaluate(MlpProbe(MlpOptions(**QUICK | options)), task)


def paper(task, **options):
    return evaluate(PaperMlp(MlpPaperOptions(**PAPER | options)), task)


def by_hand(task, x, y, rates):
    """Nets of dropout 0.1 and batches of 64 after each epoch, trained on x, y as a plain loop of torch; `rates` has one a epoch."""
    net = nn.Sequential(nn.Linear(x.shape[1], 200), nn.Dropout(0.1), nn.BatchNorm1d(200), nn.ReLU(), nn.Linear(200, 3))
    generator = torch.Generator().manual_seed(task.seed)
    x, y = torch.tensor(x), torch.tensor(y)
    optimiser = torch.optim.Adam(net.parameters(), lr=rates[0])
    nets = []
    for lr in rates:
        for group in optimiser.param_groups:
            group["lr"] = lr
        net.train()
        order = torch.randperm(len(x), generator=generator)
        for start in range(0, len(x), 64):
            rows = order[start : start + 64]
            optimiser.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            optimiser.step()
        nets.append(copy.deepcopy(net).eval())
    return nets


def share(net, x, y):
    return 100 * (net(torch.tensor(x)).argmax(1).numpy() == y).mean()


def batches(task, part="train"):
    return FeatureBatches(labelled_rows(task, getattr(task, part), part), torch.device("cpu"))


# ------------------------------------------------------------------------------------------------------------ the net


def test_the_layers_stand_in_the_order_of_the_released_code():
    kinds = [type(layer) for layer in small_net(5, 3, MlpOptions())]
    assert kinds == [nn.Linear, nn.Dropout, nn.BatchNorm1d, nn.ReLU, nn.Linear]


def test_the_net_has_200_units_and_drops_a_tenth():
    net = small_net(5, 3, MlpOptions())
    assert (net[0].in_features, net[0].out_features, net[4].out_features, net[1].p) == (5, 200, 3, 0.1)


def test_the_defaults_of_mlp_paper_are_the_paper_s():
    expected = MlpPaperOptions(hidden=200, dropout=0.1, lr=1e-4, batch_size=64, epochs=1000, milestones=(50, 100), averaged=100)
    assert MlpPaperOptions() == expected


def test_an_epoch_gives_the_weights_of_a_plain_loop(hard):
    with isolated_randomness(1):
        [expected] = by_hand(hard, hard.train.features, hard.train.labels, [1e-2])
    with isolated_randomness(1):
        net = small_net(8, 3, MlpOptions())
        train_epoch(net, torch.optim.Adam(net.parameters(), lr=1e-2), batches(hard).shuffled(64, hard.generator()))
    for found, wanted in zip(net.state_dict().values(), expected.state_dict().values(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_accuracy_is_that_of_the_net_in_eval_mode(hard):
    net = small_net(8, 3, MlpOptions(dropout=0.9))
    found = accuracy(net, batches(hard, "test").in_order())
    assert found == pytest.approx(share(net.eval(), hard.test.features, hard.test.labels))


# ------------------------------------------------------------------------------------------------------------ batches


def test_an_epoch_draws_every_sample_once(hard):
    drawn = torch.cat([x for x, _ in batches(hard).shuffled(50, hard.generator())])
    assert sorted(drawn.tolist()) == sorted(hard.train.features.tolist())


def test_features_and_classes_stay_together(hard):
    class_of = {tuple(x): y for x, y in zip(hard.train.features.tolist(), hard.train.labels.tolist(), strict=True)}
    for x, y in batches(hard).shuffled(50, hard.generator()):
        assert [class_of[tuple(each)] for each in x.tolist()] == y.tolist()


def test_a_single_sample_left_over_is_not_drawn(make_task, blobs):
    task = make_task(*blobs(65), *blobs(60, seed=1))
    assert [len(y) for _, y in batches(task).shuffled(64, task.generator())] == [64]


def test_scoring_goes_through_every_sample_in_order(hard, monkeypatch):
    monkeypatch.setattr(mlp, "SCORED", 7)
    x = torch.cat([x for x, _ in batches(hard, "test").in_order()])
    assert np.array_equal(x.numpy(), hard.test.features)


def test_features_are_never_copied_whole(make_task, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "BLOCK", 1 << 16)
    monkeypatch.setattr(mlp, "SCORED", 256)
    n, dims = 8000, 256
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(n, dims)).astype(np.float32))
    x, y = np.load(tmp_path / "x.npy", mmap_mode="r"), np.arange(n) % 3
    task = make_task(x[:-500], y[:-500], x[-500:], y[-500:])
    tracemalloc.start()
    stopped(task, epochs=1, lr=(1e-3,), batch_size=256)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes / 4


def test_features_move_to_a_device_where_they_take_half_of_what_is_free(hard, monkeypatch):
    monkeypatch.setattr(mlp, "SCORED", 50)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * hard.train.features.nbytes, 10**12))
    assert np.array_equal(batches(hard)._moved().numpy(), hard.train.features)


def test_features_stay_where_they_are_where_they_take_more_than_half(hard, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * hard.train.features.nbytes - 2, 10**12))
    assert batches(hard)._moved() is None


def test_features_on_the_device_give_the_same_batches(hard, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**12, 10**12))
    there, here = batches(hard), batches(hard)
    there._whole = there._moved()
    for (a, b), (c, d) in zip(there.shuffled(50, hard.generator()), here.shuffled(50, hard.generator()), strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)


# ---------------------------------------------------------------------------------------------------------- mlp-paper


def test_the_paper_s_value_is_the_mean_over_the_last_epochs_of_a_plain_loop(hard):
    with isolated_randomness(hard.seed):
        nets = by_hand(hard, hard.train.features, hard.train.labels, [1e-2] * 3 + [1e-3] * 2 + [1e-4] * 3)
    last = [share(net, hard.test.features, hard.test.labels) for net in nets[-4:]]
    score = paper(hard)
    assert score.value == pytest.approx(np.mean(last))
    assert score.selected == pytest.approx({"lowest": min(last), "highest": max(last)})


def test_epochs_of_one_net_are_no_spread(hard):
    score = paper(hard)
    assert (score.std, score.over, score.n) == (None, None, 4)


def test_the_test_part_is_looked_at_in_the_averaged_epochs_only(hard, monkeypatch):
    scored = []
    monkeypatch.setattr(mlp, "accuracy", lambda net, batches: scored.append(1) or 50.0)
    paper(hard)
    assert len(scored) == 4


def test_fewer_epochs_than_are_to_be_averaged_are_all_averaged(hard):
    assert paper(hard, epochs=2, averaged=100).n == 2


# ---------------------------------------------------------------------------------------------------------------- mlp


def test_mlp_scores_the_net_of_the_best_validation_epoch(hard):
    fit, held_out = hard.validation_rows()
    x, y = hard.train.features, hard.train.labels
    with isolated_randomness(hard.seed):
        nets = by_hand(hard, x[fit], y[fit], [1e-2] * 6)
    best = int(np.argmax([share(net, x[held_out], y[held_out]) for net in nets]))  # of equals the first
    score = stopped(hard, lr=(1e-2,), patience=6)
    assert score.selected == {"epoch": best + 1}
    assert score.value == pytest.approx(share(nets[best], hard.test.features, hard.test.labels))


def test_mlp_fits_the_training_part_and_chooses_by_the_protocol_s_validation_part(make_task, blobs):
    train, test, held_out = (blobs(n, distance=1.5, seed=seed) for n, seed in ((120, 0), (300, 1), (90, 2)))
    task = make_task(*train, *test, validation=held_out)
    with isolated_randomness(task.seed):
        nets = by_hand(task, *train, [1e-2] * 6)
    best = int(np.argmax([share(net, *held_out) for net in nets]))
    assert stopped(task, lr=(1e-2,), patience=6).value == pytest.approx(share(nets[best], *test))


@pytest.mark.parametrize("run", [stopped, paper], ids=["mlp", "mlp-paper"])
def test_test_labels_change_no_prediction(hard, run):
    # With all test labels set to c the accuracy is the share of predictions of c. These add up if predictions stay the same.
    def with_labels(c):
        return dataclasses.replace(hard, test=dataclasses.replace(hard.test, labels=np.full_like(hard.test.labels, c)))

    assert sum(run(with_labels(c)).value for c in range(3)) == pytest.approx(100)


def test_restarts_train_nets_of_their_own(hard, monkeypatch):
    nets = []
    real = mlp.train_to_best
    monkeypatch.setattr(mlp, "train_to_best", lambda net, *rest: nets.append(net) or real(net, *rest))
    stopped(hard, restarts=2, epochs=1)
    assert not torch.allclose(nets[0][0].weight, nets[1][0].weight)


def test_restarts_give_mean_and_sample_deviation(hard, monkeypatch):
    epochs, found = iter([3, 1, 2]), iter([50.0, 60.0, 70.0])
    monkeypatch.setattr(mlp, "train_to_best", lambda *rest: next(epochs))
    monkeypatch.setattr(mlp, "accuracy", lambda *rest: next(found))
    score = stopped(hard, restarts=3)
    assert (score.value, score.std, score.over, score.n, score.selected) == (60, 10, "restarts", 3, {"epoch": [3, 1, 2]})


def test_one_net_has_no_spread(hard):
    score = stopped(hard)
    assert (score.std, score.over, score.n) == (None, None, 1)


def test_another_seed_gives_another_net(hard):
    assert stopped(hard) != stopped(dataclasses.replace(hard, seed=1))


@pytest.mark.parametrize("run", [stopped, paper], ids=["mlp", "mlp-paper"])
def test_a_net_that_diverges_is_an_error(hard, run):
    train = dataclasses.replace(hard.train, features=np.sign(hard.train.features) * np.float32(3e38))
    with pytest.raises(EvaluationError, match=r"diverged on feature 'y'; lower evaluator\.mlp"):
        run(dataclasses.replace(hard, train=train))


def test_labels_too_few_for_a_validation_part_are_an_error(make_task, blobs):
    with pytest.raises(EvaluationError, match="no validation part can be drawn"):
        stopped(make_task(*blobs(3), *blobs(60, seed=1)))


# ---------------------------------------------------------------------------------------------------------- early stop


@pytest.fixture
def scripted(monkeypatch):
    """`train_to_best` of a net that counts its epochs, with these validation accuracies one after the other.

    Gives the best epoch, the learning rate of each epoch, and the count the net ends with; progress is told before every epoch.
    """

    def run(accuracies, **options):
        net, rates = nn.Linear(1, 1), []

        def count(net, optimiser, batches):
            rates.append(optimiser.param_groups[0]["lr"])
            with torch.no_grad():
                net.bias.add_(1)

        torch.nn.init.zeros_(net.bias)
        script = iter(accuracies)
        monkeypatch.setattr(mlp, "train_epoch", count)
        monkeypatch.setattr(mlp, "accuracy", lambda net, batches: next(script))
        told = []
        best = train_to_best(net, MlpOptions(**options), list, list, lambda *progress: told.append(progress))
        assert told == [(epoch, options["epochs"] * len(options["lr"]), "epochs") for epoch in range(len(rates))]
        return best, rates, net.bias.item()

    return run


def test_training_stops_when_patience_is_spent_and_ends_with_the_best_weights(scripted):
    assert scripted([10, 30, 20, 25, 99], lr=(0.1,), patience=2, epochs=9) == (2, [0.1] * 4, 2)


def test_of_equally_good_epochs_the_first_counts(scripted):
    assert scripted([10, 30, 30, 30], lr=(0.1,), patience=2, epochs=9)[0] == 2


def test_training_stops_after_the_last_epoch(scripted):
    assert scripted([10, 20, 30], lr=(0.1,), patience=2, epochs=3) == (3, [0.1] * 3, 3)


def test_the_next_rate_goes_on_from_the_best_weights(scripted):
    # Two epochs to the best weights, two in vain, then one at the lower rate: the third epoch of these weights.
    assert scripted([10, 30, 20, 20, 40, 0, 0], lr=(0.1, 0.01), patience=2, epochs=9) == (5, [0.1] * 4 + [0.01] * 3, 3)


def test_a_next_rate_that_brings_nothing_leaves_the_best_weights(scripted):
    assert scripted([10, 30, 20, 20, 29, 28], lr=(0.1, 0.01), patience=2, epochs=9) == (2, [0.1] * 4 + [0.01] * 2, 2)

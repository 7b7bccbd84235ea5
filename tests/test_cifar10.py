"""Deep InfoMax on the real CIFAR-10: the data, and the order of methods after a short training, through the public door."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from scipy.stats import kstest

import harness
from harness.api import installed
from harness.data.files import cache_folder, data_roots, locate_files

pytestmark = [pytest.mark.slow, pytest.mark.needs_data, pytest.mark.timeout(1200)]

TRAIN, TEST = 10_000, 2_000


def cifar10_is_here():
    return any((root / "cifar10/train.parquet").is_file() for root in data_roots(os.environ))


if not cifar10_is_here():
    pytest.skip("cifar10/train.parquet is under no root of HARNESS_DATA", allow_module_level=True)


@pytest.fixture(scope="module")
def cifar10():
    entry = installed()[1].dataset("cifar10")
    files, _ = locate_files(entry.spec, data_roots(), cache_folder())
    return entry.builder()(harness.DataContext(files=files, cache=cache_folder() / "cifar10"), entry.spec.options())


@pytest.fixture(scope="module")
def some(cifar10):
    """The first training and test images, as anybody's own arrays."""
    numbers = torch.cat([torch.arange(TRAIN), torch.arange(50_000, 50_000 + TEST)])
    batch = next(cifar10.inputs.subset(numbers).in_order(TRAIN + TEST))
    return harness.from_arrays(
        batch.pixels.add(1).mul(127.5).round().to(torch.uint8),
        cifar10.annotations.labels[numbers],
        train=np.arange(TRAIN),
        test=np.arange(TRAIN, TRAIN + TEST),
        name="some-of-cifar10",
        value_range=(-1.0, 1.0),
    )


@pytest.fixture(scope="module")
def records(some, tmp_path_factory):
    """Four epochs of small critics on 10,000 images, judged by a net of two epochs."""
    out = tmp_path_factory.mktemp("runs")
    options = {"train.epochs": 4, "evaluator.mlp.epochs": 2}
    small = options | {"objective.units": 128, "objective.hidden": 128}
    found = []
    for method in ("dim-l-infonce", "dim-l-jsd", "dim-g"):
        request = {"data": some, "features": ["conv", "y"], "evaluators": ["mlp"], "budget": "fast", "out": out}
        found += harness.run(method=method, options=small, **request)
    return [record for record in found if record.status == "ok"], out


def accuracy(records, method, feature):
    found = {
        record.metrics[0].value
        for record in records[0]
        if (record.identity.method.name, record.identity.feature) == (method, feature)
    }
    (value,) = found
    return value


def test_the_training_images_have_the_published_means_and_deviations(cifar10):
    pixels = next(cifar10.pretrain.in_order(50_000)).pixels.double().add(1).div(2)
    assert pixels.mean(dim=(0, 2, 3)).numpy() == pytest.approx([0.49139968, 0.48215841, 0.44653091], abs=1e-6)
    assert pixels.std(dim=(0, 2, 3), correction=0).numpy() == pytest.approx([0.24703223, 0.24348513, 0.26158784], abs=1e-6)


def test_every_class_has_its_images(cifar10):
    labels = cifar10.annotations.labels
    assert np.bincount(labels[:50_000]).tolist() == [5_000] * 10
    assert np.bincount(labels[50_000:]).tolist() == [1_000] * 10


def test_training_sees_the_training_part_alone(cifar10):
    assert torch.equal(cifar10.pretrain.index, torch.arange(50_000))


@pytest.mark.parametrize("method", ["dim-l-infonce", "dim-l-jsd"])
@pytest.mark.parametrize("other", ["dim-g", "random"])
@pytest.mark.parametrize("feature", ["conv", "y"])
def test_local_infomax_stands_above_global_infomax_and_no_training(records, method, other, feature):
    assert accuracy(records, method, feature) > accuracy(records, other, feature)


def test_the_prior_makes_y_more_uniform_than_no_training_does(records, some):
    def distance(method):
        (folder,) = (records[1] / "some-of-cifar10").glob(f"{method}-s0-*")
        y = torch.from_numpy(np.load(folder / "features/y.npy")[TRAIN:]).sigmoid().numpy()
        return np.mean([kstest(column, "uniform").statistic for column in y.T])

    assert distance("dim-g") < distance("random")

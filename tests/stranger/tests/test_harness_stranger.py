from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from harness_stranger.data import build_bands
from harness_stranger.denoise import Denoise
from harness_stranger.encoder import VectorMlp, build_vector_mlp
from harness_stranger.nearest_mean import NearestMean
from harness_stranger.spec import BANDS, DenoiseOptions, NearestMeanOptions, VectorMlpOptions

import harness

BATCH = harness.Vectors(index=torch.arange(5), values=torch.arange(15.0).reshape(5, 3))


@pytest.fixture
def bands(tmp_path):
    return build_bands(harness.DataContext(files={}, cache=tmp_path), harness.Options())


def task(train, train_labels, test, test_labels):
    def part(features, labels):
        return harness.Part(features=np.array(features, float), index=np.arange(len(features)), labels=np.array(labels))

    return harness.Task(
        feature="y",
        train=part(train, train_labels),
        test=part(test, test_labels),
        validation=None,
        protocol_seed=0,
        seed=0,
        device=torch.device("cpu"),
    )


def test_the_specs_can_be_imported_without_torch_and_numpy():
    code = "import sys; sys.modules['torch'] = sys.modules['numpy'] = None; import harness_stranger.spec"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1], timeout=240)


def test_the_data_are_what_the_spec_says(bands):
    description = bands.inputs.description
    assert (description.kind, description.shape, description.samples) == (BANDS.kind, BANDS.shape, BANDS.samples)


def test_every_class_is_there(bands):
    assert set(bands.annotations.labels) == set(range(BANDS.classes))


def test_the_data_are_the_same_each_time(bands, tmp_path):
    again = build_bands(harness.DataContext(files={}, cache=tmp_path), harness.Options())
    assert again.inputs.content_sha256() == bands.inputs.content_sha256()


def test_the_parts_do_not_overlap_and_leave_nothing_out(bands):
    splits = bands.annotations.splits["bands-half"]
    assert sorted([*splits.train, *splits.test]) == list(range(600))


def test_features_have_the_shapes_that_the_encoder_states():
    encoder = build_vector_mlp(harness.Description(kind="vectors", shape=(3,), samples=5), VectorMlpOptions(), torch.Generator())
    features = encoder(BATCH)
    assert {name: tuple(feature.shape[1:]) for name, feature in features.items()} == encoder.feature_shapes


def denoise(noise):
    """A denoiser that restores without error what reaches its decoder: encoder and decoder are the identity."""
    objective = Denoise(VectorMlp(3, 3, 3), 3, DenoiseOptions(noise=noise))
    for layer in (objective.encoder.first, objective.encoder.second, objective.decoder):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return objective


def loss(objective, seed=0, batch=BATCH):
    step = harness.Step(batch=batch, epoch=0, index=0, generator=torch.Generator().manual_seed(seed))
    return objective.phases()[0].loss(step)["loss"]


def test_without_noise_the_identity_restores_perfectly():
    assert loss(denoise(noise=0.0)) == 0


def test_the_identity_errs_by_the_variance_of_the_noise():
    # Inputs far above zero, so that the ReLU does not cut the noise.
    batch = harness.Vectors(index=torch.arange(20_000), values=torch.full((20_000, 3), 10.0))
    assert loss(denoise(noise=0.5), batch=batch).item() == pytest.approx(0.25, rel=0.03)


def test_the_noise_comes_from_the_generator_of_the_step():
    assert loss(denoise(noise=1.0), seed=1) == loss(denoise(noise=1.0), seed=1)
    assert loss(denoise(noise=1.0), seed=1) != loss(denoise(noise=1.0), seed=2)


def test_the_nearest_mean_is_found():
    scores = NearestMean(NearestMeanOptions()).evaluate(
        task([[0], [2], [10], [12]], [0, 0, 5, 5], [[1], [5], [11], [7]], [0, 0, 5, 0])
    )
    assert [(score.name, score.value, score.n) for score in scores] == [("accuracy", 75.0, 4)]


def test_the_cosine_ignores_length():
    options = NearestMeanOptions(distance="cosine")
    (score,) = NearestMean(options).evaluate(task([[1, 0], [0, 1]], [0, 1], [[100, 1], [0.01, 1]], [0, 1]))
    assert score.value == 100.0


def test_binary_labels_are_refused():
    with pytest.raises(harness.EvaluationError, match="one class number per sample"):
        NearestMean(NearestMeanOptions()).evaluate(task([[0]], [[0, 1]], [[0]], [[0, 1]]))

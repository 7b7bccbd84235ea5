from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from harness import Encoder, PluginError, UnknownNameError, Vectors, VectorSource
from harness.errors import EvaluationError
from harness.ledger.identity import file_sha256
from harness.line import representation
from harness.line.devices import make_fabric
from harness.line.representation import encode, represent

SAMPLES = 23
DIGEST = "a" * 64


class Layers(Encoder):
    """A layer, batch normalisation and dropout; counts its passes."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))
        self.feature_shapes = {"y": (2,), "square": (2, 2)}
        self.batches = []

    def forward(self, batch):
        y = self.layers(batch.values)
        self.batches.append((len(batch), self.training, torch.is_grad_enabled()))
        return {"y": y, "square": y[:, :, None] * y[:, None, :]}


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    encoder = Layers()
    encoder(Vectors(index=torch.arange(8), values=torch.randn(8, 3)))  # so that the running statistics are not the initial ones
    encoder.batches.clear()
    return encoder.train()


@pytest.fixture
def source():
    return VectorSource(torch.randn(SAMPLES, 3, generator=torch.Generator().manual_seed(1)))


@pytest.fixture
def fabric():
    return make_fabric("cpu", "32")


@pytest.fixture
def features(encoder, source, fabric, tmp_path):
    """`features("y", ...)`: represent into a folder of this test."""

    def ask(*names, digest=DIGEST, encoder=encoder, source=source):
        return represent(encoder, source, names, tmp_path / "features", digest, fabric)

    return ask


# ------------------------------------------------------------------------------------------------------- the pass


def test_features_are_those_of_the_encoder_in_eval_mode_in_order(features, encoder, source, monkeypatch):
    monkeypatch.setattr(representation, "BATCH_SIZE", 5)
    found = features("y", "square")
    [batch] = source.in_order(SAMPLES)
    with torch.no_grad():
        expected = encoder.eval()(batch)
    np.testing.assert_allclose(found["y"].array, expected["y"].numpy(), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found["square"].array, expected["square"].numpy(), rtol=1e-6, atol=1e-7)


def test_one_pass_without_gradients_gives_all_features(features, encoder, monkeypatch):
    monkeypatch.setattr(representation, "BATCH_SIZE", 5)
    features("y", "square")
    assert encoder.batches == [(5, False, False)] * 4 + [(3, False, False)]


def test_rows_follow_the_samples_numbers_whatever_the_order_of_batches(encoder, source, fabric):
    batches = list(source.in_order(4))
    forward = encode(encoder, batches, ["y"], fabric, SAMPLES)["y"]
    backward = encode(encoder, reversed(batches), ["y"], fabric, SAMPLES)["y"]
    assert np.array_equal(forward, backward)


def test_an_array_is_float32_read_only_and_has_the_digest_of_its_file(features, tmp_path):
    found = features("y")["y"]
    assert found.array.dtype == np.float32
    assert not found.array.flags.writeable
    assert found.sha256 == file_sha256(tmp_path / "features" / "y.npy")


def test_only_what_was_asked_for_is_written(features, tmp_path):
    features("y")
    assert sorted(path.name for path in (tmp_path / "features").iterdir()) == ["y.json", "y.npy"]


def test_the_global_random_state_is_neither_used_nor_moved(encoder, source, fabric):
    class Noisy(Layers):
        def forward(self, batch):
            return {"y": torch.rand(len(batch), 2), "square": torch.zeros(len(batch), 2, 2)}

    noisy = Noisy()
    one = encode(noisy, source.in_order(4), ["y"], fabric, SAMPLES)["y"]
    torch.rand(5)
    state = torch.random.get_rng_state()
    other = encode(noisy, source.in_order(4), ["y"], fabric, SAMPLES)["y"]
    assert np.array_equal(one, other)
    assert torch.equal(state, torch.random.get_rng_state())


def test_bf16_features_are_float32_and_near(encoder, source, tmp_path):
    exact = represent(encoder, source, ["y"], tmp_path / "exact", DIGEST, make_fabric("cpu", "32"))["y"].array
    coarse = represent(encoder, source, ["y"], tmp_path / "coarse", DIGEST, make_fabric("cpu", "bf16"))["y"].array
    assert coarse.dtype == np.float32
    assert not np.array_equal(exact, coarse)
    np.testing.assert_allclose(exact, coarse, atol=0.1)


# ------------------------------------------------------------------------------------------------------ the cache


def test_a_feature_is_computed_once(features, encoder):
    first = features("y")["y"]
    encoder.batches.clear()
    again = features("y")["y"]
    assert encoder.batches == []
    assert np.array_equal(first.array, again.array)
    assert first.sha256 == again.sha256


def test_a_further_feature_is_computed_alone(features, encoder, tmp_path):
    features("y")
    before = (tmp_path / "features" / "y.npy").stat().st_mtime_ns
    assert set(features("y", "square")) == {"y", "square"}
    assert (tmp_path / "features" / "y.npy").stat().st_mtime_ns == before


def test_a_feature_of_another_checkpoint_is_not_reused(features, encoder):
    features("y")
    encoder.batches.clear()
    features("y", digest="b" * 64)
    assert encoder.batches


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("y.npy", b""),
        ("y.npy", b"\x93NUMPY damaged"),
        ("y.json", b""),
        ("y.json", b"{"),
        ("y.json", b"{}"),
        ("y.json", b"[]"),
        ("y.json", b"null"),
        ("y.json", b"\xff\xfe"),
        ("y.json", None),
        ("y.npy", None),
    ],
)
def test_a_damaged_cache_is_rebuilt(features, tmp_path, name, content):
    expected = features("y")["y"]
    array = expected.array.copy()
    path = tmp_path / "features" / name
    path.unlink() if content is None else path.write_bytes(content)
    rebuilt = features("y")["y"]
    assert np.array_equal(rebuilt.array, array)
    assert rebuilt.sha256 == expected.sha256 == file_sha256(tmp_path / "features" / "y.npy")


def test_a_single_changed_bit_is_noticed(features, tmp_path):
    array = features("y")["y"].array.copy()
    path = tmp_path / "features" / "y.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert np.array_equal(features("y")["y"].array, array)


def test_a_pickled_array_is_not_loaded(features, tmp_path):
    features("y")
    path = tmp_path / "features" / "y.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    note = json.loads((tmp_path / "features" / "y.json").read_bytes())
    (tmp_path / "features" / "y.json").write_text(json.dumps(note | {"sha256": file_sha256(path)}))
    assert features("y")["y"].array.shape == (SAMPLES, 2)


# ------------------------------------------------------------------------------------------------------ refusals


def changed(**methods):
    return type("Changed", (Layers,), methods)()


def test_an_unknown_feature_is_refused_with_those_there_are(features):
    with pytest.raises(UnknownNameError, match="no feature named 'z'; known: y, square"):
        features("z")


def test_an_encoder_that_changes_its_buffers_in_eval_mode_is_refused(features):
    def forward(self, batch):
        self.layers[1].running_mean += 1
        return Layers.forward(self, batch)

    with pytest.raises(PluginError, match="Plugin Changed: it changed its own parameters or buffers in eval mode"):
        features("y", encoder=changed(forward=forward))


def test_a_feature_of_another_shape_than_declared_is_refused(features):
    def forward(self, batch):
        return {"y": torch.zeros(len(batch), 5)}

    with pytest.raises(PluginError, match=r"feature 'y' has shape \(23, 5\) where \(23, 2\) was declared"):
        features("y", encoder=changed(forward=forward))


def test_a_declared_feature_that_is_not_given_is_refused(features):
    def forward(self, batch):
        return {"z": torch.zeros(len(batch), 2)}

    with pytest.raises(PluginError, match="it declares feature 'y' and gave z"):
        features("y", encoder=changed(forward=forward))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_values_that_are_not_finite_are_refused_and_not_cached(features, tmp_path, bad):
    def forward(self, batch):
        return {"y": torch.full((len(batch), 2), bad), "square": torch.zeros(len(batch), 2, 2)}

    with pytest.raises(EvaluationError, match="Feature 'y' has values that are not finite"):
        features("y", encoder=changed(forward=forward))
    assert not (tmp_path / "features" / "y.npy").exists()


def test_a_source_that_leaves_samples_out_is_refused(features, source):
    with pytest.raises(EvaluationError, match="The data set gave 20 of its 23 samples"):
        features("y", source=source.subset(np.arange(20)))


def test_an_error_of_the_encoder_goes_through(features):
    def forward(self, batch):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        features("y", encoder=changed(forward=forward))

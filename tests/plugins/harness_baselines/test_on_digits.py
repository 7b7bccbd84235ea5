"""Every baseline through the public door: trained, judged, loaded back, decoded, sampled, shown."""

from __future__ import annotations

import pytest
import torch

import harness
from harness import UsageError
from harness_baselines import spec

METHODS = [method.name for method in spec.harness_methods()]
WITH_DECODER = [name for name in METHODS if name != "nat"]
WITH_GENERATOR = ["vae", "beta-vae", "aae", "bigan", "ali"]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """Trains a method for an epoch, once, and gives its folder."""
    out = tmp_path_factory.mktemp("runs")

    def folder(method):
        request = {"data": "digits", "budget": "smoke", "evaluators": ["knn"], "references": False, "out": out}
        (record,) = harness.run(method=method, **request)
        assert record.status == "ok", record.error
        (found,) = (out / "digits").glob(f"{method}-s0-*")
        return found

    return folder


@pytest.mark.parametrize("method", METHODS)
def test_it_is_trained_judged_and_loaded_back(folder_of, method):
    trained = harness.load(folder_of(method))
    y = trained.encode(torch.rand(5, 1, 8, 8) * 2 - 1)
    assert y.shape == (5, 64)


@pytest.mark.parametrize("method", WITH_DECODER)
def test_y_is_decoded(folder_of, method):
    trained = harness.load(folder_of(method))
    images = trained.decode(trained.encode(torch.rand(5, 1, 8, 8) * 2 - 1))
    assert images.shape == (5, 1, 8, 8)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("method", WITH_GENERATOR)
def test_samples_are_drawn_and_repeated_by_their_seed(folder_of, method):
    trained = harness.load(folder_of(method))
    one, same, other = trained.generate(4), trained.generate(4), trained.generate(4, seed=1)
    assert one.shape == (4, 1, 8, 8)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("method", WITH_GENERATOR)
def test_the_loaded_generator_decodes_with_the_trained_weights(folder_of, method):
    trained = harness.load(folder_of(method))
    z = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(trained.generate(4, seed=0), trained.decode(z))


@pytest.mark.parametrize("method", [name for name in METHODS if name not in WITH_GENERATOR])
def test_what_has_no_generator_says_so(folder_of, method):
    with pytest.raises(UsageError, match="has no generator"):
        harness.load(folder_of(method)).generate(3)


@pytest.mark.parametrize("method", ["vae", "bigan", "ae", "nat"])
def test_the_page_shows_what_the_run_can_make(folder_of, method):
    page = harness.report(folder_of(method)).read_text(encoding="utf-8")
    assert "Nearest neighbours" in page
    assert ("Reconstructions" in page) is (method != "nat")
    assert ("Latent traversals" in page) is (method != "nat")
    assert ("<h2>Samples</h2>" in page) is (method in WITH_GENERATOR)
    assert "Not drawn" not in page

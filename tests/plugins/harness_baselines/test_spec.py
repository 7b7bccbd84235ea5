"""The baselines' specs: light, planned on every image data set, one name for every track."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from harness.api import installed
from harness.errors import UnfitError
from harness.line.planning import Request, plan
from harness_baselines import spec

METHODS = {method.name: method for method in spec.harness_methods()}
LIGHT = """
import sys
for name in ("torch", "numpy", "scipy", "sklearn"):
    sys.modules[name] = None
import harness_baselines.spec
print(len(harness_baselines.spec.harness_methods()))
"""


def first(method, data="cifar10", **fields):
    fields = {"references": False, "evaluators": ("mlp",)} | fields
    return plan(Request(method=method, data=data, **fields), installed()[1]).runs[0].identity


def test_the_specs_are_read_without_anything_heavy():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False, timeout=240)
    assert (done.stdout.strip(), done.stderr) == ("8", "")


@pytest.mark.parametrize("part", spec.harness_objectives(), ids=lambda part: part.name)
def test_every_build_string_leads_to_a_function(part):
    module, _, attribute = part.build.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_the_methods_are_those_of_the_tables_with_two_more():
    assert list(METHODS) == ["ae", "dae", "vae", "beta-vae", "aae", "bigan", "ali", "nat"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("budget", ["paper", "fast", "smoke"])
@pytest.mark.parametrize(
    ("data", "encoder"),
    [
        ("digits", "image-small"),
        ("mnist", "conv-28"),
        ("fashion-mnist", "conv-28"),
        ("cifar10", "dcgan-32"),
        ("cifar100", "dcgan-32"),
        ("stl10", "alexnet-64"),
        ("tiny-imagenet", "alexnet-64"),
    ],
)
def test_every_method_is_planned_on_every_image_data_set_with_its_encoder(method, data, encoder, budget):
    assert first(method, data, budget=budget).encoder.name == encoder


@pytest.mark.parametrize("method", METHODS)
def test_all_are_trained_as_long_as_deep_infomax(method):
    for data in ("cifar10", "mnist", "stl10"):
        for budget in ("paper", "fast"):
            training, peer = (first(name, data, budget=budget).training for name in (method, "dim"))
            assert (training.epochs, training.batch_size) == (peer.epochs, peer.batch_size)


@pytest.mark.parametrize("method", METHODS)
def test_the_rate_is_the_published_one_but_on_digits(method):
    assert first(method).objective.options["lr"] == 1e-4
    assert first(method, "digits").objective.options["lr"] == 1e-3


def test_a_beta_vae_is_a_vae_with_another_weight():
    one, other = first("vae").objective, first("beta-vae").objective
    assert one.name == other.name == "vae"
    assert (one.options["beta"], other.options["beta"]) == (1.0, 4.0)
    assert first("beta-vae", options=("objective.beta=16",)).objective.options["beta"] == 16.0


@pytest.mark.parametrize("method", [name for name in METHODS if name != "nat"])
def test_smaller_budgets_narrow_decoders_and_never_encoders(method):
    scales = [first(method, budget=budget).objective.options["decoder_scale"] for budget in ("paper", "fast", "smoke")]
    assert scales == [1.0, 0.5, 0.25]
    assert len({str(first(method, budget=budget).encoder) for budget in ("paper", "fast", "smoke")}) == 1


def test_the_joint_discriminator_is_narrowed_alike():
    widths = [first("bigan", budget=budget).objective.options["discriminator_width"] for budget in ("paper", "fast", "smoke")]
    assert widths == [64, 32, 16]


@pytest.mark.parametrize("method", METHODS)
def test_graphs_are_refused_with_what_fits_them(method):
    with pytest.raises(UnfitError, match=rf"Method {method} does not fit data set cora: .*methods for it are dgi"):
        first(method, "cora", evaluators=("logistic",))


@pytest.mark.parametrize("method", ["ae", "bigan"])
def test_an_encoder_without_a_decoder_is_refused(method):
    with pytest.raises(UnfitError, match="needs a decoder, and encoder identity has no mirror decoder"):
        first(method, "digits", encoder="identity")


def test_nat_takes_the_gradient_filter_by_an_encoder_of_that_name():
    assert first("nat", encoder="dcgan-32-gradients").encoder.name == "dcgan-32-gradients"

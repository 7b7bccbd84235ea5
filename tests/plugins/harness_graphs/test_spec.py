"""The plugin's specs: light, well-formed, and consistent with each other."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from harness import FilesRecipe
from harness_graphs import spec
from harness_graphs.spec_data import GraphDataOptions
from harness_graphs.spec_dgi import DGIOptions
from harness_graphs.spec_encoders import GCNOptions

DATASETS = {data.name: data for data in spec.harness_datasets()}
METHODS = {method.name: method for method in spec.harness_methods()}
ENCODERS = {encoder.name: encoder for encoder in spec.harness_encoders()}
OBJECTIVES = {objective.name: objective for objective in spec.harness_objectives()}
PROTOCOLS = {protocol.name: protocol for protocol in spec.harness_protocols()}
REFERENCE_METHODS = {"raw", "random", "supervised"}
PLANETOID = ("cora", "citeseer", "pubmed")


def files_of(name):
    recipe = DATASETS[name].recipe
    assert isinstance(recipe, FilesRecipe)
    return recipe.files


def test_specs_import_nothing_heavy():
    program = """
import sys
for name in ("torch", "numpy", "scipy", "sklearn", "torch_geometric"):
    sys.modules[name] = None
import harness_graphs.spec as spec
for hook in [name for name in dir(spec) if name.startswith("harness_")]:
    assert getattr(spec, hook)()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=240)


# ---------------------------------------------------------------------------------------------------- data sets


@pytest.mark.parametrize("name", PLANETOID)
def test_planetoid_has_its_eight_files(name):
    endings = {file.path.rpartition(f"ind.{name}.")[2] for file in files_of(name)}
    assert endings == {"x", "tx", "allx", "y", "ty", "ally", "graph", "test.index"}


@pytest.mark.parametrize(("name", "folder"), [("cora", "Cora"), ("citeseer", "CiteSeer"), ("pubmed", "PubMed")])
def test_planetoid_files_lie_where_torch_geometric_keeps_them(name, folder):
    assert all(file.path.startswith(f"planetoid/{folder}/raw/ind.{name}.") for file in files_of(name))


@pytest.mark.parametrize("name", ["cora", "citeseer"])
def test_pinned_hashes_are_well_formed_and_all_different(name):
    hashes = [file.sha256 for file in files_of(name)]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in hashes)
    assert len(set(hashes)) == 8


def test_nobody_has_pinned_pubmed():
    assert all(file.sha256 is None for file in files_of("pubmed"))


@pytest.mark.parametrize("name", PLANETOID)
def test_files_are_fetched_from_a_pinned_commit(name):
    for file in files_of(name):
        assert re.match(r"https://raw\.githubusercontent\.com/kimiyoung/planetoid/[0-9a-f]{40}/data/ind\.", file.url)
        assert file.url.endswith(file.path.rpartition("/")[2])


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_has_a_protocol_of_this_plugin(name):
    assert set(DATASETS[name].protocols) <= set(PROTOCOLS)


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_can_be_trained_on_by_dgi(name):
    assert set(DATASETS[name].sampling) & set(OBJECTIVES["dgi"].sampling)


# ------------------------------------------------------------------------------------------------------ methods


def resolved(method, data, budget, part, options):
    """A part's options after recipe, data set and budget, read by its class as the core reads them."""
    merged = {}
    for layer in (method.options, method.data_options.get(data, {}), method.budgets.get(budget, {})):
        merged |= layer.get(part, {})
    return options(**merged)


@pytest.mark.parametrize("budget", ["paper", "fast", "smoke"])
@pytest.mark.parametrize("data", DATASETS)
@pytest.mark.parametrize("name", METHODS)
def test_every_recipe_gives_options_that_its_parts_have(name, data, budget):
    method = METHODS[name]
    encoder = ENCODERS[method.encoders.get(data, method.encoders["graphs"])]
    assert resolved(method, data, budget, "data", DATASETS[data].options)
    assert resolved(method, data, budget, "encoder", encoder.options)
    assert resolved(method, data, budget, "objective", OBJECTIVES[method.objective].options)


def test_reference_recipe_is_that_of_the_authors_code():
    method = METHODS["dgi"]
    assert method.options["train"] == {"epochs": 10_000, "patience": 20, "restore_best": True}
    assert resolved(method, "cora", "paper", "data", GraphDataOptions).row_normalise
    encoder = resolved(method, "cora", "paper", "encoder", GCNOptions)
    assert (encoder.hidden, encoder.layers, encoder.slopes, encoder.propagation) == (512, 1, "shared", "symmetric")
    objective = resolved(method, "cora", "paper", "objective", DGIOptions)
    assert (objective.lr, objective.loss, objective.bilinear_init, objective.bilinear_bias) == (1e-3, "bce", "tensor", True)
    assert objective.corruption == "row_shuffle"


def test_pubmed_has_half_the_width():
    assert resolved(METHODS["dgi"], "pubmed", "paper", "encoder", GCNOptions).hidden == 256


def test_pyg_recipe_is_that_of_torch_geometrics_example():
    method = METHODS["dgi-pyg"]
    assert method.options["train"] == {"epochs": 300, "patience": None, "restore_best": False}
    assert not resolved(method, "cora", "paper", "data", GraphDataOptions).row_normalise
    encoder = resolved(method, "cora", "paper", "encoder", GCNOptions)
    assert (encoder.hidden, encoder.layers, encoder.slopes, encoder.propagation) == (512, 1, "per-channel", "symmetric")
    objective = resolved(method, "cora", "paper", "objective", DGIOptions)
    assert (objective.loss, objective.bilinear_init, objective.bilinear_bias) == ("log-sigmoid-sum", "uniform", False)


# -------------------------------------------------------------------------------------------- published numbers


def published(method):
    return {number.data: (number.value, number.std) for number in spec.harness_published() if number.method == method}


def test_published_numbers_are_of_known_methods_and_data():
    for number in spec.harness_published():
        assert number.method in {*METHODS, *REFERENCE_METHODS}
        assert number.data in DATASETS


def test_published_numbers_are_percentages_under_the_headline_evaluator():
    for number in spec.harness_published():
        assert 0 < number.value < 100
        assert number.evaluator == PROTOCOLS["planetoid-public"].evaluators[0]
        assert number.metric == "accuracy"


def test_published_dgi_is_the_papers_headline():
    assert published("dgi") == {"cora": (82.3, 0.6), "citeseer": (71.8, 0.7), "pubmed": (76.8, 0.6)}


def test_supervised_numbers_are_only_near_to_ours():
    assert {number.distance for number in spec.harness_published() if number.method == "supervised"} == {"near"}


def test_nothing_is_published_for_the_pyg_recipe():
    assert not published("dgi-pyg")

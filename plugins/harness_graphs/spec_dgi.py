"""Specs of Deep Graph Infomax: the objective and its two recipes, which are two different quantities. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from harness import Meta, MethodSpec, ObjectiveSpec, Options


class DGIOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `dgi`; the defaults are those of the authors' code."""

    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate")] = 1e-3
    loss: Annotated[
        Literal["bce", "log-sigmoid-sum"],
        Meta(
            description="binary cross-entropy averaged over both kinds of pairs, or torch_geometric's sum of two means (twice it)"
        ),
    ] = "bce"
    bilinear_init: Annotated[
        Literal["tensor", "matrix", "uniform"],
        Meta(description="B Xavier-uniform as a 1 x H x H tensor, Xavier-uniform as a matrix, or uniform within 1/sqrt(H)"),
    ] = "tensor"
    bilinear_bias: Annotated[bool, Meta(description="whether the discriminator has a bias")] = True
    corruption: Annotated[
        str,
        Meta(description="row_shuffle, other_graph, edge_drop, edge_flip, feature_dropout, identity, or package.module:function"),
    ] = "row_shuffle"
    corruption_rate: Annotated[
        Annotated[float, Meta(ge=0, lt=1)] | None,
        Meta(description="share of edges or values it changes, for a corruption that has one; none: its own default"),
    ] = None
    sampling: Annotated[
        Literal["graph", "graphs", "subgraphs"],
        Meta(description="train on all at once, on train.batch_size graphs, or around train.batch_size nodes"),
    ] = "graph"
    fan_outs: Annotated[
        tuple[Annotated[int, Meta(ge=1)], ...], Meta(min_length=1, description="neighbours per node and layer, for sub-graphs")
    ] = (10, 10, 25)


_DGI_PAPER = "Veličković, Fedus, Hamilton, Liò, Bengio, Hjelm: Deep Graph Infomax, ICLR 2019, arXiv:1809.10341"
_DGI_CITATION = """\
@inproceedings{velickovic2019deep,
  title     = {Deep Graph Infomax},
  author    = {Veli\\v{c}kovi\\'{c}, Petar and Fedus, William and Hamilton, William L. and Li\\`{o}, Pietro and Bengio, Yoshua
               and Hjelm, R Devon},
  booktitle = {International Conference on Learning Representations},
  year      = {2019}
}"""
_ENCODERS = {"sbm-multi": "graph-mean", "graphs": "gcn"}
_SMOKE = {"train": {"epochs": 3}, "encoder": {"hidden": 32}}


OBJECTIVES = [
    ObjectiveSpec(
        name="dgi",
        summary="Patches of the graph against its summary, with corrupted patches as negatives.",
        build="harness_graphs.dgi:build_dgi",
        sampling=("graph", "subgraphs", "graphs"),
        options=DGIOptions,
    )
]

METHODS = [
    MethodSpec(
        name="dgi",
        summary="Deep Graph Infomax as in the authors' code.",
        objective="dgi",
        encoders=_ENCODERS,
        options={
            "data": {"row_normalise": True},
            "encoder": {"hidden": 512, "slopes": "shared"},
            "objective": {"lr": 1e-3, "loss": "bce", "bilinear_init": "tensor", "bilinear_bias": True},
            "train": {"epochs": 10_000, "patience": 20, "restore_best": True},
        },
        data_options={"pubmed": {"encoder": {"hidden": 256}}, "sbm-multi": {"data": {"row_normalise": False}}},
        budgets={"fast": {"train": {"epochs": 150}}, "smoke": _SMOKE},
        paper=_DGI_PAPER,
        citation=_DGI_CITATION,
    ),
    MethodSpec(
        name="dgi-pyg",
        summary="Deep Graph Infomax as in the example of torch_geometric.",
        objective="dgi",
        encoders=_ENCODERS,
        options={
            "data": {"row_normalise": False},
            "encoder": {"hidden": 512, "slopes": "per-channel"},
            "objective": {"lr": 1e-3, "loss": "log-sigmoid-sum", "bilinear_init": "uniform", "bilinear_bias": False},
            "train": {"epochs": 300, "patience": None, "restore_best": False},
        },
        budgets={"fast": {"train": {"epochs": 150}}, "smoke": _SMOKE},
        paper=_DGI_PAPER,
        citation=_DGI_CITATION,
    ),
]

"""Specs of the graphs and of how they are judged. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

from harness import DataSetSpec, FileSpec, FilesRecipe, GeneratedRecipe, Meta, Options, ProtocolSpec


class GraphDataOptions(Options, frozen=True, kw_only=True):
    """Options of every data set of this plugin."""

    row_normalise: Annotated[bool, Meta(description="scale each node's features to sum 1; rows of zeros stay")] = True


PLANETOID_COMMIT = "af6abf468a772cc055bec88c52e4d6f51b7c37e3"
"""Of github.com/kimiyoung/planetoid, whose folder data/ holds the files."""


def _planetoid_files(folder: str, name: str, pins: dict[str, tuple[int, str]]) -> FilesRecipe:
    """The eight raw files of a Planetoid data set; `pins` has the size and sha256 of those that are known."""
    endings = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
    return FilesRecipe(
        files=tuple(
            FileSpec(
                path=f"planetoid/{folder}/raw/ind.{name}.{ending}",
                sha256=pins[ending][1] if ending in pins else None,
                size=pins[ending][0] if ending in pins else None,
                url=f"https://raw.githubusercontent.com/kimiyoung/planetoid/{PLANETOID_COMMIT}/data/ind.{name}.{ending}",
            )
            for ending in endings
        )
    )


_CORA = {
    "allx": (257305, "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543"),
    "ally": (47959, "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71"),
    "graph": (59847, "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d"),
    "test.index": (5000, "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875"),
    "tx": (148025, "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a"),
    "ty": (28135, "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad"),
    "x": (22119, "23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab"),
    "y": (4054, "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1"),
}
_CITESEER = {
    "allx": (595021, "2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668"),
    "ally": (55623, "f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95"),
    "graph": (61987, "d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7"),
    "test.index": (5000, "2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4"),
    "tx": (260321, "539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21"),
    "ty": (24135, "55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce"),
    "x": (31087, "d20de19150741e555de0ed037195630fc194114ebc7fd72ced62810148aa22f6"),
    "y": (3014, "8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924"),
}
_GENERATOR = {"bit_generator": "PCG64", "seed": 0}
_PLANETOID_CITATION = (
    "Yang, Cohen, Salakhutdinov: Revisiting Semi-Supervised Learning with Graph Embeddings, ICML 2016; "
    "Sen, Namata, Bilgic, Getoor, Galligher, Eliassi-Rad: Collective Classification in Network Data, AI Magazine 29(3), 2008"
)


def _planetoid(name: str, summary: str, files: FilesRecipe, nodes: int, features: int, classes: int) -> DataSetSpec:
    return DataSetSpec(
        name=name,
        summary=summary,
        track="graphs",
        kind="graph",
        build="harness_graphs.planetoid:build_planetoid",
        recipe=files,
        revision=PLANETOID_COMMIT[:12],
        protocols=("planetoid-public",),
        sampling=("graph", "subgraphs"),
        shape=(features,),
        samples=nodes,
        classes=classes,
        options=GraphDataOptions,
        licence="MIT, (c) 2016 Zhilin Yang; the source states no separate licence for the underlying LINQS data",
        citation=_PLANETOID_CITATION,
    )


DATASETS: list[DataSetSpec] = [
    _planetoid("cora", "Citations among 2,708 papers, 7 topics.", _planetoid_files("Cora", "cora", _CORA), 2708, 1433, 7),
    _planetoid(
        "citeseer",
        "Citations among 3,327 papers, 6 topics.",
        _planetoid_files("CiteSeer", "citeseer", _CITESEER),
        3327,
        3703,
        6,
    ),
    _planetoid(
        "pubmed",
        "Citations among 19,717 papers on diabetes, 3 kinds; hashes not pinned.",
        _planetoid_files("PubMed", "pubmed", {}),
        19717,
        500,
        3,
    ),
    DataSetSpec(
        name="sbm",
        summary="One generated graph of the size of Cora, from a degree-corrected stochastic block model.",
        track="graphs",
        kind="graph",
        build="harness_graphs.sbm:build_sbm",
        recipe=GeneratedRecipe(generator="harness_graphs.sbm:build_sbm", settings=_GENERATOR),
        protocols=("planetoid-public",),
        sampling=("graph", "subgraphs"),
        shape=(1433,),
        samples=2708,
        classes=7,
        options=GraphDataOptions,
    ),
    DataSetSpec(
        name="sbm-multi",
        summary="Six small generated graphs with five binary labels a node; training sees four of them.",
        track="graphs",
        kind="graph",
        build="harness_graphs.sbm:build_multi_graph",
        recipe=GeneratedRecipe(generator="harness_graphs.sbm:build_multi_graph", settings=_GENERATOR),
        protocols=("multi-graph-inductive",),
        sampling=("graphs", "subgraphs", "graph"),
        shape=(50,),
        samples=600,
        classes=5,
        options=GraphDataOptions,
    ),
]

PROTOCOLS = [
    ProtocolSpec(
        name="planetoid-public",
        summary="Transductive node classification on the public split.",
        track="graphs",
        splits=(
            "the public Planetoid split: the first 20 labelled nodes of each class train, the next 500 nodes validate, "
            "the listed 1,000 nodes test; the encoder sees the whole graph without labels"
        ),
        preprocessing="node features scaled to sum 1 where the data option row_normalise says so; embeddings as they are",
        evaluators=("logistic", "logistic-lbfgs", "svm", "knn"),
    ),
    ProtocolSpec(
        name="multi-graph-inductive",
        summary="Node classification with several binary labels on graphs not seen in training.",
        track="graphs",
        splits="whole graphs train, validate or test; the encoder sees the training graphs only, without labels",
        preprocessing="node features scaled to sum 1 where the data option row_normalise says so; embeddings as they are",
        evaluators=("logistic-standardised", "knn"),
    ),
]

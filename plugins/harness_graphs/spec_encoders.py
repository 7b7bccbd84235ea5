"""Specs of the graph encoders. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from harness import EncoderSpec, FeatureSpec, Meta, Options

Slopes = Annotated[
    Literal["shared", "per-channel"], Meta(description="PReLU with one slope for all units of a layer, or one for each unit")
]


class GCNOptions(Options, frozen=True, kw_only=True):
    """Options of the encoder `gcn`."""

    hidden: Annotated[int, Meta(ge=1, description="units of every layer")] = 512
    layers: Annotated[int, Meta(ge=1, description="graph convolutions")] = 1
    slopes: Slopes = "shared"
    propagation: Annotated[
        Literal["symmetric", "mean"], Meta(description="D^-1/2 (A+I) D^-1/2, or D^-1 (A+I) for graphs not seen in training")
    ] = "symmetric"


class GraphMeanOptions(Options, frozen=True, kw_only=True):
    """Options of the encoder `graph-mean`."""

    hidden: Annotated[int, Meta(ge=1, description="units of every layer")] = 512
    layers: Annotated[int, Meta(ge=1, description="mean-pooling layers")] = 3
    slopes: Slopes = "shared"


_NODE = FeatureSpec("node", "[N, hidden] node embeddings")


ENCODERS = [
    EncoderSpec(
        name="gcn",
        summary="Graph convolutions with PReLU (Kipf and Welling 2017).",
        kinds=("graph",),
        features=(_NODE,),
        shapes=((None,),),
        build="harness_graphs.gcn:build_gcn",
        options=GCNOptions,
    ),
    EncoderSpec(
        name="graph-mean",
        summary="Mean-pooling layers with dense skip connections, for unseen graphs (Deep Graph Infomax on PPI).",
        kinds=("graph",),
        features=(_NODE,),
        shapes=((None,),),
        build="harness_graphs.gcn:build_graph_mean",
        options=GraphMeanOptions,
    ),
]

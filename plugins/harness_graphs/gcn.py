"""Graph convolutional encoders in two halves: what happens to each node by itself, and what spreads along the edges.

An objective that corrupts a graph by permuting the rows of its features needs only the second half twice: with P a permutation,
(P X) W = P (X W). The first product is by far the larger one when features are many, so it is done once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from harness import Description, Encoder, Graph, SparseMatrix
from harness_graphs.spec_encoders import GCNOptions, GraphMeanOptions


@runtime_checkable
class GraphEncoder(Protocol):
    """An encoder in two halves, whose feature "node" is `propagate(transform(graph.x), graph)`."""

    def prepare(self, graph: Graph) -> None:
        """Derive from the edges of `graph` what `propagate` reads of them, to be found there; may do nothing.

        Objectives call it outside of what torch.compile sees, which could not follow it.
        """

    def transform(self, x: Tensor | SparseMatrix) -> Tensor:
        """[N, F] features to [N, D], each row by itself, so that it commutes with every permutation of the rows."""

    def propagate(self, z: Tensor, graph: Graph) -> Tensor:
        """Transformed rows [N, D] and the edges of `graph` to node embeddings [N, hidden]. Reads nothing else of the graph."""


class GCN(Encoder):
    """Layers H' = PReLU(Â H W + b) (Kipf and Welling 2017, eq. 2; one layer in Veličković et al. 2019).

    Features: "node" [N, hidden], a row for every node of the batch, in a sampled sub-graph also for those that are no samples.
    """

    def __init__(self, features: int, options: GCNOptions, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = _layers(features, options, generator)
        self.propagation: str = options.propagation
        self.feature_shapes = {"node": (options.hidden,)}

    def prepare(self, graph: Graph) -> None:
        """Derive the propagation matrix."""
        graph.propagation(self.propagation)

    def transform(self, x: Tensor | SparseMatrix) -> Tensor:
        """[N, F] -> X W of the first layer, [N, hidden]."""
        return x.matmul(self.layers[0].weight)

    def propagate(self, z: Tensor, graph: Graph) -> Tensor:
        """[N, hidden] -> [N, hidden]."""
        matrix = graph.propagation(self.propagation)
        first, *others = self.layers
        h: Tensor = first(matrix.matmul(z))
        for layer in others:
            h = layer(matrix.matmul(h @ layer.weight))
        return h

    def forward(self, batch: Graph) -> dict[str, Tensor]:
        """{"node": [N, hidden]}."""
        return {"node": self.propagate(self.transform(batch.x), batch)}


class GraphMean(Encoder):
    """Mean-pooling layers with dense skip connections, for graphs not seen in training (Veličković et al. 2019, section 4.2, PPI).

    With M = D^-1 (A + I): H_1 = PReLU(M X W_1 + b_1) and H_k = PReLU(M (H_1 + ... + H_{k-1} + X S_k) W_k + b_k). The last is
    the feature "node" [N, hidden], a row for every node of the batch, in a sampled sub-graph also for those that are no samples.
    """

    def __init__(self, features: int, options: GraphMeanOptions, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = _layers(features, options, generator)
        self.skips = nn.ParameterList(_xavier(features, options.hidden, generator) for _ in range(options.layers - 1))
        self.feature_shapes = {"node": (options.hidden,)}

    def prepare(self, graph: Graph) -> None:
        """Derive the propagation matrix."""
        graph.propagation("mean")

    def transform(self, x: Tensor | SparseMatrix) -> Tensor:
        """[N, F] -> X [W_1 | S_2 | S_3 | ...], [N, layers · hidden]."""
        return x.matmul(torch.cat([self.layers[0].weight, *self.skips], 1))

    def propagate(self, z: Tensor, graph: Graph) -> Tensor:
        """[N, layers · hidden] -> [N, hidden]."""
        matrix = graph.propagation("mean")
        first, *others = self.layers
        z_first, *skipped = z.chunk(len(self.layers), 1)
        h: Tensor = first(matrix.matmul(z_first))
        total = h
        for layer, skip in zip(others, skipped, strict=True):
            h = layer(matrix.matmul((total + skip) @ layer.weight))
            total = total + h
        return h

    def forward(self, batch: Graph) -> dict[str, Tensor]:
        """{"node": [N, hidden]}."""
        return {"node": self.propagate(self.transform(batch.x), batch)}


def build_gcn(description: Description, options: GCNOptions, generator: torch.Generator) -> GCN:
    """The encoder `gcn` for graphs with `description.shape` = (features,)."""
    return GCN(description.shape[0], options, generator)


def build_graph_mean(description: Description, options: GraphMeanOptions, generator: torch.Generator) -> GraphMean:
    """The encoder `graph-mean` for graphs with `description.shape` = (features,)."""
    return GraphMean(description.shape[0], options, generator)


class _Layer(nn.Module):
    """Weight [in, out] (Xavier-uniform), bias [out] (0) and PReLU slopes [1] or [out] (0.25) of one convolution.

    Called with Â H W [N, out]; multiplying by the weight is left to the caller, since the first layer does it elsewhere.
    """

    def __init__(self, inputs: int, outputs: int, slope_per_channel: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = _xavier(inputs, outputs, generator)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.slope = nn.Parameter(torch.full((outputs if slope_per_channel else 1,), 0.25))

    def forward(self, spread: Tensor) -> Tensor:
        return prelu(spread + self.bias, self.slope)


def _layers(features: int, options: GCNOptions | GraphMeanOptions, generator: torch.Generator) -> Sequence[_Layer]:
    widths = [features] + [options.hidden] * options.layers
    layers = nn.ModuleList(_Layer(*pair, options.slopes == "per-channel", generator) for pair in pairwise(widths))
    return cast("Sequence[_Layer]", layers)  # which torch types as a list of any modules


def _xavier(inputs: int, outputs: int, generator: torch.Generator) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs), generator=generator))


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """`F.prelu` of x [N, D] with slopes [1] or [D], and a backward pass that takes no branch per element.

    Signs of activations are as good as random, so torch's own backward pass, an if per element, spends its time on mispredicted
    branches on a CPU: it took more than a third of an epoch of Deep Graph Infomax.
    """
    if torch.compiler.is_compiling():
        return F.prelu(x, slope)  # the compiler makes its own backward pass, without branches
    return cast(Tensor, _PReLU.apply(x, slope))  # type: ignore[no-untyped-call]


class _PReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return F.prelu(x, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        above = torch.ops.aten.threshold_backward(gradient, x, 0)  # the gradient where x > 0, elsewhere 0
        below = gradient - above
        return above.addcmul_(below, slope), below.mul_(x).sum_to_size(slope.shape)

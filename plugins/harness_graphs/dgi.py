"""Deep Graph Infomax (Veličković, Fedus, Hamilton, Liò, Bengio, Hjelm: Deep Graph Infomax, ICLR 2019).

Patches H = E(X, A), summary s = R(H), corruption (X̃, Ã) = C(X, A), H̃ = E(X̃, Ã); the discriminator D shall score the pairs
(h_i, s) high and (h̃_j, s) low. The letters are the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from harness import (
    Encoder,
    Graph,
    Graphs,
    Objective,
    ObjectiveContext,
    Phase,
    Sampling,
    SparseMatrix,
    Step,
    SubGraphs,
    UnfitError,
    WholeGraph,
    jsd_loss,
)
from harness_graphs.corruption import Corrupted, Corruption, find_corruption, permute_rows
from harness_graphs.gcn import GraphEncoder
from harness_graphs.spec_dgi import DGIOptions

InfomaxLoss = Callable[[Tensor, Tensor], Tensor]
"""From scores of positives and scores of negatives to what is minimised."""


class DeepGraphInfomax(Objective):
    """The paper's equation 1, for any encoder in two halves (`GraphEncoder`) and any corruption."""

    def __init__(
        self,
        encoder: Encoder,
        corruption: Corruption,
        discriminator: BilinearDiscriminator,
        *,
        loss: InfomaxLoss = jsd_loss,
        lr: float = 1e-3,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(encoder, sampling=sampling or WholeGraph())
        self.corruption, self.discriminator, self.infomax_loss, self.lr = corruption, discriminator, loss, lr

    def phases(self) -> Sequence[Phase]:
        """Encoder and discriminator are trained together."""
        return [Phase("dgi", self.parameters(), partial(fused_adam, lr=self.lr), self.loss)]

    def loss(self, step: Step) -> Mapping[str, Tensor]:
        """{"loss": of the batch's patches, their corruption and their summary}."""
        graph: Graph = step.batch
        encoder = cast(GraphEncoder, self.encoder)
        corrupted, average = _prepare(self.corruption, encoder, graph, step.generator)

        z = encoder.transform(graph.x)
        z_corrupted = z if corrupted.x is graph.x else encoder.transform(corrupted.x)
        if corrupted.rows is not None:
            z_corrupted = permute_rows(z_corrupted, corrupted.rows)  # (P X) W = P (X W)
        h = _samples(encoder.propagate(z, graph), graph)
        untouched = z_corrupted is z and corrupted.graph is graph
        h_corrupted = h if untouched else _samples(encoder.propagate(z_corrupted, corrupted.graph), graph)

        s = readout(h, average)
        own = None if average is None else graph.graph
        positive = self.discriminator(h, s, own)
        negative = self.discriminator(h_corrupted, s, own if corrupted.judged_by is None else corrupted.judged_by)
        return {"loss": self.infomax_loss(positive, negative)}


def readout(h: Tensor, average: SparseMatrix | None = None) -> Tensor:
    """Summary s = σ(mean of the patches): patches h [N, D] to s [D], or with `average` [G, N] to a summary of each graph [G, D]."""
    return (h.mean(0) if average is None else average.matmul(h)).sigmoid()


def average_of_graphs(graph: Graph) -> SparseMatrix | None:
    """The matrix [G, N] that takes the mean over each of G whole graphs side by side.

    None where a batch has one summary: of a single graph, or of all the patches of sampled sub-graphs.
    """
    if graph.graph is None or graph.roots is not None:
        return None
    sizes = torch.bincount(graph.graph)
    nodes = torch.arange(len(graph), device=sizes.device)
    return SparseMatrix.from_coo(graph.graph, nodes, sizes.reciprocal()[graph.graph], (len(sizes), len(graph)))


class BilinearDiscriminator(nn.Module):
    """D(h, s) = hᵀ B s + b as a logit; the paper's σ is in the loss, its W is B here.

    :param init: "tensor": B Xavier-uniform as the 1×D×D tensor of the reference code, U(±√(6 / (D² + D))); "matrix": as a matrix,
        U(±√(6 / 2D)); "uniform": U(±1/√D), as in torch_geometric.
    :param bias: whether there is a b; it starts at 0.
    """

    def __init__(self, width: int, init: str, bias: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, width))
        self.bias = nn.Parameter(torch.zeros(1)) if bias else None
        with torch.no_grad():
            if init == "uniform":
                self.weight.uniform_(-(width**-0.5), width**-0.5, generator=generator)
            else:
                nn.init.xavier_uniform_(self.weight[None] if init == "tensor" else self.weight, generator=generator)

    def forward(self, h: Tensor, s: Tensor, judged_by: Tensor | None = None) -> Tensor:
        """Scores [N] of patches h [N, D] with the summary s [D], or of patch i with row judged_by[i] of the summaries s [G, D].

        B s comes first: one product of a matrix and a vector instead of N.
        """
        v = s @ self.weight.t()
        scores = h @ v if judged_by is None else (h * v[judged_by]).sum(1)
        return scores if self.bias is None else scores + self.bias


def log_sigmoid_sum(positive: Tensor, negative: Tensor) -> Tensor:
    """The loss of torch_geometric: -mean log(σ(positive) + ε) - mean log(1 - σ(negative) + ε) with ε = 1e-15.

    Twice `jsd_loss`, until a float32 sigmoid rounds to 0 or 1.
    """
    epsilon = 1e-15
    return -torch.log(positive.sigmoid() + epsilon).mean() - torch.log(1 - negative.sigmoid() + epsilon).mean()


def fused_adam(parameters: list[nn.Parameter], lr: float) -> torch.optim.Adam:
    """Adam in one pass over all parameters, on the devices that have it."""
    return torch.optim.Adam(parameters, lr=lr, fused=all(parameter.device.type in ("cpu", "cuda") for parameter in parameters))


def build_dgi(encoder: Encoder, context: ObjectiveContext, options: DGIOptions, generator: torch.Generator) -> DeepGraphInfomax:
    """The objective `dgi`. Raises UnfitError for an encoder of another form, OptionError for an unknown corruption."""
    if not isinstance(encoder, GraphEncoder) or "node" not in encoder.feature_shapes:
        raise UnfitError(
            f"Objective dgi trains encoders that have `prepare`, `transform` and `propagate` and a feature node, and "
            f"{type(encoder).__name__} has not; choose --encoder gcn or graph-mean."
        )
    (width,) = encoder.feature_shapes["node"]
    samplings: dict[str, Sampling] = {
        "graph": WholeGraph(),
        "graphs": Graphs(),
        "subgraphs": SubGraphs(fan_outs=tuple(options.fan_outs)),
    }
    return DeepGraphInfomax(
        encoder,
        find_corruption(options.corruption, options.corruption_rate),
        BilinearDiscriminator(width, options.bilinear_init, options.bilinear_bias, generator),
        loss={"bce": jsd_loss, "log-sigmoid-sum": log_sigmoid_sum}[options.loss],
        lr=options.lr,
        sampling=samplings[options.sampling],
    )


def _samples(h: Tensor, graph: Graph) -> Tensor:
    """Rows of the nodes that are samples."""
    return h if graph.roots is None else h[: graph.roots]


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _prepare(
    corruption: Corruption, encoder: GraphEncoder, graph: Graph, generator: torch.Generator
) -> tuple[Corrupted, SparseMatrix | None]:
    """Random numbers and sparse matrices are made first, outside of what torch.compile sees, so that the rest is one piece."""
    corrupted = corruption(graph, generator)
    encoder.prepare(graph)
    encoder.prepare(corrupted.graph)
    return corrupted, average_of_graphs(graph)

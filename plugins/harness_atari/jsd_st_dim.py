"""The objective `jsd-st-dim`: ST-DIM with the Jensen-Shannon bound, the ablation of Anand, Racah et al. (2019).

A bilinear form <A a, b> + bias scores the pairs (y_t, c_{t-1}(m, n)), another one (c_t(m, n), c_{t-1}(m, n)), at every place. Each
is trained by binary cross-entropy to tell them from pairs in which a random frame of the same episode stands in place of
x_{t-1}; the loss is the sum of both terms, averaged over pairs and places. The negatives of a pair are no other pair's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from harness import Encoder, Objective, ObjectiveContext, Phase, Step, TimePairs, jsd_loss
from harness_atari.contrast import places
from harness_atari.spec_objectives import JSDSTDIMOptions


class BilinearScore(nn.Bilinear):
    """<A a, b> + bias with the weights of `nn.Bilinear`; A a is computed once and serves every b that a is paired with."""

    def __init__(self, units_a: int, units_b: int) -> None:
        super().__init__(units_a, units_b, 1)

    def map(self, a: Tensor) -> Tensor:
        """A a: [..., units_a] -> [..., units_b]."""
        return a @ self.weight[0]

    def score(self, mapped: Tensor, b: Tensor) -> Tensor:
        """[...] scores of what `map` gave and of b [..., units_b]."""
        return (mapped * b).sum(dim=-1) + self.bias


class JensenShannonSTDIM(Objective):
    """The encoder with a bilinear form for each term."""

    def __init__(self, encoder: Encoder, options: JSDSTDIMOptions) -> None:
        super().__init__(encoder, sampling=TimePairs(offset=options.offset, other=True))
        self.options = options
        (latent,), (channels, _, _) = encoder.shape_of("y", "D"), encoder.shape_of("local", "C", "H", "W")
        self.from_global, self.from_local = BilinearScore(latent, channels), BilinearScore(channels, channels)

    def phases(self) -> Sequence[Phase]:
        """One: encoder and bilinear forms together."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, eps=1e-5, fused=True)
        return [Phase("tell apart", self.parameters(), adam, self.discrimination)]

    def discrimination(self, step: Step) -> Mapping[str, Tensor]:
        """The binary cross-entropies in nats, ln 2 each for an encoder that knows nothing."""
        features = self.encoder(step.batch.images())
        earlier, later, other = places(features["local"]).chunk(3)
        y = features["y"].chunk(3)[1]
        terms = {
            "global-local": binary_cross_entropy(self.from_global, y[:, None], earlier, other),
            "local-local": binary_cross_entropy(self.from_local, later, earlier, other),
        }
        return {"loss": terms["global-local"] + terms["local-local"], **terms}


def binary_cross_entropy(critic: BilinearScore, a: Tensor, b: Tensor, foreign: Tensor) -> Tensor:
    """Of telling (a, b) from (a, foreign), [B, P, C] each and a possibly [B, 1, C]; averaged over pairs of both kinds."""
    with torch.autocast(a.device.type, enabled=False):  # sums of many products are too fine for the 8 bits of bf16
        mapped = critic.map(a.float())
        return jsd_loss(critic.score(mapped, b.float()), critic.score(mapped, foreign.float()))


def build(encoder: Encoder, context: ObjectiveContext, options: JSDSTDIMOptions, generator: torch.Generator) -> JensenShannonSTDIM:
    """The objective `jsd-st-dim`. Raises UnfitError for an encoder without a map "local" and a vector "y"."""
    return JensenShannonSTDIM(encoder, options)

"""The objective `st-dim`: Spatiotemporal Deep InfoMax (Anand, Racah et al. 2019).

Of B pairs of consecutive frames (x_{t-1}, x_t) the encoder gives a global vector y and at every place (m, n) a local vector c. Each
c_{t-1}(m, n) is to be recognised among those that the same place has in the batch's other pairs, with scores

    global-local   from y_t:          <W_g y_t^i + b_g, c_{t-1}^j(m, n)>
    local-local    from c_t(m, n):    <W_l c_t^i(m, n) + b_l, c_{t-1}^j(m, n)>

by softmax cross-entropy over j with target i, averaged over i and places; the loss is the sum of both terms. The biases add
<b, c_{t-1}^j>, which differs from candidate to candidate and so does not cancel in the softmax.

With `offset` 0 both frames are the same one: with the global-local term alone that is local Deep InfoMax, in which only frames are
negatives and not other places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from harness import Encoder, Items, Objective, ObjectiveContext, Phase, Step, TimePairs
from harness_atari.contrast import cross_entropy, places
from harness_atari.spec_objectives import STDIMOptions


class SpatiotemporalDIM(Objective):
    """The encoder with a linear map for each term."""

    def __init__(self, encoder: Encoder, options: STDIMOptions) -> None:
        super().__init__(encoder, sampling=TimePairs(offset=options.offset) if options.offset else Items())
        self.options = options
        (latent,), (channels, _, _) = encoder.shape_of("y", "D"), encoder.shape_of("local", "C", "H", "W")
        self.from_global = nn.Linear(latent, channels) if options.terms != "local-local" else None
        self.from_local = nn.Linear(channels, channels) if options.terms != "global-local" else None

    def phases(self) -> Sequence[Phase]:
        """One: encoder and linear maps together."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, eps=1e-5, fused=True)
        return [Phase("recognise", self.parameters(), adam, self.recognition)]

    def recognition(self, step: Step) -> Mapping[str, Tensor]:
        """The cross-entropies in nats, ln B each for an encoder that knows nothing."""
        y, later, earlier = self.encoded(step)
        terms: dict[str, Tensor] = {}
        if self.from_global is not None:
            terms["global-local"] = cross_entropy(global_scores(self.from_global(y), earlier))
        if self.from_local is not None:
            terms["local-local"] = cross_entropy(local_scores(self.from_local(later), earlier))
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}

    def encoded(self, step: Step) -> tuple[Tensor, Tensor, Tensor]:
        """y_t [B, D], c_t [B, P, C] and c_{t-1} [B, P, C] at P places, of one pass over all frames."""
        if not self.options.offset:
            features = self.encoder(step.batch)
            local = places(features["local"])
            return features["y"], local, local
        features = self.encoder(step.batch.images())
        (earlier, later), (_, y) = places(features["local"]).chunk(2), features["y"].chunk(2)
        return y, later, earlier


def global_scores(predicted: Tensor, local: Tensor) -> Tensor:
    """[P, B, B]: of every prediction (row) with every frame's vector (column) at each of P places.

    :param predicted: [B, C], one for all places.
    :param local: [B, P, C].
    """
    with torch.autocast(predicted.device.type, enabled=False):  # scores are too large for the 8 bits of bf16
        return (local.float() @ predicted.float().T).permute(1, 2, 0)  # one matrix product of [B P, C] with [C, B]


def local_scores(predicted: Tensor, local: Tensor) -> Tensor:
    """[P, B, B]: of every prediction (row) with every frame's vector (column) at the same place.

    :param predicted: [B, P, C].
    :param local: [B, P, C].
    """
    with torch.autocast(predicted.device.type, enabled=False):
        return predicted.float().transpose(0, 1) @ local.float().permute(1, 2, 0)


def build(encoder: Encoder, context: ObjectiveContext, options: STDIMOptions, generator: torch.Generator) -> SpatiotemporalDIM:
    """The objective `st-dim`. Raises UnfitError for an encoder without a map "local" and a vector "y"."""
    return SpatiotemporalDIM(encoder, options)

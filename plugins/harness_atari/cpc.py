"""The objective `cpc`: contrastive predictive coding (van den Oord et al. 2018) of sequences of frames.

In the form that Anand, Racah et al. (2019) compare ST-DIM with: the encoder gives y of every frame, a recurrent net sums up
y_0 ... y_s as a context, and for each number of steps k a linear map of its own predicts y_{s+k}. That is to be recognised among
y_k, y_{k+1}, ... of all sequences of the batch, its own one too: softmax cross-entropy of inner products, averaged over sequences
and s, and summed over k = 1, 1 + `predict_every`, ...

Anand et al. draw for each episode and epoch a hundred sequences of a hundred frames, at random places of random episodes. Here an
epoch has every sequence that begins a multiple of `stride` frames after the beginning of its episode, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from harness import Encoder, Objective, ObjectiveContext, Phase, Sequences, Step
from harness_atari.contrast import recognised
from harness_atari.spec_objectives import CPCOptions


class ContrastivePredictiveCoding(Objective):
    """The encoder with the recurrent net and a linear map for each number of steps."""

    def __init__(self, encoder: Encoder, options: CPCOptions) -> None:
        super().__init__(encoder, sampling=Sequences(length=options.sequence_length, stride=options.stride))
        self.options = options
        (latent,) = encoder.shape_of("y", "D")
        self.steps = range(1, options.sequence_length, options.predict_every)
        self.gru = nn.GRU(latent, options.gru_size, options.gru_layers, batch_first=True)
        self.predict = nn.ModuleList(nn.Linear(options.gru_size, latent) for _ in self.steps)

    def phases(self) -> Sequence[Phase]:
        """One: all networks together. Adam's epsilon is its own 1e-8 here, as with Anand et al."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, fused=True)
        return [Phase("recognise", self.parameters(), adam, self.recognition)]

    def recognition(self, step: Step) -> Mapping[str, Tensor]:
        """The sum of the cross-entropies in nats, and those of the nearest and the farthest step.

        The k-th is ln(B (L - k)) for an encoder that knows nothing, of B sequences of L frames.
        """
        frames = step.batch.frames
        y = self.encoder(step.batch.images())["y"].unflatten(0, frames.shape[:2])  # [B, L, D]
        contexts, _ = self.gru(y)
        losses = torch.stack(
            [
                recognised(linear(contexts[:, :-ahead]).flatten(0, 1), y[:, ahead:].flatten(0, 1))
                for ahead, linear in zip(self.steps, self.predict, strict=True)
            ]
        )
        return {"loss": losses.sum(), "nearest": losses[0], "farthest": losses[-1]}


def build(
    encoder: Encoder, context: ObjectiveContext, options: CPCOptions, generator: torch.Generator
) -> ContrastivePredictiveCoding:
    """The objective `cpc`. Raises UnfitError for an encoder without a vector "y"."""
    return ContrastivePredictiveCoding(encoder, options)

"""The objective `bigan`: adversarial feature learning.

Donahue, Krähenbühl, Darrell, "Adversarial Feature Learning" (2017), in the form of the authors of Deep InfoMax. A discriminator
tells pairs (x, E(x)) from pairs (G(z), z), z from N(0, I), by raising a divergence V of its scores; encoder and generator lower it:

    min_{E,G} max_D  V = E_P[T(D(x, E(x)))] - E_Q[f*(T(D(G(z), z)))].

At the optimum E inverts G. In every step the discriminator is updated first, on the same passes of encoder and generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from harness import Encoder, Items, Objective, ObjectiveContext, Phase, Step, UnfitError, bounds, gradient_penalty
from harness_baselines.decoding import Sampler, mirror_decoder, standard_normal
from harness_baselines.spec import BiGANOptions

Inference = Callable[[Mapping[str, Tensor], torch.Generator], Tensor]
"""From an encoder's features to z [N, D]."""


def wasserstein(positive: Tensor, negative: Tensor) -> Tensor:
    """The difference of mean scores; of critics of slope 1 at most, the Wasserstein distance (Arjovsky et al. 2017)."""
    return positive.mean() - negative.mean()


DIVERGENCES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {**bounds.BOUNDS, "wasserstein": wasserstein}


@dataclass(frozen=True)
class Pairs:
    """Inputs [2N, C, H, W] with their codes [2N, D]: first N that were encoded, then N that were generated."""

    x: Tensor
    z: Tensor


class JointDiscriminator(nn.Module):
    """(x [N, C, H, W], z [N, D]) -> scores [N, 1], high for encoded pairs. No batch normalisation, so samples stay apart.

    Convolutions 4x4 that halve the map until its side is 4 or less, `width` channels doubling up to 8 `width`; 256 units of that
    stand beside z before two hidden layers of 512 and 128. LeakyReLU of slope 0.2, weights begun for it (He et al. 2015).
    """

    def __init__(self, shape: tuple[int, ...], latent: int, width: int) -> None:
        super().__init__()
        channels, *sides = shape
        layers: list[nn.Module] = []
        while max(sides) > 4:
            wider = min(2 * channels, 8 * width) if layers else width
            layers += [nn.Conv2d(channels, wider, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
            channels, sides = wider, [side // 2 for side in sides]
        self.on_x = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * math.prod(sides), 256), nn.LeakyReLU(0.2))
        top = [nn.Linear(256 + latent, 512), nn.LeakyReLU(0.2), nn.Linear(512, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1)]
        self.on_both = nn.Sequential(*top)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):  # without normalisation torch's own scale would lose the signal
                nn.init.kaiming_normal_(layer.weight, a=0.2)
                nn.init.zeros_(cast(Tensor, layer.bias))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """The scores."""
        on_x = self.on_x(x.contiguous(memory_format=torch.channels_last))
        return cast(Tensor, self.on_both(torch.cat([on_x, z], dim=1)))


class BiGAN(Objective):
    """Encoder, generator and the discriminator of their pairs.

    :param infer: gives the code z of an encoded input, with the parameters of its own if it is a module; y by default.
    """

    def __init__(
        self, encoder: Encoder, generator: nn.Module, shape: tuple[int, ...], options: BiGANOptions, infer: Inference
    ) -> None:
        super().__init__(encoder, sampling=Items(), watch="fool/loss")
        self.generator, self.infer, self.options = generator, infer, options
        (self.latent,) = encoder.shape_of("y", "D")
        self.discriminator = JointDiscriminator(shape, self.latent, options.discriminator_width)
        self.divergence = DIVERGENCES[options.divergence]

    def phases(self) -> Sequence[Phase]:
        """The discriminator; then encoder and generator, each of whose parameters moves its own term of V alone."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, betas=(0.5, 0.999), fused=True)
        others = [parameter for name, parameter in self.named_parameters() if not name.startswith("discriminator.")]
        return [
            Phase("discriminate", self.discriminator.parameters(), adam, self.discrimination),
            Phase("fool", others, adam, self.fooling),
        ]

    def shared(self, step: Step) -> Pairs:
        """One pass of encoder and generator for both phases."""
        x = step.batch.pixels
        code = self.infer(self.encoder(step.batch), step.generator)
        noise = standard_normal(len(x), self.latent, step.generator)
        return Pairs(torch.cat([x, self.generator(noise).to(x.dtype)]), torch.cat([code.to(noise.dtype), noise]))

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # the penalty differentiates twice, which compiled code does not
    def discrimination(self, step: Step) -> Mapping[str, Tensor]:
        """Raise V, with the penalty on the gradient at all pairs."""
        x, z = step.shared.x.detach().requires_grad_(), step.shared.z.detach().requires_grad_()
        scores = self.discriminator(x, z)
        value, penalty = self.divergence(*scores.chunk(2)), gradient_penalty(scores, [x, z])
        return {"loss": self.options.penalty * penalty - value, "value": value, "penalty": penalty}

    def fooling(self, step: Step) -> Mapping[str, Tensor]:
        """Lower V: the encoder through the scores of encoded pairs, the generator through those of generated ones."""
        return {"loss": self.divergence(*self.discriminator(step.shared.x, step.shared.z).chunk(2))}

    def exports(self) -> Mapping[str, nn.Module]:
        """The generator, as what decodes y and as what draws samples."""
        return {"decoder": self.generator, "generator": Sampler(self.generator, self.latent)}


def represented(features: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
    """The code of a deterministic encoder: y."""
    return features["y"]


def build(encoder: Encoder, context: ObjectiveContext, options: BiGANOptions, generator: torch.Generator) -> BiGAN:
    """The objective `bigan`. Raises UnfitError for an encoder without a vector "y", or inputs that are not [C, H, W]."""
    return with_inference(encoder, context, options, generator, represented)


def with_inference(
    encoder: Encoder, context: ObjectiveContext, options: BiGANOptions, generator: torch.Generator, infer: Inference
) -> BiGAN:
    """`build` with another way from features to z."""
    if len(context.description.shape) != 3:
        raise UnfitError(f"The joint discriminator reads inputs [C, H, W]; these are {list(context.description.shape)}.")
    return BiGAN(
        encoder, mirror_decoder(encoder, context, generator, options.decoder_scale), context.description.shape, options, infer
    )

"""The objective `dim`: Deep InfoMax (Hjelm et al. 2019).

Of an image x the encoder E = f o C makes a map of local vectors C(x), the feature "local", and a global vector y, the feature "y".
Training maximises (paper, eq. 8)

    alpha I(C(x); y) + beta mean_l I(C_l(x); y)      and matches sigmoid(y) to uniform noise with weight gamma,

each I a lower bound on mutual information, computed from a critic's scores of joint pairs (one image) and marginal pairs (two).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from harness import Encoder, Images, Items, Objective, ObjectiveContext, Phase, Step, UnfitError, bounds
from harness_images.coordinates import AbsoluteCoordinates, RelativeCoordinates
from harness_images.critics import ConcatCritic, DotCritic, Places, ResidualNet, WholeMap
from harness_images.prior import PriorDiscriminator, discriminator_loss, fooling_loss
from harness_images.spec_dim import DIMOptions


@dataclass(frozen=True)
class Encoded:
    """What the phases of a step share: the features of its batch."""

    local: Tensor
    """[N, C, M, M], of the whole image."""
    y: Tensor
    """[N, D], before any nonlinearity; where a part of the image is hidden, of the rest."""


class DeepInfoMax(Objective):
    """The encoder with its critics, the prior's discriminator and the coordinate nets, as the options ask for them."""

    def __init__(self, encoder: Encoder, options: DIMOptions) -> None:
        super().__init__(encoder, sampling=Items(), watch="infomax/loss")
        self.options = options
        self.bound = bounds.BOUNDS[options.bound]
        self.local_critic = local_critic(encoder, options) if options.beta else None
        self.global_critic = global_critic(encoder, options) if options.alpha else None
        channels, side, _ = encoder.feature_shapes["local"]
        (latent,) = encoder.feature_shapes["y"]
        self.discriminator = PriorDiscriminator(latent) if options.gamma else None
        tasks = {"absolute": AbsoluteCoordinates, "relative": RelativeCoordinates}
        wanted = tasks if options.coordinates == "both" else [task for task in tasks if task == options.coordinates]
        self.coordinate_tasks = nn.ModuleDict(
            {task: tasks[task](channels, latent, side) for task in wanted if options.coordinate_weight}
        )

    def phases(self) -> Sequence[Phase]:
        """The prior's discriminator, if there is one; then the encoder with its critics and coordinate nets."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, betas=(0.5, 0.999), fused=True)
        judge = list(self.discriminator.parameters()) if self.discriminator else []
        judged = {id(parameter) for parameter in judge}
        others = [parameter for parameter in self.parameters() if id(parameter) not in judged]
        infomax = Phase("infomax", others, adam, self.infomax)
        return [Phase("prior", judge, adam, self.prior), infomax] if judge else [infomax]

    def shared(self, step: Step) -> Encoded:
        """One pass over the batch for both phases; two where a part of the images is hidden from y."""
        features = self.encoder(step.batch)
        if not self.options.occlusion:
            return Encoded(features["local"], features["y"])
        hidden = occlude(step.batch, self.options.occlusion, step.generator)
        return Encoded(features["local"], self.encoder(hidden)["y"])

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # the penalty differentiates twice, which compiled code does not
    def prior(self, step: Step) -> Mapping[str, Tensor]:
        """Tell uniform noise from sigmoid(y)."""
        assert self.discriminator is not None
        return discriminator_loss(self.discriminator, step.shared.y, self.options.penalty, step.generator)

    def infomax(self, step: Step) -> Mapping[str, Tensor]:
        """Raise the bounds, fool the prior's discriminator, predict coordinates."""
        options, seen = self.options, step.shared
        terms: dict[str, Tensor] = {}
        loss = torch.zeros((), device=seen.y.device)
        if self.global_critic is not None:
            terms["global"] = self.bound(*self.global_critic(seen.local, seen.y, step.generator))
            loss = loss - options.alpha * terms["global"]
        if self.local_critic is not None:
            places = draw_places(seen.local, options.places, step.generator)
            terms["local"] = self.bound(*self.local_critic(places, seen.y, step.generator))
            loss = loss - options.beta * terms["local"]
        if self.discriminator is not None:
            terms["prior"] = fooling_loss(self.discriminator, seen.y)
            loss = loss + options.gamma * terms["prior"]
        for name, task in self.coordinate_tasks.items():
            terms[name] = task(seen.local, seen.y, step.generator)
            loss = loss + options.coordinate_weight * terms[name]
        return {"loss": loss, **terms}


def local_critic(encoder: Encoder, options: DIMOptions) -> nn.Module:
    """The critic of a local vector and y."""
    channels, latent = encoder.feature_shapes["local"][0], encoder.feature_shapes["y"][0]
    if options.critic == "concat":
        return ConcatCritic(channels, latent, options.hidden, options.permutations)
    units = options.units
    local_net = nn.Sequential(Places(), ResidualNet(channels, units, units))
    return DotCritic(local_net, ResidualNet(latent, units, units), options.negatives)


def global_critic(encoder: Encoder, options: DIMOptions) -> nn.Module:
    """The critic of the whole local map, as a single place, and y.

    Concatenated as in the paper's appendix (table 6); or, for a dot product, embedded by fresh layers like the encoder's own above
    the local map, as in rdevon/DIM, with a residual net on y where that has one linear layer. Raises UnfitError for an encoder that
    does not say what those are.
    """
    (channels, height, width), (latent,) = encoder.feature_shapes["local"], encoder.feature_shapes["y"]
    if options.global_critic == "concat":
        return WholeMap(ConcatCritic(channels * height * width, latent, options.hidden, options.permutations))
    above = getattr(encoder, "above_local", None)
    if above is None:
        raise UnfitError(
            "The encoder has no `above_local`, which a global dot-product critic needs; use objective.global_critic=concat."
        )
    as_place = nn.Sequential(above(options.units), nn.Unflatten(1, (1, options.units)))
    return DotCritic(as_place, ResidualNet(latent, options.units, options.units), options.negatives)


def draw_places(local: Tensor, places: int | None, generator: torch.Generator) -> Tensor:
    """So many places of each map [N, C, M, M], drawn without repetition, as a map [N, C, places, 1]; None: the map as it is."""
    images, channels, height, width = local.shape
    if places is None or places >= height * width:
        return local
    drawn = torch.rand(images, height * width, generator=generator, device=local.device).topk(places, dim=1).indices
    rows = drawn + height * width * torch.arange(images, device=local.device)[:, None]
    vectors = local.permute(0, 2, 3, 1).reshape(-1, channels)[rows.view(-1)]
    return vectors.view(images, places, 1, channels).permute(0, 3, 1, 2)


def occlude(batch: Images, size: float, generator: torch.Generator) -> Images:
    """The images with a square hidden: at a random place of each, filled with the image's own mean colour.

    :param size: the square's side as a part of the image's height. The paper does not say its size or filling: both are our choice.
    """
    pixels = batch.pixels
    images, _, height, width = pixels.shape
    side = max(1, round(size * height))
    corner = torch.rand(2, images, 1, generator=generator, device=pixels.device)
    top = (corner[0] * (height - side + 1)).floor()
    left = (corner[1] * (width - side + 1)).floor()
    row, column = torch.arange(height, device=pixels.device), torch.arange(width, device=pixels.device)
    in_rows, in_columns = (row >= top) & (row < top + side), (column >= left) & (column < left + side)
    hidden = (in_rows[:, :, None] & in_columns[:, None, :])[:, None]
    return replace(batch, pixels=torch.where(hidden, pixels.mean(dim=(2, 3), keepdim=True), pixels))


def build(encoder: Encoder, context: ObjectiveContext, options: DIMOptions, generator: torch.Generator) -> DeepInfoMax:
    """The objective `dim`. Raises UnfitError for an encoder without the features "local" [C, M, M] and "y" [D]."""
    encoder.shape_of("y", "D")
    _, height, width = encoder.shape_of("local", "C", "M", "M")
    if height != width:
        raise UnfitError(f'Deep InfoMax needs a square map "local" [C, M, M]; this encoder\'s is {height} by {width}.')
    return DeepInfoMax(encoder, options)

"""Speed of a training step of Deep InfoMax on 32-pixel images, beside plain eager torch, in the same process.

    python benchmarks/speed/dim_step.py --threads 1 [--compile] [--out FILE.json]

The peer is the step as one writes it down: torch's default memory order, Adam as it comes, the critic applied to concatenated
pairs, or every positive of InfoNCE laid out beside all its negatives. Ours is `harness_images.dim` as the trainer steps it. Before
anything is timed, both are given the same weights, batches and negatives and must follow the same losses. Then all variants are
stepped in turn, one step each, for a number of rounds; printed are the medians and how many times quicker than the peer that is.

Both include matching the prior with the per-sample gradient penalty, as every local method of the paper does. Batches are random
pixels: nothing is learned from them, and nothing in a step depends on what they show.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Description, Images, ObjectiveContext, Step
from harness_images.critics import other_images
from harness_images.dim import DeepInfoMax
from harness_images.dim import build as build_dim
from harness_images.encoders import build_dcgan_32
from harness_images.spec_dim import DIMOptions
from harness_images.spec_encoders import ConvEncoderOptions

BATCH = 64
LOSSES = {
    "concat-and-convolve, JSD": DIMOptions(bound="jsd", critic="concat"),
    "dot product, InfoNCE, 2048 units": DIMOptions(bound="infonce", critic="dot"),
}

Stepper = Callable[[Tensor, torch.Generator], float]
"""One step on pixels [N, 3, 32, 32]; returns the encoder's loss before its update."""


# --------------------------------------------------------------------------------------------------------- the peer


class PlainEncoder(nn.Module):
    """The paper's encoder of 32-pixel images, with its local map and y."""

    def __init__(self) -> None:
        super().__init__()
        self.below = nn.Sequential(
            nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
        )  # fmt: skip
        self.above = nn.Sequential(
            nn.Conv2d(128, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU(), nn.Flatten(),
            nn.Linear(4096, 1024, bias=False), nn.BatchNorm1d(1024), nn.ReLU(), nn.Linear(1024, 64),
        )  # fmt: skip

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        local = self.below(pixels)
        return local, self.above(local)


class PlainResidualNet(nn.Module):
    """The embedding net of rdevon/DIM."""

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels, units, 1, bias=False), nn.BatchNorm2d(units), nn.ReLU(), nn.Conv2d(units, units, 1)
        )
        self.shortcut = nn.Conv2d(channels, units, 1, bias=False)
        self.norm = nn.LayerNorm(units)

    def forward(self, places: Tensor) -> Tensor:
        return self.norm((self.main(places) + self.shortcut(places)).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class PlainConcat(nn.Module):
    """JSD of a critic that reads y concatenated with a local vector; negatives are locals of another image at every place."""

    def __init__(self, hidden: int = 512) -> None:
        super().__init__()
        self.critic = nn.Sequential(
            nn.Conv2d(128 + 64, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, 1, 1)
        )

    def forward(self, local: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        images, channels, height, width = local.shape
        everywhere = y[:, :, None, None].expand(-1, -1, height, width)
        _, place_of = other_images(images, height * width, generator, y.device)
        others = local.flatten(2).gather(0, place_of[:, None].expand(-1, channels, -1)).view_as(local)
        positive = self.critic(torch.cat([local, everywhere], dim=1))
        negative = self.critic(torch.cat([others, everywhere], dim=1))
        return F.softplus(-positive).mean() + F.softplus(negative).mean() - 2 * math.log(2)


class PlainDot(nn.Module):
    """InfoNCE of the dot-product critic: for each positive the softmax over itself and all places of all other images."""

    def __init__(self, units: int = 2048) -> None:
        super().__init__()
        self.local_net, self.global_net = PlainResidualNet(128, units), PlainResidualNet(64, units)

    def forward(self, local: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        f = self.local_net(local).flatten(2).transpose(1, 2)
        g = self.global_net(y[:, :, None, None]).flatten(1)
        images, places, units = f.shape
        scores = (f.reshape(-1, units) @ g.t()).view(images, places, images).permute(2, 0, 1)  # [global, image, place]
        own = torch.eye(images, dtype=torch.bool)
        positive = scores[own]
        negative = scores.masked_fill(own[:, :, None], -math.inf).reshape(images, 1, -1).expand(-1, places, -1)
        log_softmax = torch.cat([positive[:, :, None], negative], dim=2).log_softmax(dim=2)
        return -log_softmax[:, :, 0].mean() - math.log(1 + (images - 1) * places)


class Peer(nn.Module):
    """Encoder, critic and the prior's discriminator."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.encoder, self.critic = PlainEncoder(), critic
        self.discriminator = nn.Sequential(nn.Linear(64, 1000), nn.ReLU(), nn.Linear(1000, 200), nn.ReLU(), nn.Linear(200, 1))


def peer_step(peer: Peer) -> Stepper:
    """The discriminator's update, then that of the encoder and the critic."""
    adam = partial(torch.optim.Adam, lr=1e-4, betas=(0.5, 0.999))
    judge, others = adam(peer.discriminator.parameters()), adam([*peer.encoder.parameters(), *peer.critic.parameters()])

    def step(pixels: Tensor, generator: torch.Generator) -> float:
        local, y = peer.encoder(pixels)
        real = torch.rand(y.shape, generator=generator).requires_grad_()
        fake = y.detach().sigmoid().requires_grad_()
        on_real, on_fake = peer.discriminator(real), peer.discriminator(fake)
        slopes = torch.autograd.grad(on_real.sum() + on_fake.sum(), [real, fake], create_graph=True)
        penalty = sum(0.5 * slope.square().sum(dim=1).mean() for slope in slopes)
        judge.zero_grad()
        (F.softplus(-on_real).mean() + F.softplus(on_fake).mean() + penalty).backward()
        judge.step()
        loss = peer.critic(local, y, generator) + 0.1 * F.softplus(-peer.discriminator(y.sigmoid())).mean()
        others.zero_grad()
        loss.backward()
        others.step()
        return float(loss.detach())

    return step


# ------------------------------------------------------------------------------------------------------------- ours


def our_objective(options: DIMOptions) -> DeepInfoMax:
    """The objective on the encoder `dcgan-32`."""
    description = Description(kind="images", shape=(3, 32, 32), samples=50_000, value_range=(-1.0, 1.0))
    generator = torch.Generator()
    encoder = build_dcgan_32(description, ConvEncoderOptions(), generator)
    return build_dim(encoder, ObjectiveContext(description), options, generator)


def our_step(objective: DeepInfoMax, *, compiled: bool = False, bf16: bool = False) -> Stepper:
    """What the trainer does in a step."""
    phases = objective.phases()
    optimisers = [phase.optimiser(list(phase.parameters)) for phase in phases]
    shared, losses = objective.shared, [phase.loss for phase in phases]
    if compiled:
        shared, losses = torch.compile(shared), [torch.compile(loss) for loss in losses]
    cast = partial(torch.autocast, "cpu", dtype=torch.bfloat16, enabled=bf16)

    def step(pixels: Tensor, generator: torch.Generator) -> float:
        state = Step(batch=Images(pixels=pixels, index=torch.arange(len(pixels))), epoch=0, index=0, generator=generator)
        with cast():
            state = replace(state, shared=shared(state))
        for phase, optimiser, loss_of in zip(phases, optimisers, losses, strict=True):
            optimiser.zero_grad()
            with cast():
                loss = loss_of(state)["loss"]
            loss.backward(inputs=list(phase.parameters))
            optimiser.step()
        return float(loss.detach())

    return step


def give_weights(peer: Peer, objective: DeepInfoMax) -> None:
    """Ours, whose layers come in the same order, to the peer; a concatenating critic's first layer is one there and two here."""
    local_critic = objective.local_critic
    assert local_critic is not None
    assert objective.discriminator is not None
    copies: list[tuple[nn.Module, nn.Module]] = [(peer.encoder, objective.encoder), (peer.discriminator, objective.discriminator)]
    with torch.no_grad():
        if isinstance(peer.critic, PlainConcat):
            first, *rest = (layer for layer in peer.critic.critic if isinstance(layer, nn.Conv2d))
            first.weight.copy_(torch.cat([local_critic.on_local.weight, local_critic.on_global.weight], dim=1)[:, :, None, None])
            first.bias.copy_(local_critic.on_global.bias)
            copies.append((nn.ModuleList(rest), local_critic.rest))
        else:
            copies.append((peer.critic, local_critic))
        for to, source in copies:
            for ours, theirs in zip(source.parameters(), to.parameters(), strict=True):
                theirs.copy_(ours.view_as(theirs))


# ------------------------------------------------------------------------------------------------------- comparison


def new_peer(options: DIMOptions) -> Peer:
    """The peer of one of ours."""
    return Peer(PlainConcat(options.hidden) if options.critic == "concat" else PlainDot(options.units)).train()


def loss_differences(options: DIMOptions, *, compiled: bool, steps: int = 5) -> list[float]:
    """Relative differences of the losses, step by step, from the same weights, batches and random numbers.

    They begin at rounding and grow: Adam's first updates have the size of the rate, however small and uncertain the gradient.
    """
    objective, peer = our_objective(options), new_peer(options)
    give_weights(peer, objective)
    theirs, ours = peer_step(peer), our_step(objective.train(), compiled=compiled)
    differences = []
    for number in range(steps):
        pixels = random_pixels(number)
        one, other = (step(pixels, torch.Generator().manual_seed(number)) for step in (theirs, ours))
        differences.append(abs(one - other) / max(1.0, abs(one)))
    return differences


def random_pixels(seed: int) -> Tensor:
    """A batch [64, 3, 32, 32] in [-1, 1]."""
    return torch.rand(BATCH, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def interleaved(variants: dict[str, Stepper], rounds: int) -> dict[str, list[float]]:
    """Images per second in every step of every variant, all stepped in turn; three rounds beforehand are not counted."""
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for round_number in range(-3, rounds):
        pixels = random_pixels(round_number + 3)
        for name, step in variants.items():
            generator = torch.Generator().manual_seed(0)
            started = time.perf_counter()
            step(pixels, generator)
            if round_number >= 0:
                rates[name].append(BATCH / (time.perf_counter() - started))
    return rates


def compare(options: DIMOptions, rounds: int, compiled: bool) -> dict[str, Any]:
    """Same losses, then the rates of all variants."""
    differences = [loss_differences(options, compiled=way) for way in sorted({False, compiled})]
    first, largest = max(found[0] for found in differences), max(map(max, differences))
    if first > 1e-5 or largest > 1e-2:
        raise SystemExit(f"The losses of the peer and of ours differ by {first:.1e}, later by {largest:.1e}; nothing was timed.")
    ways = {"fp32": {}, "bf16": {"bf16": True}}
    if compiled:
        ways |= {"fp32, compiled": {"compiled": True}, "bf16, compiled": {"compiled": True, "bf16": True}}
    variants = {"plain torch": peer_step(new_peer(options))}
    variants |= {f"ours, {name}": our_step(our_objective(options).train(), **way) for name, way in ways.items()}
    rates = interleaved(variants, rounds)
    return {
        "relative_loss_difference": {"first step": first, "largest of 5 steps": largest},
        "images_per_s": {
            name: {
                "median": statistics.median(values),
                "quartiles": statistics.quantiles(values, n=4)[::2],
                "times_quicker_than_peer": statistics.median(
                    ours / theirs for ours, theirs in zip(values, rates["plain torch"], strict=True)
                ),
            }
            for name, values in rates.items()
        },
    }


# ----------------------------------------------------------------------------------------------------------- output


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--rounds", type=int, default=20, help="steps of each variant that are timed (default 20)")
    parser.add_argument("--compile", action="store_true", help="also time torch.compile of what our trainer compiles")
    parser.add_argument("--out", type=Path, help="write the result as JSON to this file")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)

    result: dict[str, Any] = {
        "threads": chosen.threads,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}",
        "batch": BATCH,
        "rounds": chosen.rounds,
        "losses": {},
    }
    for loss, options in LOSSES.items():
        found = result["losses"][loss] = compare(options, chosen.rounds, chosen.compile)
        apart = found["relative_loss_difference"]
        print(f"{loss}; losses agree to {apart['first step']:.0e}, over 5 steps to {apart['largest of 5 steps']:.0e}")
        for name, row in found["images_per_s"].items():
            print(f"    {name:22s} {row['median']:7.0f} images/s {row['times_quicker_than_peer']:6.2f} x")
    if chosen.out:
        chosen.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Baselines on the encoder of 8x8 images, built as the core builds them, and steps of random images."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness import Description, Images, ObjectiveContext, Step
from harness_baselines import spec
from harness_baselines.aae import build as build_aae
from harness_baselines.ali import build as build_ali
from harness_baselines.autoencoder import build as build_autoencoder
from harness_baselines.bigan import build as build_bigan
from harness_baselines.denoising import build as build_denoising
from harness_baselines.nat import build as build_nat
from harness_baselines.vae import build as build_vae
from harness_images.decoders import mirror_decoder
from harness_images.encoders import build_small
from harness_images.spec_encoders import SmallEncoderOptions

DESCRIPTION = Description(kind="images", shape=(1, 8, 8), samples=40, value_range=(-1.0, 1.0))
PARTS = {
    "autoencoder": (build_autoencoder, spec.AutoencoderOptions),
    "denoising-autoencoder": (build_denoising, spec.DenoisingOptions),
    "vae": (build_vae, spec.VAEOptions),
    "aae": (build_aae, spec.AAEOptions),
    "bigan": (build_bigan, spec.BiGANOptions),
    "ali": (build_ali, spec.BiGANOptions),
    "nat": (build_nat, spec.NATOptions),
}


@pytest.fixture
def baseline():
    """Builds an objective: baseline("vae", beta=4.0). The same seed gives the same weights."""

    def build(name, latent=6, seed=0, **options):
        make, options_class = PARTS[name]
        torch.manual_seed(seed)
        encoder = build_small(DESCRIPTION, SmallEncoderOptions(width=4, latent=latent), torch.Generator())
        context = ObjectiveContext(DESCRIPTION, decoder=lambda generator, scale: mirror_decoder(encoder, "y", generator, scale))
        return make(encoder, context, options_class(**options), torch.Generator().manual_seed(seed)).train()

    return build


@pytest.fixture
def step():
    """Makes a step of random images: step(n=12, seed=0, epoch=0, index=None)."""

    def make(n=12, seed=0, epoch=0, index=None):
        pixels = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        index = torch.arange(n) if index is None else index
        return Step(batch=Images(index=index, pixels=pixels), epoch=epoch, index=0, generator=torch.Generator().manual_seed(seed))

    return make


@pytest.fixture
def train():
    """Steps an objective as the trainer does: every phase in order, on what they share, gradients for its own parameters only."""

    def run(objective, steps):
        phases = [(phase, list(phase.parameters)) for phase in objective.phases()]
        optimisers = [phase.optimiser(parameters) for phase, parameters in phases]
        terms = []
        for plain in steps:
            step = replace(plain, shared=objective.shared(plain))
            for (phase, parameters), optimiser in zip(phases, optimisers, strict=True):
                optimiser.zero_grad()
                found = phase.loss(step)
                found["loss"].backward(inputs=parameters)
                optimiser.step()
                terms.append({f"{phase.name}/{name}": float(value.detach()) for name, value in found.items()})
        return terms

    return run

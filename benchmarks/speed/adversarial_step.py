"""A training step of the adversarial baselines beside the passes of their networks, in the same process.

    python benchmarks/speed/adversarial_step.py --threads 1 [--out FILE.json]

A step cannot cost less than the forward and backward passes that its losses need. Each of those is measured alone, on tensors of
its own that begin and end at that network; the step is the trainer's own, with its batches, optimisers and checks. In every round
the step and then every pass are timed once, in turn; printed are medians, and the median over rounds of step over sum of passes.

Widths are those of the budget `paper`, images are random: nothing in a step depends on what they show.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness import Images, ImageSource, Objective, gradient_penalty
from harness.api import installed
from harness.contracts.objective import ObjectiveContext
from harness.contracts.training import TrainOptions
from harness.line.devices import make_fabric
from harness.line.training import Trainer
from harness_images.decoders import mirror_decoder
from harness_images.encoders import build_dcgan_32
from harness_images.spec_encoders import ConvEncoderOptions

BATCH, SIDE, LATENT = 64, 32, 64
METHODS = ("aae", "bigan", "ali")
Passes = dict[str, Callable[[], object]]


# --------------------------------------------------------------------------------------------------------- the step


def new_trainer(method: str) -> Trainer:
    """A trainer in the middle of its work, its optimisers' state made."""
    torch.manual_seed(0)
    source = ImageSource(torch.randint(0, 256, (BATCH * 400, 3, SIDE, SIDE), dtype=torch.uint8), value_range=(-1.0, 1.0))
    encoder = build_dcgan_32(source.description, ConvEncoderOptions(), torch.Generator())
    context = ObjectiveContext(source.description, decoder=lambda generator, scale: mirror_decoder(encoder, "y", generator, scale))
    spec = installed()[1].objective(method).spec
    objective = installed()[1].objective(method).builder()(encoder, context, spec.options(), torch.Generator())
    trainer = Trainer(objective, source, TrainOptions(epochs=1000, batch_size=BATCH), seed=0, fabric=make_fabric("cpu", "32"))
    objective.train()
    trainer._step()  # what `run` repeats
    return trainer


# ------------------------------------------------------------------------------------------------------- the passes


def passes(method: str, objective: Any) -> Passes:
    """The forward and backward passes that one step of a method needs, by name."""
    return adversarial_autoencoder(objective) if method == "aae" else bidirectional(objective)


def adversarial_autoencoder(objective: Any) -> Passes:
    """Two batches are encoded, one of them without gradients; one is decoded; y is judged in both updates."""
    images, y = Images(index=torch.arange(BATCH), pixels=random(BATCH, 3, SIDE, SIDE)), random(BATCH, LATENT).requires_grad_()
    both = random(2 * BATCH, LATENT)
    return {
        "encoder, forward": lambda: without_gradients(objective.encoder, images),
        "encoder, forward and backward": lambda: backward(objective.encoder(images)["y"], objective.encoder),
        "decoder, forward and backward": lambda: backward(objective.decoder(y), objective.decoder, y),
        "discriminator with penalty": lambda: penalised(objective.discriminator, [both]),
        "discriminator, to its inputs": lambda: to_inputs(objective.discriminator, [y]),
    }


def bidirectional(objective: Any) -> Passes:
    """One batch is encoded and one generated; the pairs of both are judged in both updates."""
    images, z = Images(index=torch.arange(BATCH), pixels=random(BATCH, 3, SIDE, SIDE)), random(BATCH, LATENT)
    x, code = random(2 * BATCH, 3, SIDE, SIDE), random(2 * BATCH, LATENT)
    infer = objective.infer
    heads = infer if isinstance(infer, nn.Module) else nn.Module()
    networks = nn.ModuleList([objective.encoder, heads])
    return {
        "encoder, forward and backward": lambda: backward(infer(objective.encoder(images), torch.Generator()), networks),
        "generator, forward and backward": lambda: backward(objective.generator(z), objective.generator),
        "discriminator with penalty": lambda: penalised(objective.discriminator, [x, code]),
        "discriminator, to its inputs": lambda: to_inputs(objective.discriminator, [x, code]),
    }


def random(*shape: int) -> Tensor:
    """Values in [-1, 1]."""
    return torch.rand(*shape) * 2 - 1


def backward(output: Tensor, network: nn.Module, *inputs: Tensor) -> None:
    """Gradients of a network's parameters, and of its inputs where something before it wants them."""
    torch.autograd.grad(output.sum(), [*network.parameters(), *inputs])


def without_gradients(network: nn.Module, batch: Images) -> None:
    with torch.no_grad():
        network(batch)


def penalised(discriminator: nn.Module, inputs: list[Tensor]) -> None:
    """A discriminator's update: scores, the penalty on their gradients, and gradients of its parameters."""
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    scores = discriminator(*inputs)
    loss = scores.sigmoid().mean() + gradient_penalty(scores, inputs)
    torch.autograd.grad(loss, list(discriminator.parameters()))


def to_inputs(discriminator: nn.Module, inputs: list[Tensor]) -> None:
    """What the others learn from it: scores, and their gradients by what was judged."""
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    torch.autograd.grad(discriminator(*inputs).sum(), inputs)


# ------------------------------------------------------------------------------------------------------- comparison


def compare(method: str, rounds: int) -> dict[str, Any]:
    """Milliseconds of the step and of every pass, and their ratio."""
    trainer = new_trainer(method)
    objective: Objective = trainer.objective
    work: Passes = {"step": trainer._step, **passes(method, objective)}
    times: dict[str, list[float]] = {name: [] for name in work}
    for number in range(-3, rounds):  # three rounds beforehand are not counted
        for name, run in work.items():
            started = time.perf_counter()
            run()
            if number >= 0:
                times[name].append(1e3 * (time.perf_counter() - started))
    sums = [sum(values) for values in zip(*(times[name] for name in work if name != "step"), strict=True)]
    ratios = [step / total for step, total in zip(times["step"], sums, strict=True)]
    return {
        "step_ms": statistics.median(times["step"]),
        "sum_of_passes_ms": statistics.median(sums),
        "step_over_sum": statistics.median(ratios),
        "quartiles": statistics.quantiles(ratios, n=4)[::2],
        "passes_ms": {name: statistics.median(times[name]) for name in work if name != "step"},
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--rounds", type=int, default=20, help="rounds that are timed (default 20)")
    parser.add_argument("--out", type=Path, help="write the result as JSON to this file")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    result: dict[str, Any] = {
        "threads": chosen.threads,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}",
        "batch": BATCH,
        "rounds": chosen.rounds,
        "methods": {method: compare(method, chosen.rounds) for method in METHODS},
    }
    for method, found in result["methods"].items():
        print(f"{method}: step {found['step_ms']:.0f} ms, passes {found['sum_of_passes_ms']:.0f} ms, {found['step_over_sum']:.3f}")
        for name, milliseconds in found["passes_ms"].items():
            print(f"    {name:34s} {milliseconds:7.1f} ms")
    if chosen.out:
        chosen.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

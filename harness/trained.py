"""A trained run, loaded back: its encoder on new data, and its decoder or generator where it has one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sized
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.catalog.catalog import Catalog
from harness.contracts.batches import Batch
from harness.contracts.encoder import Encoder
from harness.contracts.sources import Description, Source
from harness.data.frames import FrameSource
from harness.data.graphs import GraphSource
from harness.data.images import ImageSource
from harness.data.vectors import VectorSource
from harness.errors import UsageError
from harness.ledger.runs import PlannedRun, read_run
from harness.line.building import build_encoder, build_objective
from harness.line.devices import make_fabric, resolve_device
from harness.line.folders import RunFolder
from harness.line.representation import BATCH_SIZE, encode
from harness.userdata import make_graph, make_tensor


class TrainedRun:
    """What a run learned. `encode` maps new data to features; `encoder` is the torch module itself, in eval mode."""

    def __init__(
        self, run: PlannedRun, encoder: Encoder, modules: Mapping[str, nn.Module], description: Description, device: str
    ) -> None:
        self.run, self.description = run, description
        self.encoder = encoder.eval()
        self.modules = {name: module.eval() for name, module in modules.items()}
        self._fabric = make_fabric(resolve_device(device), run.identity.training.precision)
        for module in (self.encoder, *self.modules.values()):
            self._fabric.to_device(module)

    @property
    def features(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes (of one sample) of the features it offers."""
        return dict(self.encoder.feature_shapes)

    def encode(self, data: Any, feature: str | None = None, *, batch_size: int = BATCH_SIZE) -> NDArray[np.float32]:
        """Features of new data, [N, ...] float32, in the order of the samples.

        :param data: images or frames [N, C, H, W] or vectors [N, D] (NumPy or torch) in the range of the data set that the
            encoder was trained on (uint8 images, 0 to 255, are scaled to it), a torch-geometric `Data` object, a harness batch or
            source.
        :param feature: default: the one the run was judged on first.

        Raises UsageError when the samples are of another kind or shape than those it was trained on, or there is no such feature.
        """
        name = feature or self.run.cells[0].feature
        batches, samples = self._batches(data, batch_size)
        return encode(self.encoder, batches, [name], self._fabric, samples)[name]

    def decode(self, y: Any) -> Tensor:
        """Inputs reconstructed from features [N, ...] by the run's decoder. Raises UsageError where it has none."""
        with torch.no_grad():
            features = make_tensor("y", y).float().to(self._fabric.device)
            return cast(Tensor, self._module("decoder")(features).cpu())

    def generate(self, n: int, *, seed: int = 0) -> Tensor:
        """`n` inputs drawn from the run's generator. Raises UsageError where it has none."""
        module = self._module("generator")
        with torch.no_grad():
            return cast(Tensor, module(n, torch.Generator(self._fabric.device).manual_seed(seed)).cpu())

    def _module(self, name: str) -> nn.Module:
        if name not in self.modules:
            offered = ", ".join(self.modules) or "none"
            raise UsageError(f"The run {self.run.name} has no {name}; modules it offers: {offered}.")
        return self.modules[name]

    def _batches(self, data: Any, batch_size: int) -> tuple[Iterator[Batch], int]:
        """Batches of new data, numbered from 0 in their order, and the number of samples."""
        if isinstance(data, Batch):
            self._check(data.kind, self.description.shape)
            return _numbered(iter([data])), len(data)
        source = data if isinstance(data, Source) else _source(data, self.description)
        self._check(source.description.kind, source.description.shape)
        samples = len(source) if isinstance(source, Sized) else source.description.samples
        return _numbered(source.in_order(batch_size)), samples

    def _check(self, kind: str, shape: tuple[int, ...]) -> None:
        known = self.description
        if (kind, shape) != (known.kind, known.shape):
            raise UsageError(
                f"The new data are {kind} with samples of shape {shape}; {self.run.name}, reads {known.kind} of {known.shape}."
            )


def load_run(folder: Path, catalog: Catalog, *, device: str) -> TrainedRun:
    """Load the encoder of a finished run. Raises UsageError when the folder holds none."""
    run = read_run(folder)
    files = RunFolder(folder)
    trained = files.trained(run.identity)
    if trained is None:
        if files.checkpoint.exists():
            raise UsageError(f"{folder} holds no finished training; the run's own command continues it.")
        raise UsageError(
            f"{folder} holds no finished training, or not the model that was trained; "
            "the run's own command with --rerun trains anew."
        )
    encoder = build_encoder(run, catalog, trained.description)
    modules: Mapping[str, nn.Module] = {}
    if run.trains:
        objective = build_objective(run, catalog, encoder, trained.description, trained.classes, trained.multilabel)
        modules = objective.exports()
    files.load(encoder, modules)
    return TrainedRun(run, encoder, modules, trained.description, device)


def _numbered(batches: Iterator[Batch]) -> Iterator[Batch]:
    start = 0
    for batch in batches:
        yield dataclasses.replace(batch, index=torch.arange(start, start + len(batch), device=batch.index.device))
        start += len(batch)


def _source(data: Any, known: Description) -> Source[Any]:
    if hasattr(data, "edge_index"):
        return GraphSource(make_graph(data.x, data.edge_index))
    tensor = make_tensor("data", data)
    if tensor.ndim == 4 and known.kind == "frames":
        return FrameSource(tensor, torch.zeros(len(tensor), dtype=torch.int64), value_range=known.value_range)
    if tensor.ndim == 4:
        return ImageSource(tensor, value_range=known.value_range)
    if tensor.ndim == 2:
        return VectorSource(tensor)
    raise UsageError(f"New data have shape {tuple(tensor.shape)}; give images or frames [N, C, H, W], vectors [N, D] or a graph.")

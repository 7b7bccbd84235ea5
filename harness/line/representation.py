"""Representation: one pass of the frozen encoder in eval mode, without gradients, in fixed order, kept as plain arrays.

A feature is written to `features/<name>.npy` when it is first asked for, with a note of its digest and of the checkpoint it came
from. The folder is a cache: deleting it loses nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from msgspec import Struct
from numpy.typing import NDArray

from harness.catalog.names import nearest
from harness.contracts.encoder import Encoder
from harness.contracts.sources import Source
from harness.errors import EvaluationError, PluginError, UnknownNameError
from harness.ledger.identity import file_sha256
from harness.ledger.whole_files import whole_path, write_whole
from harness.line.checkpoints import network_state
from harness.line.seeding import isolated_randomness

BATCH_SIZE = 512


class Represented(Struct, frozen=True):
    """A feature of all samples of a data set."""

    array: Any
    """[N, ...] float32, memory-mapped and read-only; row i is sample i of the data set."""
    sha256: str


def represent(
    encoder: Encoder, inputs: Source[Any], features: Sequence[str], folder: Path, checkpoint_sha256: str, fabric: Fabric
) -> dict[str, Represented]:
    """The asked features of every sample, from the cache where they are there, else computed in one pass and written.

    What is computed goes straight into memory-mapped files, so that a feature larger than memory can be represented.
    """
    found = {name: cached for name in features if (cached := _cached(folder, name, checkpoint_sha256)) is not None}
    missing = [name for name in features if name not in found]
    if missing:
        _check_names(encoder, missing)
        batches, samples = inputs.in_order(BATCH_SIZE), inputs.description.samples
        with ExitStack() as stack:
            temporary = {name: stack.enter_context(whole_path(folder / f"{name}.npy")) for name in missing}
            _fill(encoder, batches, fabric, {name: _mapped(temporary[name], encoder, name, samples) for name in missing})
        for name in missing:
            found[name] = _note(folder, name, checkpoint_sha256)
    return found


def encode(encoder: Encoder, batches: Any, names: Sequence[str], fabric: Fabric, samples: int) -> dict[str, NDArray[np.float32]]:
    """Features of `samples` samples from batches whose indices count from 0; each [samples, ...] float32.

    Raises PluginError when the encoder changes its own state or gives a feature of another shape than it declares.
    """
    _check_names(encoder, names)
    arrays = {name: np.zeros((samples, *encoder.feature_shapes[name]), dtype=np.float32) for name in names}
    _fill(encoder, batches, fabric, arrays)
    return arrays


def _check_names(encoder: Encoder, names: Sequence[str]) -> None:
    for name in names:
        if name not in encoder.feature_shapes:
            raise UnknownNameError("feature", name, nearest(name, encoder.feature_shapes), list(encoder.feature_shapes))


def _fill(encoder: Encoder, batches: Any, fabric: Fabric, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """One pass: each feature's values into its array [samples, ...], batch by batch."""
    samples = len(next(iter(arrays.values())))
    seen = np.zeros(samples, dtype=bool)
    before = _state_sha256(encoder)
    encoder.eval()
    with torch.no_grad(), isolated_randomness(0):
        for batch in batches:
            on_device = batch.to(fabric.device)
            with fabric.autocast():
                outputs = encoder(on_device)
            rows = on_device.index.cpu().numpy()
            for name, array in arrays.items():
                if name not in outputs:
                    raise PluginError(type(encoder).__name__, f"it declares feature {name!r} and gave {', '.join(outputs)}.")
                values = outputs[name].float().cpu().numpy()
                if values.shape != (len(rows), *array.shape[1:]):
                    raise PluginError(
                        type(encoder).__name__,
                        f"feature {name!r} has shape {values.shape} where {(len(rows), *array.shape[1:])} was declared.",
                    )
                if not np.isfinite(values).all():
                    raise EvaluationError(f"Feature {name!r} has values that are not finite; check that training did not diverge.")
                array[rows] = values
            seen[rows] = True
    if _state_sha256(encoder) != before:
        raise PluginError(type(encoder).__name__, "it changed its own parameters or buffers in eval mode.")
    if not seen.all():
        raise EvaluationError(f"The data set gave {int(seen.sum())} of its {samples} samples.")


def _mapped(path: Path, encoder: Encoder, name: str, samples: int) -> NDArray[np.float32]:
    """A new array file [samples, ...] to be filled."""
    array: NDArray[np.float32] = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=(samples, *encoder.feature_shapes[name])
    )
    return array


def _cached(folder: Path, name: str, checkpoint_sha256: str) -> Represented | None:
    path = folder / f"{name}.npy"
    try:
        note = json.loads((folder / f"{name}.json").read_bytes())
        if note["checkpoint_sha256"] != checkpoint_sha256 or file_sha256(path) != note["sha256"]:
            return None
        return Represented(np.load(path, mmap_mode="r", allow_pickle=False), note["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _note(folder: Path, name: str, checkpoint_sha256: str) -> Represented:
    """Write down the digest of a feature's file, and open it."""
    path = folder / f"{name}.npy"
    sha256 = file_sha256(path)
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    note = {"checkpoint_sha256": checkpoint_sha256, "sha256": sha256, "shape": list(array.shape)}
    write_whole(folder / f"{name}.json", json.dumps(note, indent=1).encode() + b"\n")
    return Represented(array, sha256)


def _state_sha256(encoder: Encoder) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network_state(encoder).items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

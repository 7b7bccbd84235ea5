"""Checkpoints: a training's whole state in one safetensors file, written whole, without pickle.

Tensors are stored under "network/...", "best/...", "optimiser/<phase>/<parameter>/<name>" and "random/..."; numbers and text go as
one JSON document into the file's metadata.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harness.errors import PluginError
from harness.ledger.whole_files import write_whole

_DOCUMENT = "harness"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> str:
    """Write tensors and a JSON document whole; returns the file's sha256. Raises StorageError when it cannot be written."""
    # A tensor that shares memory with another (tied weights, a view) is copied: safetensors refuses aliases.
    flat = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    # To bytes first: safetensors' own writer leaves a temporary file of its own behind when the process is killed.
    content = save(flat, metadata={_DOCUMENT: json.dumps(document)})
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and JSON document of a file written by `save_tensors`."""
    with safe_open(str(path), framework="pt") as file:
        document: dict[str, Any] = json.loads((file.metadata() or {}).get(_DOCUMENT, "{}"))
        return {name: file.get_tensor(name) for name in file.keys()}, document  # noqa: SIM118 (not a dictionary)


def read_document(path: Path) -> dict[str, Any]:
    """The JSON document alone, without the tensors."""
    with safe_open(str(path), framework="pt") as file:
        document: dict[str, Any] = json.loads((file.metadata() or {}).get(_DOCUMENT, "{}"))
        return document


# ------------------------------------------------------------------------------------ optimisers and schedules


def optimiser_state(phase: str, optimiser: Optimizer, schedule: LRScheduler | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state of one phase's optimiser and schedule as tensors and a JSON-like document."""
    state = optimiser.state_dict()
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for number, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimiser/{phase}/{number}/{name}"] = value
            else:
                plain.setdefault(str(number), {})[name] = value
    document = {"groups": state["param_groups"], "plain": plain, "schedule": schedule.state_dict() if schedule else None}
    try:
        json.dumps(document)
    except TypeError as error:
        raise PluginError(phase, f"the optimiser or schedule of this phase has state that cannot be saved: {error}.") from None
    return tensors, document


def restore_optimiser(
    phase: str, optimiser: Optimizer, schedule: LRScheduler | None, tensors: Mapping[str, Tensor], document: Mapping[str, Any]
) -> None:
    """Put back what `optimiser_state` gave."""
    prefix = f"optimiser/{phase}/"
    state: dict[int, dict[str, Any]] = {int(number): dict(values) for number, values in document["plain"].items()}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            number, key = name.removeprefix(prefix).split("/", 1)
            state.setdefault(int(number), {})[key] = tensor
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for parameter, values in ((parameters[index], values) for index, values in state.items()):
        for key, held in values.items():
            # In the parameter's own memory layout, such as channels last: fused optimisers walk both in step.
            if isinstance(held, Tensor) and held.shape == parameter.shape:
                values[key] = torch.empty_like(parameter, dtype=held.dtype, device=held.device).copy_(held)
    groups = _typed_like(optimiser.state_dict()["param_groups"], document["groups"])
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    if schedule is not None:
        schedule.load_state_dict(_typed_like(schedule.state_dict(), document["schedule"]))


def _typed_like(fresh: Any, saved: Any) -> Any:
    """What JSON made of a state, with the tuples and the integer keys that the same state of a fresh object has."""
    if isinstance(fresh, dict) and isinstance(saved, dict):
        keys = {str(key): key for key in fresh}
        typed = {keys.get(key, key): _typed_like(fresh.get(keys.get(key, key)), value) for key, value in saved.items()}
        return Counter(typed) if isinstance(fresh, Counter) else typed
    if isinstance(fresh, list | tuple) and isinstance(saved, list):
        if len(fresh) == len(saved):
            saved = [_typed_like(one, other) for one, other in zip(fresh, saved, strict=True)]
        return tuple(saved) if isinstance(fresh, tuple) else saved
    return saved


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under "prefix/name"."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that `prefixed` stored under `prefix`."""
    return {name.removeprefix(f"{prefix}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}/")}


def network_state(network: torch.nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of a network, also those that a module leaves out of its own state."""
    state: dict[str, Tensor] = dict(network.named_parameters(remove_duplicate=False))
    state.update(network.named_buffers(remove_duplicate=False))
    return state


def restore_network(network: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a network's parameters and buffers of the same names.

    A buffer that the network has not made yet, or made in another form, becomes the tensor itself.
    """
    own = network_state(network)
    device = next((tensor.device for tensor in own.values()), torch.device("cpu"))
    with torch.no_grad():
        for name in own.keys() | tensors.keys():
            tensor = tensors[name]
            path, _, leaf = name.rpartition(".")
            module = network.get_submodule(path)
            if leaf in module._buffers and (name not in own or own[name].shape != tensor.shape or own[name].dtype != tensor.dtype):
                module._buffers[leaf] = tensor.to(device)
            else:
                own[name].copy_(tensor)

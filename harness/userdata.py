"""Data of the user's own: arrays or a graph passed in from Python, judged like any data set.

The record carries the digest of the content, so that two different arrays are never taken for the same data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.contracts.batches import Graph
from harness.contracts.dataset import Annotations, DataContext, DataSet, Splits
from harness.contracts.options import Options
from harness.contracts.sources import Source
from harness.contracts.sparse import SparseMatrix
from harness.contracts.specs import DataSetSpec, GeneratedRecipe, Need, ProtocolSpec, Track
from harness.data.graphs import GraphSource, graph_from_edges
from harness.data.images import ImageSource
from harness.data.vectors import VectorSource
from harness.errors import UsageError
from harness.line.seeding import derive_seed

TEST_FRACTION = 0.2


@dataclass(frozen=True)
class UserData:
    """A data set made from the user's own values; given to `harness.run(data=...)`."""

    spec: DataSetSpec
    protocol: ProtocolSpec
    build: Callable[[DataContext, Options], DataSet]


def arrays(
    values: Any,
    labels: Any,
    *,
    train: Any,
    test: Any,
    validation: Any,
    name: str | None,
    value_range: tuple[float, float] | None,
) -> UserData:
    """See `harness.from_arrays`."""
    tensor = _tensor("values", values)
    if tensor.ndim == 4:
        source: Source[Any] = ImageSource(tensor, value_range=value_range)
        track: Track = "images"
    elif tensor.ndim == 2:
        source, track = VectorSource(tensor, value_range=value_range), "synthetic"
    else:
        raise UsageError(f"`values` has shape {tuple(tensor.shape)}; give images [N, C, H, W] or vectors [N, D].")
    annotations = _annotations(tensor.shape[0], labels, train, test, validation, source.content_sha256())
    # Training sees the training part alone, as in the images protocols.
    pretrain: Source[Any] = source.subset(torch.as_tensor(annotations.splits["user"].train))  # type: ignore[attr-defined]
    return _userdata(source, pretrain, annotations, track=track, sampling=("items",), name=name)


def graphs(
    graph: Any, *, x: Any, edge_index: Any, labels: Any, train: Any, test: Any, validation: Any, name: str | None
) -> UserData:
    """See `harness.from_graph`."""
    if graph is not None:
        x, edge_index = _attribute(graph, "x", x), _attribute(graph, "edge_index", edge_index)
        labels = _attribute(graph, "y", labels)
        train, test = _attribute(graph, "train_mask", train), _attribute(graph, "test_mask", test)
        validation = _attribute(graph, "val_mask", validation)
    if x is None or edge_index is None:
        raise UsageError("A graph needs `x` [N, F] and `edge_index` [2, E]; a torch-geometric Data object has both.")
    source = GraphSource(make_graph(x, edge_index))
    annotations = _annotations(source.description.samples, labels, train, test, validation, source.content_sha256())
    return _userdata(source, source, annotations, track="graphs", sampling=("graph", "subgraphs"), name=name)


def make_graph(x: Any, edge_index: Any) -> Graph:
    """A `Graph` from node features [N, F] and node pairs [2, E]. Raises UsageError for other shapes or unknown nodes."""
    features = x if isinstance(x, SparseMatrix) else _tensor("x", x).float()
    pairs = _tensor("edge_index", edge_index).long()
    if len(features.shape) != 2:
        raise UsageError(f"`x` has shape {tuple(features.shape)}; node features are [N, F].")
    if pairs.ndim != 2 or pairs.shape[0] != 2:
        raise UsageError(f"`edge_index` has shape {tuple(pairs.shape)}; node pairs are [2, E].")
    nodes = features.shape[0]
    if pairs.numel() and (int(pairs.min()) < 0 or int(pairs.max()) >= nodes):
        raise UsageError(f"`edge_index` names node {int(pairs.max())}, and there are {nodes} nodes (counted from 0).")
    return graph_from_edges(features, pairs)


def _userdata(
    source: Source[Any],
    pretrain: Source[Any],
    annotations: Annotations,
    *,
    track: Track,
    sampling: tuple[str, ...],
    name: str | None,
) -> UserData:
    digest = _digest(source, annotations)
    dataset = DataSet(inputs=source, annotations=annotations, pretrain=pretrain)
    labels = annotations.labels
    needs: tuple[Need, ...] = ("labels",) if labels is not None else ()
    spec = DataSetSpec(
        name=name or f"user-{digest[:8]}",
        summary="data passed in from Python",
        track=track,
        kind=source.description.kind,
        build="harness.userdata:UserData",
        recipe=GeneratedRecipe(generator="user", settings={"content_sha256": digest}),
        protocols=("user",),
        sampling=sampling,
        shape=source.description.shape,
        samples=source.description.samples,
        annotations=needs,
        classes=None if labels is None else int(labels.shape[1] if labels.ndim == 2 else labels.max() + 1),
    )
    protocol = ProtocolSpec(
        name="user",
        summary="the parts that were passed in from Python",
        track=track,
        splits="as passed in; without them a stratified fifth, drawn from the content's digest, is the test part",
        preprocessing="none",
        evaluators=("logistic-lbfgs", "svm", "knn"),
    )
    return UserData(spec, protocol, lambda context, options: dataset)


def _annotations(samples: int, labels: Any, train: Any, test: Any, validation: Any, content: str) -> Annotations:
    array = None if labels is None else _labels(labels, samples)
    if (train is None) != (test is None):
        raise UsageError(
            "Give both `train` and `test`, or neither (then a fifth of the samples, drawn from the content, is the test part)."
        )
    if train is None:
        splits = _drawn_splits(samples, array, content)
    else:
        parts = {"train": train, "test": test} | ({} if validation is None else {"validation": validation})
        numbers = {part: _numbers(part, value, samples) for part, value in parts.items()}
        together = np.concatenate(list(numbers.values()))
        if len(np.unique(together)) < len(together):
            raise UsageError("`train`, `validation` and `test` share samples; each sample belongs to one part at most.")
        splits = Splits(train=numbers["train"], test=numbers["test"], validation=numbers.get("validation"))
    return Annotations(splits={"user": splits}, labels=array)


def _drawn_splits(samples: int, labels: NDArray[Any] | None, content: str) -> Splits:
    """A test part drawn from the content's digest, stratified by class."""
    rng = np.random.default_rng(derive_seed(content, "test part"))
    strata = labels if labels is not None and labels.ndim == 1 else np.zeros(samples, dtype=np.int64)
    order = rng.permutation(samples)
    order = order[np.argsort(strata[order], kind="stable")]
    sizes = np.unique(strata, return_counts=True)[1]
    rank = np.concatenate([np.arange(size) for size in sizes])
    is_test = rank < np.repeat(np.maximum(1, np.floor(sizes * TEST_FRACTION)), sizes)
    return Splits(train=np.sort(order[~is_test]), test=np.sort(order[is_test]))


def _labels(labels: Any, samples: int) -> NDArray[Any]:
    array = np.asarray(labels.cpu() if isinstance(labels, torch.Tensor) else labels)
    if array.ndim not in (1, 2) or len(array) != samples:
        raise UsageError(f"`labels` has shape {array.shape}; for {samples} samples it is [{samples}] or [{samples}, K].")
    if array.ndim == 2:
        return array.astype(np.float32)
    # NaN stands for an unknown label, as -1 does.
    return np.where(np.isnan(array), -1, array).astype(np.int64) if array.dtype.kind == "f" else array.astype(np.int64)


def _numbers(part: str, value: Any, samples: int) -> NDArray[np.int64]:
    array = np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value)
    if array.dtype == bool:
        if array.shape != (samples,):
            raise UsageError(f"The mask `{part}` has shape {array.shape}; for {samples} samples it is [{samples}].")
        return np.flatnonzero(array).astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu" or (len(array) and (array.min() < 0 or array.max() >= samples)):
        raise UsageError(f"`{part}` must hold sample numbers from 0 to {samples - 1}, or be a boolean mask.")
    return array.astype(np.int64)


def _tensor(name: str, value: Any) -> torch.Tensor:
    try:
        return value.detach() if isinstance(value, torch.Tensor) else torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError) as error:
        raise UsageError(f"`{name}` cannot be read as an array: {error}.") from None


def _attribute(graph: Any, name: str, given: Any) -> Any:
    return given if given is not None else getattr(graph, name, None)


def _digest(source: Source[Any], annotations: Annotations) -> str:
    digest = hashlib.sha256(source.content_sha256().encode())
    pieces = list(annotations.splits["user"].parts().values())
    for array in pieces if annotations.labels is None else [*pieces, annotations.labels]:
        digest.update(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

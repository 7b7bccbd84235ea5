"""Data of the user's own: arrays or a graph passed in from Python, judged like any data set.

The record carries the digest of the content, so that two different arrays are never taken for the same data.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.contracts.batches import Graph
from harness.contracts.dataset import Annotations, DataSet, Splits, UserData
from harness.contracts.sources import Source
from harness.contracts.sparse import SparseMatrix
from harness.contracts.specs import DataSetSpec, GeneratedRecipe, Need, ProtocolSpec, Track
from harness.contracts.strata import draw_by_class
from harness.data.graphs import GraphSource, graph_from_edges
from harness.data.images import ImageSource
from harness.data.vectors import VectorSource
from harness.errors import UsageError
from harness.line.seeding import derive_seed

TEST_FRACTION = 0.2
_WHOLE = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}


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
    tensor = _finite("values", make_tensor("values", values))
    if tensor.ndim == 4:
        source: Source[Any] = ImageSource(tensor, value_range=value_range)
        track: Track = "images"
    elif tensor.ndim == 2:
        source, track = VectorSource(tensor, value_range=value_range), "synthetic"
    else:
        raise UsageError(f"`values` has shape {tuple(tensor.shape)}; give images [N, C, H, W] or vectors [N, D].")
    content = source.content_sha256()
    annotations = _annotations(tensor.shape[0], labels, train, test, validation, content)
    # Training sees the training part alone, as in the images protocols.
    pretrain: Source[Any] = source.subset(torch.as_tensor(annotations.splits["user"].train))
    return _userdata(source, pretrain, annotations, content, track=track, sampling=("items",), name=name)


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
    content = source.content_sha256()
    annotations = _annotations(source.description.samples, labels, train, test, validation, content)
    return _userdata(source, source, annotations, content, track="graphs", sampling=("graph", "subgraphs"), name=name)


def make_graph(x: Any, edge_index: Any) -> Graph:
    """A `Graph` from node features [N, F] and node pairs [2, E]. Raises UsageError for other shapes or unknown nodes."""
    features = x if isinstance(x, SparseMatrix) else _finite("x", make_tensor("x", x)).float()
    pairs = make_tensor("edge_index", edge_index)
    if len(features.shape) != 2:
        raise UsageError(f"`x` has shape {tuple(features.shape)}; node features are [N, F].")
    if pairs.ndim != 2 or pairs.shape[0] != 2 or pairs.dtype not in _WHOLE:
        raise UsageError(f"`edge_index` is {pairs.dtype} of shape {tuple(pairs.shape)}; node pairs are whole numbers [2, E].")
    nodes = features.shape[0]
    if pairs.numel() and (int(pairs.min()) < 0 or int(pairs.max()) >= nodes):
        raise UsageError(
            f"`edge_index` names nodes {int(pairs.min())} to {int(pairs.max())}; there are {nodes} nodes, counted from 0."
        )
    return graph_from_edges(features, pairs.long())


def make_tensor(name: str, value: Any) -> torch.Tensor:
    """A dense tensor of what a user passed as `name`. Raises UsageError when it is not an array of numbers."""
    if isinstance(value, torch.Tensor):
        return value.detach() if value.layout is torch.strided else value.detach().to_dense()
    try:
        # torch takes no negative strides, and warns of arrays that cannot be written to: those are copied.
        return torch.as_tensor(np.require(value, requirements=["C", "W"]))
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"`{name}` cannot be read as an array of numbers: {str(error).rstrip('.')}.") from None


def _userdata(
    source: Source[Any],
    pretrain: Source[Any],
    annotations: Annotations,
    content: str,
    *,
    track: Track,
    sampling: tuple[str, ...],
    name: str | None,
) -> UserData:
    digest = _digest(source, annotations, content)
    dataset = DataSet(inputs=source, annotations=annotations, pretrain=pretrain)
    labels = annotations.labels
    needs: tuple[Need, ...] = ("labels",) if labels is not None else ()
    spec = DataSetSpec(
        name=name or f"user-{digest[:8]}",
        summary="data passed in from Python",
        track=track,
        kind=source.description.kind,
        build="harness.userdata:arrays",
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
        evaluators=("logistic", "knn") if labels is not None and labels.ndim == 2 else ("logistic-lbfgs", "svm", "knn"),
    )
    return UserData(spec, lambda context, options: dataset, protocol)


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
    train, test = draw_by_class(labels, samples, TEST_FRACTION, derive_seed(content, "test part"))
    if not len(test):
        raise UsageError("There are too few samples of each class to draw a test part; give `train` and `test`.")
    return Splits(train=train, test=test)


def _labels(labels: Any, samples: int) -> NDArray[Any]:
    array = make_tensor("labels", labels).cpu().numpy()
    if array.ndim not in (1, 2) or len(array) != samples:
        raise UsageError(f"`labels` has shape {array.shape}; for {samples} samples it is [{samples}] or [{samples}, K].")
    if array.dtype.kind == "f":  # NaN stands for an unknown label, as -1 does
        array = np.where(np.isnan(array), -1, array)
    if array.ndim == 2:
        if not np.isin(array, (-1, 0, 1)).all():
            raise UsageError(f"`labels` of shape {array.shape} must hold 0 and 1 only; class numbers are given as [{samples}].")
        return array.astype(np.float32)
    whole = array.astype(np.int64)
    if (whole != array).any() or whole.min() < -1 or whole.max() < 0:
        raise UsageError("`labels` must hold the class numbers 0, 1, 2, ..., or -1 where a label is unknown.")
    return whole


def _numbers(part: str, value: Any, samples: int) -> NDArray[np.int64]:
    array = np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value)
    if array.dtype == bool:
        if array.shape != (samples,):
            raise UsageError(f"The mask `{part}` has shape {array.shape}; for {samples} samples it is [{samples}].")
        array = np.flatnonzero(array)
    if array.ndim != 1 or array.dtype.kind not in "iu" or (len(array) and (array.min() < 0 or array.max() >= samples)):
        raise UsageError(f"`{part}` must hold sample numbers from 0 to {samples - 1}, or be a boolean mask.")
    if not len(array):
        raise UsageError(f"`{part}` holds no sample.")
    return array.astype(np.int64)


def _finite(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.shape or tensor.shape[0] == 0:
        raise UsageError(f"`{name}` has shape {tuple(tensor.shape)}: it holds no sample.")
    if not bool(torch.isfinite(tensor).all()):
        raise UsageError(f"`{name}` holds values that are NaN or infinite; replace them first.")
    return tensor


def _attribute(graph: Any, name: str, given: Any) -> Any:
    return given if given is not None else getattr(graph, name, None)


def _digest(source: Source[Any], annotations: Annotations, content: str) -> str:
    digest = hashlib.sha256(f"{content}{source.description}".encode())
    pieces: dict[str, NDArray[Any]] = dict(annotations.splits["user"].parts())
    if annotations.labels is not None:
        pieces["labels"] = annotations.labels
    for name, array in pieces.items():
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

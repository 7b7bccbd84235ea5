"""Planetoid's citation graphs (Yang, Cohen and Salakhutdinov 2016) from their eight raw files.

`ind.<name>.` followed by
    x, y          features and one-hot labels of the labelled nodes, 20 of each class: the first rows of allx, ally
    allx, ally    the same of all nodes that are not for testing
    tx, ty        the same of the test nodes, row j being node number test.index[j]
    graph         {node: [neighbours]}
    test.index    one number a line; the rest are Python 2 pickles

The pickles are read without trusting them. A pickle names the functions that build its objects; here each of the few names that
these files use stands for a small inert class of this module, and any other name is an error. So nothing that a file asks for is
imported, and not even NumPy or SciPy objects are filled from it: arrays are made from their bytes after every size was checked.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness import Annotations, CorruptDataError, DataContext, DataSet, GraphSource, MissingDataError, SparseMatrix, Splits
from harness_graphs.spec_data import GraphDataOptions

PROTOCOL = "planetoid-public"
VALIDATION_NODES = 500
PICKLE_PROTOCOL = 2

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Planetoid:
    """A data set as its files have it, in node order."""

    x: SparseMatrix
    """[N, F] float32 features, not normalised. A node that is in no file has none."""
    labels: Ints
    """[N] class numbers; -1 for a node that is in no file."""
    edges: Ints
    """[2, E] edges as listed, with duplicates and self-loops."""
    splits: Splits
    """The public split."""


def build_planetoid(context: DataContext, options: GraphDataOptions) -> DataSet:
    """Cora, Citeseer or Pubmed, whichever the files of `context` are. Transductive: training sees the whole graph.

    Edges are made symmetric; duplicates and self-loops are dropped. Raises CorruptDataError.
    """
    name = next(iter(context.files)).rpartition("/")[2].split(".")[1]
    data = read_planetoid(context.files, name)
    x = rows_to_sum_one(data.x) if options.row_normalise else data.x
    source = GraphSource.from_edges(x, torch.from_numpy(data.edges))
    return DataSet(inputs=source, pretrain=source, annotations=Annotations(splits={PROTOCOL: data.splits}, labels=data.labels))


def read_planetoid(files: Mapping[str, Path], name: str) -> Planetoid:
    """Read the data set `name` ("cora") from its eight files.

    :param files: each file's place by its name, which ends in e.g. "ind.cora.allx".
    :raises CorruptDataError: naming the file, when one is no such pickle or asks for an object it has no need of, or when the
        files contradict each other.
    :raises MissingDataError: when one is not named.
    """
    read = _Reader({path.rpartition(f"ind.{name}.")[2]: place for path, place in files.items() if f"ind.{name}." in path})
    rows, columns, values, (known, features) = read.matrix("allx")
    test_rows, test_columns, test_values, (tested, test_features) = read.matrix("tx")
    labels, test_labels, labelled = read.one_hot("ally"), read.one_hot("ty"), len(read.one_hot("y"))
    test = read.numbers("test.index")
    neighbours = read.graph("graph")

    read.require("tx", test_features == features, f"{test_features} features where allx has {features}")
    read.require("ally", len(labels) == known, f"{len(labels)} rows where allx has {known}")
    read.require("ty", len(test_labels) == tested, f"{len(test_labels)} rows where tx has {tested}")
    read.require("test.index", len(test) == tested, f"{len(test)} numbers where tx has {tested} rows")
    read.require("test.index", len(np.unique(test)) == tested and test.min(initial=known) >= known, "repeated or known nodes")
    read.require("x", read.matrix("x")[3] == (labelled, features), "a shape that does not fit y and allx")
    read.require("allx", labelled + VALIDATION_NODES <= known, f"{known} rows, too few for {VALIDATION_NODES} to validate on")

    # Test rows stand in the order of test.index. In Citeseer some numbers of its range are missing: nodes without any features
    # or label, in no part of the split, which have edges all the same.
    nodes = int(test.max(initial=known - 1)) + 1
    read.require(
        "graph", neighbours.size == 0 or 0 <= neighbours.min() <= neighbours.max() < nodes, f"a node outside 0 to {nodes - 1}"
    )
    every_label = np.full(nodes, -1, dtype=np.int64)
    every_label[:known], every_label[test] = labels, test_labels
    return Planetoid(
        x=SparseMatrix.from_coo(
            torch.from_numpy(np.concatenate([rows, test[test_rows]])),
            torch.from_numpy(np.concatenate([columns, test_columns])),
            torch.from_numpy(np.concatenate([values, test_values])),
            (nodes, features),
        ),
        labels=every_label,
        edges=neighbours,
        splits=Splits(train=np.arange(labelled), validation=np.arange(labelled, labelled + VALIDATION_NODES), test=np.sort(test)),
    )


def rows_to_sum_one(x: SparseMatrix) -> SparseMatrix:
    """[N, F] with every row divided by its sum; rows of zeros stay zero."""
    return x.normalised("mean")


# -------------------------------------------------------------------------------------- what a pickle may contain


class _RefusedError(Exception):
    """A pickle holds something that these files have no need of; the text says what."""


class _Inert:
    """Base of the stand-ins. Each takes its state itself, so a pickle can set no attribute of it or of its class."""

    __slots__ = ()


class _Type(_Inert):
    """Stands for the class numpy.ndarray, which a pickle only names."""

    __slots__ = ()

    def __new__(cls) -> _Type:
        raise _RefusedError("an array that is made directly")

    def __setstate__(self, state: Any) -> None:
        raise _RefusedError("a type with a state")


class _DType(_Inert):
    """Stands for numpy.dtype: the code of a plain number type and its byte order."""

    __slots__ = ("code", "order")
    KNOWN = frozenset({"f4", "f8", "i4", "i8", "u1", "b1"})

    def __init__(self, code: str, align: Any = None, copy: Any = None) -> None:
        if code not in self.KNOWN:
            raise _RefusedError(f"numbers of type {code!r}")
        self.code, self.order = code, "<"

    def __setstate__(self, state: Any) -> None:
        _, order, fields, names, subtype, *_ = state
        if order not in ("<", "|") or (fields, names, subtype) != (None, None, None):
            raise _RefusedError("numbers that are not plain little-endian ones")


class _Array(_Inert):
    """Stands for numpy.core.multiarray._reconstruct and the array that it makes."""

    __slots__ = ("values",)
    values: NDArray[Any]

    def __init__(self, subtype: Any, shape: Any, code: Any) -> None:
        if subtype is not _Type:
            raise _RefusedError("an array of another class")

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _DType) or not isinstance(data, str | bytes):
            raise _RefusedError("an array that is not of plain numbers")
        raw = data.encode("latin1") if isinstance(data, str) else data
        flat = np.frombuffer(raw, dtype=np.dtype(dtype.order + dtype.code))
        self.values = flat.reshape([int(size) for size in shape], order="F" if fortran else "C")


class _CSR(_Inert):
    """Stands for scipy.sparse.csr_matrix: its shape and its three arrays."""

    __slots__ = ("data", "indices", "indptr", "shape")

    def __setstate__(self, state: Any) -> None:
        self.data, self.indices, self.indptr = (state[part].values for part in ("data", "indices", "indptr"))
        rows, columns = state["_shape"]
        self.shape = int(rows), int(columns)

    def coo(self) -> tuple[Ints, Ints, NDArray[np.float32], tuple[int, int]]:
        """Row, column and value of every entry in row order, and the shape. Raises ValueError when the arrays are of no matrix."""
        (rows, columns), counts = self.shape, np.diff(self.indptr.astype(np.int64))
        entries = len(self.data)
        sound = (
            self.data.ndim == self.indices.ndim == self.indptr.ndim == 1
            and rows >= 0
            and self.indptr.shape == (rows + 1,)
            and self.indptr[0] == 0
            and self.indptr[-1] == entries == len(self.indices)
            and bool((counts >= 0).all())
            and bool(((self.indices >= 0) & (self.indices < columns)).all())
        )
        if not sound:
            raise ValueError("a sparse matrix whose parts contradict each other")
        row, column = np.repeat(np.arange(rows), counts), self.indices.astype(np.int64)
        place, entry = np.unique(row * columns + column, return_inverse=True)
        value = np.bincount(entry, weights=self.data, minlength=len(place)).astype(np.float32)  # SciPy adds up what shares a place
        return place // columns, place % columns, value, self.shape


class _Encoded(_Inert):
    """Stands for _codecs.encode, by which Python 3 writes bytes so that Python 2 can read them."""

    __slots__ = ()

    def __new__(cls, text: str, encoding: str) -> bytes:  # type: ignore[misc]
        if encoding != "latin1":
            raise _RefusedError(f"bytes in the encoding {encoding!r}")
        return text.encode("latin1")

    def __setstate__(self, state: Any) -> None:
        raise _RefusedError("bytes with a state")


_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("scipy.sparse.csr", "csr_matrix"): _CSR,
    ("numpy", "ndarray"): _Type,
    ("numpy", "dtype"): _DType,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("_codecs", "encode"): _Encoded,
    ("collections", "defaultdict"): defaultdict,
    ("__builtin__", "list"): list,
}


class _Unpickler(pickle.Unpickler):
    """Knows the names above and imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise _RefusedError(f"the object {module}.{name}, which such a file has no need of")
        return _ALLOWED[module, name]


def _check_opcodes(content: bytes) -> None:
    """Refuse opcodes that Python 2 did not have, and numbered notes beyond what fits the file: room is made for all up to them.

    Raises _RefusedError, or ValueError when the bytes are no pickle.
    """
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.proto > PICKLE_PROTOCOL:
            raise _RefusedError(f"the opcode {opcode.name} of a later pickle protocol")
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and (argument or 0) > len(content):
            raise _RefusedError(f"a note numbered {argument}")


# ----------------------------------------------------------------------------------------------------- the files


class _Reader:
    """Reads the parts of one data set; all its errors name the file."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.files = files

    def matrix(self, part: str) -> tuple[Ints, Ints, NDArray[np.float32], tuple[int, int]]:
        """Row, column and value of every entry of a sparse matrix, and its shape."""
        matrix = self._load(part)
        self.require(part, isinstance(matrix, _CSR), "no sparse matrix")
        try:
            entries: tuple[Ints, Ints, NDArray[np.float32], tuple[int, int]] = matrix.coo()
        except (AttributeError, ValueError, TypeError, OverflowError) as error:
            raise self._corrupt(part, str(error)) from None
        return entries

    def one_hot(self, part: str) -> Ints:
        """[n, C] one-hot rows -> [n] class numbers; -1 for a row of zeros."""
        array = self._load(part)
        sound = isinstance(array, _Array) and hasattr(array, "values") and array.values.ndim == 2
        self.require(part, sound, "no matrix of labels")
        hot = array.values != 0
        self.require(part, bool((hot.sum(1) <= 1).all()), "a node of two classes")
        classes: Ints = np.where(hot.any(1), hot.argmax(1), -1)
        return classes

    def graph(self, part: str) -> Ints:
        """{node: [neighbours]} -> [2, E]: neighbour, node."""
        lists = self._load(part)
        self.require(
            part, isinstance(lists, dict) and all(isinstance(ends, list) for ends in lists.values()), "no lists of neighbours"
        )
        try:
            targets = np.repeat(_integers(list(lists)), [len(ends) for ends in lists.values()])
            sources = _integers([end for ends in lists.values() for end in ends])
        except (ValueError, OverflowError) as error:
            raise self._corrupt(part, str(error)) from None
        return np.stack([sources, targets])

    def numbers(self, part: str) -> Ints:
        """One integer a line."""
        try:
            return np.array([int(line) for line in self._bytes(part).split()], dtype=np.int64)
        except (ValueError, OverflowError):
            raise self._corrupt(part, "lines that are no numbers") from None

    def require(self, part: str, holds: bool, otherwise: str) -> None:
        """Raise CorruptDataError unless `holds`."""
        if not holds:
            raise self._corrupt(part, otherwise)

    def _load(self, part: str) -> Any:
        content = self._bytes(part)
        try:
            _check_opcodes(content)
            return _Unpickler(io.BytesIO(content), encoding="latin1").load()
        except _RefusedError as error:
            raise self._corrupt(part, str(error)) from None
        except Exception as error:  # whatever a malformed pickle makes the unpickler stumble over
            raise self._corrupt(part, f"a malformed pickle ({type(error).__name__})") from None

    def _bytes(self, part: str) -> bytes:
        return self._place(part).read_bytes()

    def _place(self, part: str) -> Path:
        if part not in self.files:
            raise MissingDataError(f"The data set has no file ending in {part!r}; list all eight files in its recipe.")
        return self.files[part]

    def _corrupt(self, part: str, found: str) -> CorruptDataError:
        return CorruptDataError(f"{self.files[part]} cannot be read: it has {found}; delete it and fetch it again.")


def _integers(values: list[Any]) -> Ints:
    """[n] int64. Raises ValueError unless all are integers."""
    if not all(type(value) is int for value in values):
        raise ValueError("nodes that are no integers")
    return np.array(values, dtype=np.int64)

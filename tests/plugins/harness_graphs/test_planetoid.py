"""Planetoid's files: small made ones, hostile ones, and the real Cora where it is."""

from __future__ import annotations

import os
import pickle
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from harness import CorruptDataError, DataContext, DataSet, MissingDataError, SparseMatrix, WholeGraph
from harness_graphs.planetoid import build_planetoid, read_planetoid, rows_to_sum_one
from harness_graphs.spec_data import GraphDataOptions

LABELLED, KNOWN, FEATURES, CLASSES = 6, 510, 8, 3
TEST = np.array([515, 510, 519, 512, 517, 511, 514, 518])
"""Shuffled; 513 and 516 are nodes that no file describes."""
NODES = 520


def old_pickle(value: Any) -> bytes:
    """A pickle as the data set's authors' Python 2, NumPy and SciPy would have named things."""
    written = pickle.dumps(value, protocol=2)
    written = written.replace(b"cscipy.sparse._csr\n", b"cscipy.sparse.csr\n")
    return written.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def feature_rows(seed: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((rows, FEATURES)) < 0.3).astype(np.float32)


KNOWN_X, TEST_X = feature_rows(0, KNOWN), feature_rows(1, len(TEST))
KNOWN_LABELS, TEST_LABELS = np.arange(KNOWN) % CLASSES, np.arange(len(TEST)) % CLASSES


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(CLASSES, dtype=np.int32)[labels]


def neighbour_lists() -> defaultdict[int, list[int]]:
    lists: defaultdict[int, list[int]] = defaultdict(list)
    lists.update({0: [1, 1, 515], 1: [0], 2: [2], 3: [513], 513: [3]})
    return lists


def parts() -> dict[str, bytes]:
    return {
        "x": old_pickle(csr_matrix(KNOWN_X[:LABELLED])),
        "y": old_pickle(one_hot(KNOWN_LABELS[:LABELLED])),
        "allx": old_pickle(csr_matrix(KNOWN_X)),
        "ally": old_pickle(one_hot(KNOWN_LABELS)),
        "tx": old_pickle(csr_matrix(TEST_X)),
        "ty": old_pickle(one_hot(TEST_LABELS)),
        "graph": old_pickle(neighbour_lists()),
        "test.index": "".join(f"{number}\n" for number in TEST).encode(),
    }


Write = Callable[..., dict[str, Path]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the small data set, with some parts replaced."""

    def write_files(**replaced: bytes) -> dict[str, Path]:
        files = {}
        for part, content in {**parts(), **replaced}.items():
            path = tmp_path / f"ind.small.{part}"
            path.write_bytes(content)
            files[f"planetoid/Small/raw/ind.small.{part}"] = path
        return files

    return write_files


@pytest.fixture
def built(write: Write, tmp_path: Path) -> DataSet:
    return build_planetoid(DataContext(files=write(), cache=tmp_path), GraphDataOptions(row_normalise=False))


# ------------------------------------------------------------------------------------------------- what is read


def test_the_made_pickles_name_what_the_real_ones_name() -> None:
    assert b"cscipy.sparse.csr\ncsr_matrix\n" in parts()["x"]
    assert b"cnumpy.core.multiarray\n_reconstruct\n" in parts()["x"]
    assert b"c__builtin__\nlist\n" in parts()["graph"]


def test_known_nodes_come_first(write: Write) -> None:
    assert torch.equal(read_planetoid(write(), "small").x.to_dense()[:KNOWN], torch.from_numpy(KNOWN_X))


def test_each_row_of_tx_is_the_node_that_test_index_names(write: Write) -> None:
    assert torch.equal(read_planetoid(write(), "small").x.to_dense()[TEST], torch.from_numpy(TEST_X))


def test_each_label_of_ty_is_that_of_the_node_that_test_index_names(write: Write) -> None:
    assert np.array_equal(read_planetoid(write(), "small").labels[TEST], TEST_LABELS)


def test_labels_of_known_nodes_are_the_places_of_the_ones(write: Write) -> None:
    assert np.array_equal(read_planetoid(write(), "small").labels[:KNOWN], KNOWN_LABELS)


def test_nodes_that_no_file_describes_have_no_features(write: Write) -> None:
    assert read_planetoid(write(), "small").x.to_dense()[[513, 516]].sum() == 0


def test_nodes_that_no_file_describes_have_no_label(write: Write) -> None:
    assert read_planetoid(write(), "small").labels[[513, 516]].tolist() == [-1, -1]


def test_nodes_that_no_file_describes_are_in_no_part_of_the_split(write: Write) -> None:
    splits = read_planetoid(write(), "small").splits
    assert not np.isin([513, 516], np.concatenate(list(splits.parts().values()))).any()


def test_nodes_that_no_file_describes_keep_their_edges(built: DataSet) -> None:
    assert adjacency(built)[513].nonzero().flatten().tolist() == [3]


def test_there_are_as_many_nodes_as_the_largest_number_says(write: Write) -> None:
    assert read_planetoid(write(), "small").x.shape == (NODES, FEATURES)


def test_labelled_nodes_train(write: Write) -> None:
    assert read_planetoid(write(), "small").splits.train.tolist() == list(range(6))


def test_the_next_five_hundred_nodes_validate(write: Write) -> None:
    assert np.array_equal(read_planetoid(write(), "small").splits.validation, np.arange(6, 506))


def test_the_listed_nodes_test_in_ascending_order(write: Write) -> None:
    assert np.array_equal(read_planetoid(write(), "small").splits.test, np.sort(TEST))


def test_split_parts_are_int64(write: Write) -> None:
    assert {part.dtype for part in read_planetoid(write(), "small").splits.parts().values()} == {np.dtype(np.int64)}


def test_a_row_of_zeros_is_no_label(write: Write) -> None:
    hot = one_hot(TEST_LABELS)
    hot[2] = 0
    assert read_planetoid(write(ty=old_pickle(hot)), "small").labels[TEST[2]] == -1


def test_a_column_major_array_is_read(write: Write) -> None:
    files = write(ally=old_pickle(np.asfortranarray(one_hot(KNOWN_LABELS))))
    assert np.array_equal(read_planetoid(files, "small").labels[:KNOWN], KNOWN_LABELS)


def test_values_that_share_a_place_are_added_up(write: Write) -> None:
    matrix = csr_matrix((np.ones(2, np.float32), np.array([3, 3]), np.array([0, 2] + [2] * 7)), shape=(8, FEATURES))
    assert read_planetoid(write(tx=old_pickle(matrix)), "small").x.to_dense()[TEST[0]].tolist() == [0, 0, 0, 2, 0, 0, 0, 0]


def test_reading_warns_of_nothing(write: Write) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_planetoid(write(), "small")


# ------------------------------------------------------------------------------------------------- what is built


def adjacency(dataset: DataSet) -> torch.Tensor:
    batch: Any = next(dataset.inputs.in_order(1))
    return batch.adjacency.to_dense()


def features(dataset: DataSet) -> torch.Tensor:
    batch: Any = next(dataset.inputs.in_order(1))
    return batch.x.to_dense() if isinstance(batch.x, SparseMatrix) else batch.x


def test_edges_are_symmetric(built: DataSet) -> None:
    assert torch.equal(adjacency(built), adjacency(built).t())


def test_edges_are_those_of_the_lists_without_duplicates(built: DataSet) -> None:
    assert adjacency(built).triu().nonzero().tolist() == [[0, 1], [0, 515], [3, 513]]


def test_self_loops_are_dropped(built: DataSet) -> None:
    assert adjacency(built)[2].sum() == 0


def test_training_sees_the_whole_graph(built: DataSet) -> None:
    assert built.pretrain is built.inputs


def test_description_names_features_and_nodes(built: DataSet) -> None:
    assert (built.inputs.description.shape, built.inputs.description.samples) == ((FEATURES,), NODES)


def test_the_split_goes_by_the_name_of_its_protocol(built: DataSet) -> None:
    assert list(built.annotations.splits) == ["planetoid-public"]


def test_features_are_binary_without_normalisation(built: DataSet) -> None:
    assert features(built).unique().tolist() == [0, 1]


def test_normalised_rows_sum_to_one(write: Write, tmp_path: Path) -> None:
    dataset = build_planetoid(DataContext(files=write(), cache=tmp_path), GraphDataOptions(row_normalise=True))
    filled = features(dataset).sum(1)[:KNOWN][KNOWN_X.any(1)]
    torch.testing.assert_close(filled, torch.ones(len(filled)))


def test_normalisation_leaves_rows_of_zeros() -> None:
    x = SparseMatrix.from_dense(torch.tensor([[0.0, 0.0], [1.0, 3.0]]))
    assert rows_to_sum_one(x).to_dense().tolist() == [[0, 0], [0.25, 0.75]]


# ----------------------------------------------------------------------------------------- files that are refused


class Command:
    """Unpickled the ordinary way, it runs a shell command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_a_pickle_that_would_run_a_command_is_refused_and_runs_nothing(write: Write, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    hostile = pickle.dumps(Command(f"touch {witness}"), protocol=2)
    with pytest.raises(CorruptDataError, match=r"ind\.small\.allx .*(posix|nt)\.system"):
        read_planetoid(write(allx=hostile), "small")
    assert not witness.exists()


@pytest.mark.parametrize("part", ["x", "y", "allx", "ally", "tx", "ty", "graph"])
def test_the_error_names_the_file(write: Write, part: str) -> None:
    with pytest.raises(CorruptDataError, match=rf"ind\.small\.{part} "):
        read_planetoid(write(**{part: b"no pickle"}), "small")


@pytest.mark.parametrize(
    "named",
    [
        b"cbuiltins\neval\n",
        b"c__builtin__\neval\n",
        b"c__builtin__\ngetattr\n",
        b"cnumpy\nload\n",
        b"cscipy.sparse\ncsr_matrix\n",
        b"cnumpy.core.multiarray\nscalar\n",
        b"ccollections\nOrderedDict\n",
        b"charness_graphs.planetoid\n_Reader\n",
    ],
)
def test_any_other_object_is_refused_by_name(write: Write, named: bytes) -> None:
    module, name = named[1:].decode().split()
    with pytest.raises(CorruptDataError, match=rf"{module}\.{name}"):
        read_planetoid(write(graph=b"\x80\x02" + named + b"."), "small")


def test_opcodes_of_later_protocols_are_refused(write: Write) -> None:
    hostile = b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93."  # STACK_GLOBAL follows the dots of a name
    with pytest.raises(CorruptDataError, match="later pickle protocol"):
        read_planetoid(write(graph=hostile), "small")


def test_a_pickle_that_asks_for_gigabytes_is_refused(write: Write) -> None:
    with pytest.raises(CorruptDataError, match="a note numbered 2147483647"):
        read_planetoid(write(graph=b"\x80\x02Nr\xff\xff\xff\x7f."), "small")


@pytest.mark.parametrize(
    "named", [b"cnumpy\nndarray\n", b"c_codecs\nencode\n", b"cscipy.sparse.csr\ncsr_matrix\n", b"ccollections\ndefaultdict\n"]
)
def test_a_pickle_cannot_change_an_allowed_object(write: Write, named: bytes) -> None:
    hostile = b"\x80\x02" + named + b"N}U\x08__init__Ns\x86b."  # BUILD with (None, {"__init__": None})
    with pytest.raises(CorruptDataError, match=r"ind\.small\.graph"):
        read_planetoid(write(graph=hostile), "small")


@pytest.mark.parametrize("part", ["x", "y", "allx", "ally", "tx", "ty", "graph"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_pickle_is_refused(write: Write, part: str, share: float) -> None:
    whole = parts()[part]
    with pytest.raises(CorruptDataError, match=rf"ind\.small\.{part} "):
        read_planetoid(write(**{part: whole[: int(share * len(whole))]}), "small")


def refusal(files: dict[str, Path]) -> str | None:
    try:
        read_planetoid(files, "small")
    except CorruptDataError as error:
        return str(error)
    return None


def test_a_damaged_file_is_read_or_refused_by_name(write: Write) -> None:
    rng = np.random.default_rng(0)
    whole = parts()["tx"]
    for place, byte in zip(rng.integers(len(whole), size=200), rng.integers(256, size=200), strict=True):
        message = refusal(write(tx=whole[:place] + bytes([byte]) + whole[place + 1 :]))
        assert message is None or "ind.small." in message


def test_an_array_of_objects_is_refused(write: Write) -> None:
    with pytest.raises(CorruptDataError, match="numbers of type 'O8'"):
        read_planetoid(write(ty=old_pickle(np.array([[1, "a"]], dtype=object))), "small")


def test_big_endian_numbers_are_refused(write: Write) -> None:
    with pytest.raises(CorruptDataError, match="little-endian"):
        read_planetoid(write(ty=old_pickle(one_hot(TEST_LABELS).astype(">i4"))), "small")


@pytest.mark.parametrize(
    ("part", "content", "reason"),
    [
        ("graph", old_pickle([1, 2]), "no lists of neighbours"),
        ("graph", old_pickle({0: 1}), "no lists of neighbours"),
        ("graph", old_pickle({0: ["1"]}), "no integers"),
        ("graph", old_pickle({0: [NODES]}), "outside 0 to 519"),
        ("graph", old_pickle({-1: [0]}), "outside 0 to 519"),
        ("graph", old_pickle({0: [2**70]}), "too large"),
        ("ally", old_pickle([1, 2]), "no matrix of labels"),
        ("ally", old_pickle(KNOWN_LABELS), "no matrix of labels"),
        ("ally", old_pickle(one_hot(KNOWN_LABELS)[:-1]), "509 rows where allx has 510"),
        ("ty", old_pickle(np.ones((8, 3), np.int32)), "a node of two classes"),
        ("ty", old_pickle(one_hot(TEST_LABELS[:-1])), "7 rows where tx has 8"),
        ("x", old_pickle(csr_matrix(KNOWN_X[:5])), "does not fit y and allx"),
        ("allx", old_pickle(KNOWN_X), "no sparse matrix"),
        ("tx", old_pickle(csr_matrix(TEST_X[:, 1:])), "7 features where allx has 8"),
        ("test.index", b"510\n511\n", "2 numbers where tx has 8 rows"),
        ("test.index", b"510\nx\n", "no numbers"),
        ("test.index", b"510\n510\n511\n512\n514\n515\n517\n518\n", "repeated or known nodes"),
        ("test.index", b"3\n510\n511\n512\n514\n515\n517\n518\n", "repeated or known nodes"),
    ],
)
def test_files_that_contradict_each_other_are_refused(write: Write, part: str, content: bytes, reason: str) -> None:
    with pytest.raises(CorruptDataError, match=rf"ind\.small\.{part} cannot be read: .*{reason}"):
        read_planetoid(write(**{part: content}), "small")


def broken_matrix(**arrays: Any) -> bytes:
    matrix = csr_matrix(TEST_X)
    for name, array in arrays.items():
        matrix.__dict__[name] = array
    return old_pickle(matrix)


@pytest.mark.parametrize(
    "content",
    [
        broken_matrix(indptr=np.zeros(3, np.int32)),
        broken_matrix(indptr=csr_matrix(TEST_X).indptr[::-1].copy()),
        broken_matrix(indices=csr_matrix(TEST_X).indices + FEATURES),
        broken_matrix(indices=csr_matrix(TEST_X).indices - FEATURES),
        broken_matrix(_shape=(8, -1)),
        broken_matrix(_shape=(2**70, 8)),
        broken_matrix(data=np.ones(1, np.float32)),
    ],
)
def test_a_matrix_that_contradicts_itself_is_refused(write: Write, content: bytes) -> None:
    with pytest.raises(CorruptDataError, match=r"ind\.small\.tx cannot be read: it has a sparse matrix"):
        read_planetoid(write(tx=content), "small")


def test_too_few_nodes_to_validate_on_are_refused(write: Write) -> None:
    files = write(allx=old_pickle(csr_matrix(KNOWN_X[:400])), ally=old_pickle(one_hot(KNOWN_LABELS[:400])))
    with pytest.raises(CorruptDataError, match="too few for 500 to validate on"):
        read_planetoid(files, "small")


def test_a_file_that_is_not_listed_is_named(write: Write) -> None:
    files = {path: place for path, place in write().items() if not path.endswith(".graph")}
    with pytest.raises(MissingDataError, match="'graph'"):
        read_planetoid(files, "small")


# ------------------------------------------------------------------------------------------------- the real Cora


@pytest.fixture(scope="module")
def cora() -> DataSet:
    endings = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
    names = [f"planetoid/Cora/raw/ind.cora.{ending}" for ending in endings]
    for root in filter(None, os.environ.get("HARNESS_DATA", "").split(os.pathsep)):
        files = {name: Path(root) / name for name in names}
        if all(path.is_file() for path in files.values()):
            return build_planetoid(DataContext(files=files, cache=Path(root)), GraphDataOptions(row_normalise=False))
    pytest.skip("planetoid/Cora/raw is under no root of HARNESS_DATA")


@pytest.mark.needs_data
def test_cora_has_its_published_sizes(cora: DataSet) -> None:
    assert (cora.inputs.description.samples, cora.inputs.description.shape) == (2708, (1433,))


@pytest.mark.needs_data
def test_cora_has_its_published_edges(cora: DataSet) -> None:
    batch: Any = cora.inputs.epoch(WholeGraph(), 1, torch.Generator())[0]
    rows, columns, _ = batch.adjacency.coo()
    assert batch.adjacency.entries == 2 * 5278
    assert not bool((rows == columns).any())


@pytest.mark.needs_data
def test_cora_has_seven_classes_of_its_published_sizes(cora: DataSet) -> None:
    assert cora.annotations.labels is not None
    assert np.bincount(cora.annotations.labels).tolist() == [351, 217, 418, 818, 426, 298, 180]


@pytest.mark.needs_data
def test_cora_has_the_public_split(cora: DataSet) -> None:
    parts = cora.annotations.splits["planetoid-public"].parts()
    assert {name: len(index) for name, index in parts.items()} == {"train": 140, "validation": 500, "test": 1000}
    assert parts["test"].tolist() == list(range(1708, 2708))


@pytest.mark.needs_data
def test_cora_trains_on_twenty_nodes_of_each_class(cora: DataSet) -> None:
    assert cora.annotations.labels is not None
    assert np.bincount(cora.annotations.labels[cora.annotations.splits["planetoid-public"].train]).tolist() == [20] * 7


@pytest.mark.needs_data
def test_cora_has_binary_features_one_in_79_of_them_set(cora: DataSet) -> None:
    batch: Any = next(cora.inputs.in_order(1))
    assert batch.x.entries == 49_216
    assert batch.x.coo()[2].unique().tolist() == [1]

"""What a training is fed with: batches in an order that can be found again, and labels where an objective asks for them."""

from __future__ import annotations

import numpy as np
import torch

from harness import Annotations, Items, VectorSource
from harness.line.streams import BatchStream, LabelTable


def test_a_stream_finds_its_place_again():
    source = VectorSource(torch.zeros(23, 5))
    stream = BatchStream(source, Items(), 6, seed=1)
    for _ in range(6):
        stream.close_epoch()
        stream.next()
    state = stream.state()
    expected = [stream.next().index.tolist() for _ in range(2)]
    other = BatchStream(source, Items(), 6, seed=99)
    other.restore(*state)
    assert [other.next().index.tolist() for _ in range(2)] == expected
    assert (other.epoch, other.left) == (1, 0)


def test_labels_are_attached_only_where_they_are_known():
    known = torch.tensor([True, False, True, False, True])
    table = LabelTable(labels=torch.tensor([7, 8, 9, 8, 7]), known=known, classes=10)
    attached = table.attach(VectorSource(torch.zeros(5, 5))._gather(torch.tensor([4, 1, 2])))
    assert attached.rows.tolist() == [0, 2]
    assert attached.labels.tolist() == [7, 9]


def test_only_the_training_part_has_labels():
    table = LabelTable.of(Annotations(splits={}, labels=np.array([2, 0, -1, 1, 2])), np.array([0, 2, 3]))
    assert table.known.tolist() == [True, False, False, True, False]
    assert table.labels[table.known].tolist() == [2, 1]
    assert (table.labels[~table.known] == -1).all()
    assert (table.classes, table.multilabel) == (3, False)


def test_binary_labels_stay_binary():
    table = LabelTable.of(Annotations(splits={}, labels=np.eye(3, dtype=np.float32)), np.array([0, 2]))
    assert (table.classes, table.multilabel) == (3, True)
    assert table.labels[2].tolist() == [0.0, 0.0, 1.0]


def test_the_classes_of_a_factor_are_its_values_in_the_training_part():
    factors = {"x": np.array([7, 9, 200, 7, 255]), "y": np.array([1, 1, 1, 0, 3])}
    table = LabelTable.of(Annotations(splits={}, factors=factors), np.array([3, 1, 0]))
    assert table.classes == (2, 2)
    assert not table.multilabel
    assert table.labels.tolist() == [[0, 1], [1, 1], [-1, -1], [0, 0], [-1, -1]]
    assert table.known.tolist() == [True, True, False, True, False]

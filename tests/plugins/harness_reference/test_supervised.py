"""The objective supervised."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from harness import Batch, Description, Encoder, Items, Labelled, ObjectiveContext, PluginError, Step, Vectors, WholeGraph
from harness_reference.encoders import Identity
from harness_reference.spec import SupervisedOptions
from harness_reference.supervised import Supervised, build, drop

VECTORS = Description(kind="vectors", shape=(2,), samples=4)
X = torch.tensor([[0.5, -1.0], [2.0, 0.0], [-1.5, 1.0], [0.0, 3.0]])
WEIGHT = [[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]
BIAS = [0.0, 0.5, -0.5]


class TwoFeatures(Encoder):
    """Offers a map before a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_shapes = {"map": (2, 1, 2), "vector": (3,)}
        self.slope = nn.Parameter(torch.ones(()))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        rows = len(batch)
        return {"map": self.slope * torch.ones(rows, 2, 1, 2), "vector": self.slope * torch.zeros(rows, 3)}


def objective(multilabel: bool = False, dropout: float = 0.0) -> Supervised:
    """On the identity, with a head of known weights and three outputs."""
    context = ObjectiveContext(description=VECTORS, classes=3, multilabel=multilabel)
    made = build(Identity(VECTORS), context, SupervisedOptions(dropout=dropout), torch.Generator())
    with torch.no_grad():
        made.head.weight.copy_(torch.tensor(WEIGHT))
        made.head.bias.copy_(torch.tensor(BIAS))
    return made


def step(rows: Tensor, labels: Tensor, values: Tensor = X) -> Step:
    inputs = Vectors(index=torch.arange(len(values)), values=values)
    return Step(batch=Labelled(inputs, rows, labels), epoch=0, index=0, generator=torch.Generator().manual_seed(0))


def logits_of(row: int) -> list[float]:
    return [sum(w * x for w, x in zip(weights, X[row].tolist(), strict=True)) + b for weights, b in zip(WEIGHT, BIAS, strict=True)]


def test_classes_are_judged_by_cross_entropy_over_the_labelled_rows() -> None:
    rows, labels = [3, 0], [1, 2]
    expected = 0.0
    for row, label in zip(rows, labels, strict=True):
        logits = logits_of(row)
        expected += math.log(sum(math.exp(logit) for logit in logits)) - logits[label]
    loss = objective().classification(step(torch.tensor(rows), torch.tensor(labels)))["loss"]
    assert loss.item() == pytest.approx(expected / 2, rel=1e-5)


def test_binary_labels_are_judged_one_by_one() -> None:
    rows, labels = [1, 2], [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    expected = 0.0
    for row, wanted in zip(rows, labels, strict=True):
        for logit, label in zip(logits_of(row), wanted, strict=True):
            p = 1 / (1 + math.exp(-logit))
            expected -= label * math.log(p) + (1 - label) * math.log(1 - p)
    loss = objective(multilabel=True).classification(step(torch.tensor(rows), torch.tensor(labels)))["loss"]
    assert loss.item() == pytest.approx(expected / 6, rel=1e-5)


def test_rows_without_a_label_do_not_matter() -> None:
    rows, labels = torch.tensor([0, 2]), torch.tensor([1, 1])
    other = X.clone()
    other[[1, 3]] = 100.0
    made = objective()
    assert made.classification(step(rows, labels))["loss"] == made.classification(step(rows, labels, other))["loss"]


def test_a_batch_without_any_label_costs_nothing() -> None:
    made = objective()
    loss = made.classification(step(torch.tensor([], dtype=torch.int64), torch.tensor([], dtype=torch.int64)))["loss"]
    loss.backward()
    assert loss.item() == 0.0
    assert made.head.weight.grad is not None
    assert made.head.weight.grad.abs().sum() == 0.0


def test_encoder_and_head_are_trained_together() -> None:
    context = ObjectiveContext(description=VECTORS, classes=3)
    made = build(TwoFeatures(), context, SupervisedOptions(), torch.Generator())
    (phase,) = made.phases()
    assert {id(parameter) for parameter in phase.parameters} == {id(parameter) for parameter in made.parameters()}
    made.classification(step(torch.tensor([0]), torch.tensor([1])))["loss"].backward()
    assert isinstance(made.encoder, TwoFeatures)
    assert made.encoder.slope.grad is not None


def test_the_head_reads_the_first_feature_flattened() -> None:
    made = build(TwoFeatures(), ObjectiveContext(description=VECTORS, classes=3), SupervisedOptions(), torch.Generator())
    assert made.head.in_features == 4


def test_the_options_reach_the_optimiser() -> None:
    context = ObjectiveContext(description=VECTORS, classes=3)
    made = build(TwoFeatures(), context, SupervisedOptions(lr=0.03, weight_decay=0.07), torch.Generator())
    (phase,) = made.phases()
    group = phase.optimiser(list(phase.parameters)).param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.03, 0.07)


@pytest.mark.parametrize(("kind", "sampling"), [("graph", WholeGraph()), ("images", Items()), ("vectors", Items())])
def test_a_graph_is_drawn_whole_and_everything_else_as_items(kind: str, sampling: Items | WholeGraph) -> None:
    description = Description(kind=kind, shape=(2,), samples=4)
    made = build(
        Identity(description), ObjectiveContext(description=description, classes=3), SupervisedOptions(), torch.Generator()
    )
    assert made.sampling == sampling


def test_without_a_number_of_classes_it_is_the_cores_fault() -> None:
    with pytest.raises(PluginError, match="number of classes"):
        build(Identity(VECTORS), ObjectiveContext(description=VECTORS), SupervisedOptions(), torch.Generator())


def test_no_dropout_changes_nothing() -> None:
    assert drop(X, 0.0, torch.Generator()) is X


def test_dropout_zeroes_its_share_and_scales_up_the_rest() -> None:
    dropped = drop(torch.ones(200, 200), 0.25, torch.Generator().manual_seed(0))
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)


def test_dropout_is_drawn_from_the_step_alone() -> None:
    made, rows, labels = objective(dropout=0.5), torch.tensor([0, 1, 2, 3]), torch.tensor([0, 1, 2, 0])
    first = made.classification(step(rows, labels))["loss"]
    torch.manual_seed(123)
    assert made.classification(step(rows, labels))["loss"] == first


def test_a_few_steps_separate_what_can_be_separated() -> None:
    torch.manual_seed(0)
    made = objective()
    (phase,) = made.phases()
    optimiser = phase.optimiser(list(phase.parameters))
    rows, labels = torch.arange(4), torch.tensor([0, 0, 1, 1])
    for _ in range(300):
        optimiser.zero_grad()
        phase.loss(step(rows, labels))["loss"].backward()
        optimiser.step()
    predicted = made.head(X).argmax(1)
    assert predicted.tolist() == labels.tolist()


def test_every_variable_has_a_head_of_its_own_over_its_own_classes() -> None:
    context = ObjectiveContext(description=VECTORS, classes=(2, 3))
    made = build(Identity(VECTORS), context, SupervisedOptions(dropout=0.0), torch.Generator())
    assert made.head.out_features == 5
    rows, labels = torch.tensor([3, 0]), torch.tensor([[1, 2], [0, 1]])
    logits = made.head(X[rows]).detach()
    expected = 0.0
    for row in range(2):
        for head, label in ((logits[row, :2], labels[row, 0]), (logits[row, 2:], labels[row, 1])):
            expected -= float(head.log_softmax(dim=0)[label])
    assert made.classification(step(rows, labels))["loss"].item() == pytest.approx(expected / 4, rel=1e-5)

"""Probes: small classifiers trained on a frozen feature and scored on the protocol's test part."""

from __future__ import annotations

from typing import Annotated

from harness import EvaluatorSpec, Meta, MetricSpec, Options, hookimpl

Strength = Annotated[float, Meta(gt=0)]
"""C, the inverse of the strength of the L2 penalty."""
Neighbours = Annotated[int, Meta(ge=1)]
Rate = Annotated[float, Meta(gt=0)]
Milestone = Annotated[int, Meta(ge=1)]


class LogisticOptions(Options, frozen=True):
    """Softmax regression as Deep Graph Infomax trains it."""

    probes: Annotated[int, Meta(ge=1, description="fresh initialisations; mean and spread are over them")] = 50
    steps: Annotated[int, Meta(ge=1, description="full-batch steps; the last iterate is scored")] = 100
    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate")] = 0.01
    standardise: Annotated[bool, Meta(description="mean 0 and deviation 1 for every column, by the training part")] = False


class StandardisedLogisticOptions(LogisticOptions, frozen=True):
    """The same on standardised features, as Deep Graph Infomax does on graphs not seen in training."""

    standardise: Annotated[bool, Meta(description="mean 0 and deviation 1 for every column, by the training part")] = True


class LbfgsOptions(Options, frozen=True):
    """L2-regularised softmax regression, its strength chosen on the validation part."""

    C: Annotated[
        tuple[Strength, ...],
        Meta(
            min_length=1,
            description="inverse penalties to choose from, in units of the rescaled features; one alone is taken as it is",
        ),
    ] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
    max_iter: Annotated[int, Meta(ge=1, description="iterations of L-BFGS, raised tenfold once where they do not suffice")] = 1000


class PygOptions(Options, frozen=True):
    """The logistic regression of torch-geometric's infomax_transductive example."""

    C: Annotated[float, Meta(gt=0, description="inverse of the L2 penalty")] = 1.0
    max_iter: Annotated[int, Meta(ge=1, description="iterations of L-BFGS, converged or not")] = 150


class SvmOptions(Options, frozen=True):
    """Linear support vector machine, its strength chosen on the validation part."""

    C: Annotated[
        tuple[Strength, ...],
        Meta(min_length=1, description="inverse penalties to choose from; one alone is taken as it is"),
    ] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    max_iter: Annotated[int, Meta(ge=1, description="steps of Newton's method; a fit that needs more fails")] = 100


class SvmPaperOptions(Options, frozen=True):
    """scikit-learn's `LinearSVC` with the settings that were its defaults when Deep InfoMax used it."""

    runs: Annotated[int, Meta(ge=1, description="runs of the solver, each with its own order; mean and spread are over them")] = 5
    max_iter: Annotated[int, Meta(ge=1, description="passes of dual coordinate descent, converged or not")] = 1000


class SmallNetOptions(Options, frozen=True):
    """The small net of Deep InfoMax."""

    hidden: Annotated[int, Meta(ge=1, description="units of the hidden layer")] = 200
    dropout: Annotated[float, Meta(ge=0, lt=1, description="share of the hidden units dropped in training")] = 0.1
    batch_size: Annotated[int, Meta(ge=2, description="samples a batch")] = 64


class MlpOptions(SmallNetOptions, frozen=True):
    """The small net, its epoch chosen on the validation part."""

    lr: Annotated[
        tuple[Rate, ...],
        Meta(min_length=1, description="Adam's learning rates, one after the other, each from the best weights so far"),
    ] = (1e-3, 1e-4, 1e-5)
    patience: Annotated[int, Meta(ge=1, description="a rate ends after this many epochs without a higher validation accuracy")] = 10
    epochs: Annotated[int, Meta(ge=1, description="epochs at each rate, at most")] = 1000
    restarts: Annotated[int, Meta(ge=1, description="nets trained from fresh weights; mean and spread are over them")] = 1


class MlpPaperOptions(SmallNetOptions, frozen=True):
    """The small net as Deep InfoMax trains and reports it."""

    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate at first")] = 1e-4
    milestones: Annotated[tuple[Milestone, ...], Meta(description="epochs after which the rate is divided by ten")] = (50, 100)
    epochs: Annotated[int, Meta(ge=1, description="passes over the training part")] = 1000
    averaged: Annotated[int, Meta(ge=1, description="last epochs whose test accuracies are averaged")] = 100


class FineTuneOptions(SmallNetOptions, frozen=True):
    """The small net and the encoder trained together, their epoch chosen on the validation part."""

    lr: Annotated[
        tuple[Rate, ...],
        Meta(min_length=1, description="Adam's learning rates, one after the other, each from the best weights so far"),
    ] = (1e-4,)
    patience: Annotated[int, Meta(ge=1, description="a rate ends after this many epochs without a higher validation accuracy")] = 20
    epochs: Annotated[int, Meta(ge=1, description="epochs at each rate, at most")] = 100


class KnnOptions(Options, frozen=True):
    """k nearest neighbours by cosine similarity."""

    k: Annotated[
        tuple[Neighbours, ...],
        Meta(min_length=1, description="numbers of neighbours to choose from on the validation part; one alone is taken as it is"),
    ] = (1, 5, 10, 20, 50)


ACCURACY = MetricSpec(
    name="accuracy",
    unit="%",
    higher_is_better=True,
    lower=0.0,
    upper=100.0,
    primary=True,
    description="test samples whose class is predicted, in per cent; reported on single-label data",
)
MICRO_F1 = MetricSpec(
    name="micro_f1",
    unit="%",
    higher_is_better=True,
    lower=0.0,
    upper=100.0,
    primary=True,
    description="F1 over all pairs of test sample and binary label; reported instead of accuracy on multi-label data",
)


EVALUATORS = [
    EvaluatorSpec(
        name="logistic",
        summary="Softmax regression by 100 Adam steps, 50 initialisations: the probe of Deep Graph Infomax.",
        build="harness_probes.logistic:LogisticProbes",
        needs=("labels",),
        metrics=(ACCURACY, MICRO_F1),
        options=LogisticOptions,
        budgets={"fast": {"probes": 10}, "smoke": {"probes": 5, "steps": 20}},
    ),
    EvaluatorSpec(
        name="logistic-standardised",
        summary="`logistic` on standardised features: the probe of Deep Graph Infomax on graphs not seen in training.",
        build="harness_probes.logistic:LogisticProbes",
        needs=("labels",),
        metrics=(ACCURACY, MICRO_F1),
        options=StandardisedLogisticOptions,
        budgets={"fast": {"probes": 10}, "smoke": {"probes": 5, "steps": 20}},
    ),
    EvaluatorSpec(
        name="logistic-lbfgs",
        summary="L2-regularised softmax regression by L-BFGS, C chosen on the validation part.",
        build="harness_probes.lbfgs:LbfgsProbe",
        needs=("labels",),
        metrics=(ACCURACY,),
        options=LbfgsOptions,
        budgets={"smoke": {"C": (1e-2,)}},
        requires=("sklearn",),
    ),
    EvaluatorSpec(
        name="logistic-pyg",
        summary="Softmax regression by at most 150 L-BFGS iterations, C = 1: the probe of torch-geometric's example.",
        build="harness_probes.lbfgs:PygProbe",
        needs=("labels",),
        metrics=(ACCURACY,),
        options=PygOptions,
        requires=("sklearn",),
    ),
    EvaluatorSpec(
        name="svm",
        version=3,  # 2 fitted every C; 1 was solved by L-BFGS, in float64 whatever the size
        summary="Linear SVM on standardised features, C chosen on the validation part.",
        build="harness_probes.svm:SvmProbe",
        needs=("labels",),
        metrics=(ACCURACY,),
        options=SvmOptions,
        budgets={"smoke": {"C": (1e-2,)}},
        requires=("scipy", "sklearn"),
    ),
    EvaluatorSpec(
        name="knn",
        summary="k nearest neighbours by cosine similarity, k chosen on the validation part.",
        build="harness_probes.knn:KnnProbe",
        needs=("labels",),
        metrics=(ACCURACY, MICRO_F1),
        options=KnnOptions,
    ),
    EvaluatorSpec(
        name="mlp",
        summary="Net of 200 hidden units, its epoch chosen on the validation part; the test part is read once.",
        build="harness_probes.mlp:MlpProbe",
        needs=("labels",),
        metrics=(ACCURACY,),
        options=MlpOptions,
        budgets={"fast": {"lr": (1e-3, 1e-4), "epochs": 5}, "smoke": {"lr": (1e-3,), "epochs": 1}},
    ),
    EvaluatorSpec(
        name="mlp-paper",
        summary="The same net, mean test accuracy of the last 100 of 1,000 epochs: the net of Deep InfoMax.",
        build="harness_probes.mlp:PaperMlp",
        needs=("labels",),
        metrics=(ACCURACY,),
        options=MlpPaperOptions,
        budgets={"fast": {"epochs": 10, "lr": 1e-3, "milestones": (5, 8), "averaged": 2}, "smoke": {"epochs": 1}},
    ),
    EvaluatorSpec(
        name="svm-paper",
        summary="LinearSVC as it comes on unscaled features, five runs, converged or not: the SVM of Deep InfoMax.",
        build="harness_probes.svm_paper:PaperSvm",
        needs=("labels",),
        metrics=(ACCURACY,),
        options=SvmPaperOptions,
        budgets={"fast": {"runs": 1, "max_iter": 20}, "smoke": {"runs": 1, "max_iter": 5}},
        requires=("sklearn",),
    ),
    EvaluatorSpec(
        name="fine-tune",
        summary="Semi-supervised: the encoder and a net on the feature trained together on the labelled training part.",
        build="harness_probes.fine_tune:FineTune",
        needs=("labels", "inputs", "encoder"),
        metrics=(ACCURACY,),
        options=FineTuneOptions,
        budgets={"fast": {"epochs": 5}, "smoke": {"epochs": 1}},
        tracks=("images", "atari", "synthetic"),
    ),
]


@hookimpl
def harness_evaluators() -> list[EvaluatorSpec]:
    """The probes of this plugin."""
    return EVALUATORS

"""Probes: small classifiers trained on a frozen feature and scored on the protocol's test part."""

from __future__ import annotations

from typing import Annotated

from harness import EvaluatorSpec, Meta, MetricSpec, Options, hookimpl

Strength = Annotated[float, Meta(gt=0)]
"""C, the inverse of the strength of the L2 penalty."""
Neighbours = Annotated[int, Meta(ge=1)]


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
    max_iter: Annotated[int, Meta(ge=1, description="iterations of L-BFGS, raised tenfold once where they do not suffice")] = 1000


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


@hookimpl
def harness_evaluators() -> list[EvaluatorSpec]:
    """The probes of this plugin."""
    return [
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
            summary="The same on standardised features: the probe of Deep Graph Infomax on graphs not seen in training.",
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
    ]

"""Building: the parts of a planned run from their specs, each with its own seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from harness.catalog.catalog import Catalog, Entry
from harness.catalog.finding import titled
from harness.catalog.importing import import_part
from harness.contracts.dataset import DataContext, DataSet
from harness.contracts.encoder import Encoder
from harness.contracts.evaluator import Evaluator
from harness.contracts.objective import Objective, ObjectiveContext
from harness.contracts.options import Options, resolve_options
from harness.contracts.sources import Description
from harness.contracts.specs import DataSetSpec, EncoderSpec, EvaluatorSpec
from harness.errors import HarnessError, PluginError, UnfitError
from harness.ledger.runs import Cell, PlannedRun
from harness.line.seeding import derive_seed, generator, isolated_randomness


def build_dataset(entry: Entry[DataSetSpec], run: PlannedRun, context: DataContext) -> DataSet:
    """Load a data set. Raises DataError, or PluginError when its builder breaks."""
    options = resolve_options("data", entry.spec.options, run.identity.data.options)
    with _blaming(entry, "built"):
        dataset = entry.builder()(context, options)
    if not isinstance(dataset, DataSet):
        raise PluginError(_owner(entry), f"data set {entry.name} was built as {type(dataset).__name__}, not harness.DataSet.")
    return dataset


def prepare_dataset(entry: Entry[DataSetSpec], options: Options, context: DataContext) -> None:
    """Make what a data set's `build` would make first. Raises DataError, or PluginError when that breaks."""
    assert entry.spec.prepare is not None
    with _blaming(entry, "prepared"):
        import_part(entry.spec.prepare, entry)(context, options)


@contextmanager
def _blaming(entry: Entry[DataSetSpec], done: str) -> Iterator[None]:
    """Turn what a data set's own code raises into a PluginError that says what could not be `done`; errors of ours pass."""
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:
        raise PluginError(_owner(entry), f"data set {entry.name} could not be {done}: {type(error).__name__}: {error}.") from error


def check_shape(run: PlannedRun, catalog: Catalog, description: Description) -> None:
    """Raise UnfitError for samples of a shape that the run's encoder does not read; planning could not know every shape."""
    entry = catalog.encoder(run.parts["encoder"])
    if not entry.spec.reads(description.shape):
        fitting = [other.name for other in catalog.entries("encoder") if other.spec.shapes and other.spec.reads(description.shape)]
        advice = f"{' or '.join(fitting)} reads them" if fitting else "`harness list encoders` shows the others"
        raise UnfitError(
            f"Encoder {entry.name} reads samples of shape {entry.spec.shapes_in_words}, and those of data set "
            f"{run.identity.data.name} have {description.shape}; name another with --encoder ({advice}), or bring the data to this "
            "shape."
        )


def build_encoder(run: PlannedRun, catalog: Catalog, description: Description) -> Encoder:
    """The run's encoder with its initial weights, on the CPU."""
    entry = catalog.encoder(run.parts["encoder"])
    options = resolve_options("encoder", entry.spec.options, run.identity.encoder.options)
    seed = derive_seed(run.identity.seed, "encoder")
    with isolated_randomness(seed):
        encoder = entry.builder()(description, options, generator(seed))
    if not isinstance(encoder, Encoder):
        raise PluginError(_owner(entry), f"encoder {entry.name} was built as {type(encoder).__name__}, not a harness.Encoder.")
    declared = [feature.name for feature in entry.spec.features]
    if list(encoder.feature_shapes) != declared:
        raise PluginError(
            _owner(entry),
            f"encoder {entry.name} declares features {declared} and was built with {list(encoder.feature_shapes)}; order counts.",
        )
    return encoder


def build_objective(
    run: PlannedRun,
    catalog: Catalog,
    encoder: Encoder,
    description: Description,
    classes: int | tuple[int, ...] | None,
    multilabel: bool,
) -> Objective:
    """The run's objective around its encoder, on the CPU. Labels' number is passed only to a supervised one."""
    entry = catalog.objective(run.parts["objective"])
    options = resolve_options("objective", entry.spec.options, run.identity.objective.options)
    seed = derive_seed(run.identity.seed, "objective")
    default_feature = next(iter(encoder.feature_shapes))
    supervised = entry.spec.supervised
    context = ObjectiveContext(
        description=description,
        classes=classes if supervised else None,
        multilabel=multilabel if supervised else False,
        decoder=decoder_of(run, catalog, encoder, default_feature) if entry.spec.needs_decoder else None,
    )
    with isolated_randomness(seed):
        objective: Any = entry.builder()(encoder, context, options, generator(seed))
    if not isinstance(objective, Objective):
        raise PluginError(
            _owner(entry), f"objective {entry.name} was built as {type(objective).__name__}, not a harness.Objective."
        )
    return objective


def decoder_of(run: PlannedRun, catalog: Catalog, encoder: Encoder, feature: str) -> Callable[[torch.Generator, float], nn.Module]:
    """What makes fresh mirror decoders of one feature of the run's encoder, on the CPU; called with a generator and a scale.

    It is called while the objective is built or the evaluator runs, and so draws from the random stream of that part. Planning
    refuses objectives and evaluators that need it where the encoder has none.
    """
    return partial(_mirror_decoder, catalog.encoder(run.parts["encoder"]), encoder, feature)


def _mirror_decoder(entry: Entry[EncoderSpec], encoder: Encoder, feature: str, source: torch.Generator, scale: float) -> nn.Module:
    assert entry.spec.decoder is not None
    decoder = import_part(entry.spec.decoder, entry)(encoder, feature, source, scale)
    if not isinstance(decoder, nn.Module):
        raise PluginError(
            _owner(entry), f"the decoder of encoder {entry.name} was built as {type(decoder).__name__}, not a torch.nn.Module."
        )
    return decoder


def build_evaluator(cell: Cell, catalog: Catalog) -> tuple[Evaluator, EvaluatorSpec]:
    """A cell's evaluator with its spec."""
    entry = catalog.evaluator(cell.part)
    options = resolve_options(f"evaluator.{entry.name}", entry.spec.options, cell.evaluator.options)
    evaluator = entry.builder()(options)
    if not isinstance(evaluator, Evaluator):
        raise PluginError(
            _owner(entry), f"evaluator {entry.name} was built as {type(evaluator).__name__}, not a harness.Evaluator."
        )
    return evaluator, entry.spec


def _owner(entry: Entry[Any]) -> str:
    return titled(entry.plugin, entry.distribution, entry.version)

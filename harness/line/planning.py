"""Planning: from a request to runs and cells, with refusals before anything is computed. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from harness.catalog.catalog import Catalog, Entry
from harness.catalog.names import nearest
from harness.contracts.options import Options
from harness.contracts.specs import (
    DataSetSpec,
    EncoderSpec,
    EvaluatorSpec,
    FilesRecipe,
    HubRecipe,
    MethodSpec,
    ObjectiveSpec,
    ProtocolSpec,
    Recipe,
    Spec,
)
from harness.contracts.training import TrainOptions
from harness.errors import OptionError, UnfitError, UnknownNameError, UnpinnedDataError
from harness.ledger.identity import sha256_of
from harness.ledger.records import Component, DataIdentity, ProtocolIdentity, RunIdentity, Training
from harness.ledger.runs import Cell, Plan, PlannedRun
from harness.line.fitting import check_cell, check_evaluator, check_method, encoder_of, why_not
from harness.line.options import (
    PARTS,
    TypedOptions,
    check_budget,
    check_evaluator_options,
    options_of_cell,
    options_of_run,
    shaped,
    typed_options,
)

Precision = Literal["32", "bf16"]


class Request(Struct, frozen=True, kw_only=True):
    """What a user asked for, before any name is looked up."""

    method: str
    data: str
    seeds: tuple[int, ...] = (0,)
    protocol: str | None = None
    encoder: str | None = None
    features: tuple[str, ...] | None = None
    evaluators: tuple[str, ...] | None = None
    options: tuple[str, ...] = ()
    """As typed: "PART.KEY=VALUE"."""
    budget: str = "paper"
    precision: Precision = "32"
    references: bool = True


def plan(request: Request, catalog: Catalog, *, locked_hashes: Mapping[str, str] | None = None, trust_first: bool = False) -> Plan:
    """Turn a request into runs and cells.

    :param locked_hashes: sha256 by file path for data sets that nobody pinned but this user trusted before.
    :param trust_first: plan data sets without a pin (their hashes must then be in `locked_hashes`).
    Raises UsageError (unknown names, unfit combinations, bad options) before anything is computed.
    """
    check_budget(request.budget)
    data = catalog.dataset(request.data)
    method = catalog.method(request.method)
    protocol = _protocol(request, catalog, data)
    typed = typed_options(request.options)
    data = shaped(data, method, request.budget, typed)
    evaluators = _evaluators(request.evaluators or protocol.spec.evaluators, catalog)
    check_evaluator_options(typed, evaluators, catalog)
    draft = _Draft(request, catalog, data, protocol, evaluators, typed, locked_hashes or {}, trust_first)

    compared_encoder = encoder_of(method, data, request.encoder, catalog)
    runs = draft.runs(method, compared_encoder)
    left_out: list[str] = []
    if request.references and method.spec.reference != "with-every-run":
        for reference in catalog.methods():
            if reference.spec.reference != "with-every-run" or not _stands_under(protocol.spec, reference):
                continue
            try:
                encoder = encoder_of(reference, data, None, catalog, compared=compared_encoder)
                runs += draft.runs(reference, encoder, compared=method)
            except UnfitError as reason:
                left_out.append(f"{reference.name}: {reason}")
    return Plan(runs=tuple(runs), left_out=(*left_out, *draft.left_out))


def recipe_sha256(recipe: Recipe, locked_hashes: Mapping[str, str]) -> str:
    """Digest of a data set's recipe, known without loading it.

    It is made of pinned file hashes and version; of repository, commit, files and version; or of generator, version and settings.
    """
    if isinstance(recipe, HubRecipe):
        pinned = {"repository": recipe.repository, "revision": recipe.revision, "files": recipe.files, "version": recipe.version}
        return sha256_of(pinned)
    if not isinstance(recipe, FilesRecipe):
        return sha256_of(recipe)
    files = {file.path: file.sha256 or locked_hashes.get(file.path, "") for file in recipe.files}
    return sha256_of({"files": files, "version": recipe.version})


def plan_evaluation(
    run: PlannedRun, evaluators: Sequence[str], features: Sequence[str] | None, options: Sequence[str], catalog: Catalog
) -> PlannedRun:
    """The same run with other cells: these evaluators on these features (default: those it was planned with)."""
    entries = _evaluators(evaluators, catalog)
    typed = typed_options(options)
    if foreign := [part for part in typed if part in PARTS]:
        raise OptionError(
            f"Option part {foreign[0]!r} belongs to the training, which is done; here only evaluator.NAME takes options."
        )
    check_evaluator_options(typed, entries, catalog)
    data, encoder = catalog.dataset(run.parts["data"]), catalog.encoder(run.parts["encoder"])
    offered = [feature.name for feature in encoder.spec.features]
    chosen = list(dict.fromkeys(features or [cell.feature for cell in run.cells]))
    for name in chosen:
        if name not in offered:
            raise UnknownNameError(f"feature of encoder {encoder.name}", name, nearest(name, offered), offered)
    for entry in entries:
        check_evaluator(entry, data, catalog)
        for name in chosen:
            check_cell(entry, encoder, name, data, catalog)
    cells = tuple(_cell(entry, feature, run.budget, typed) for feature in chosen for entry in entries)
    return msgspec.structs.replace(run, cells=cells, passed={**run.passed, "options": [*run.passed.get("options", []), *options]})


class _Draft:
    """What all runs of one request share."""

    def __init__(
        self,
        request: Request,
        catalog: Catalog,
        data: Entry[DataSetSpec],
        protocol: Entry[ProtocolSpec],
        evaluators: Sequence[Entry[EvaluatorSpec]],
        typed: TypedOptions,
        locked_hashes: Mapping[str, str],
        trust_first: bool,
    ) -> None:
        self.request, self.catalog, self.data, self.protocol = request, catalog, data, protocol
        self.evaluators, self.typed, self.locked_hashes, self.trust_first = evaluators, typed, locked_hashes, trust_first
        self.left_out: list[str] = []
        """Cells of reference rows that are not defined, each with its reason."""

    def runs(
        self, method: Entry[MethodSpec], encoder: Entry[EncoderSpec], compared: Entry[MethodSpec] | None = None
    ) -> list[PlannedRun]:
        """The runs of one method, one per seed. `compared` is the method beside which a reference row stands."""
        objective = self.catalog.objective(method.spec.objective)
        check_method(method, encoder, objective, self.data, self.catalog)
        chosen = options_of_run(
            method,
            self.data,
            encoder,
            objective,
            budget=self.request.budget,
            typed=self.typed,
            compared=compared,
            encoder_asked=self.request.encoder is not None,
        )
        if objective.spec.sampling:
            _check_batch_size(objective, encoder, chosen.train.batch_size)
        features = self._features(method.spec, encoder, compared)
        trusted_first = check_pins(self.data.spec, self.locked_hashes, trust_first=self.trust_first)
        judged = self._judged(method, encoder, features, compared)
        parts = {"method": method, "encoder": encoder, "objective": objective, "data": self.data, "protocol": self.protocol}
        cells = tuple(_cell(evaluator, feature, self.request.budget, self.typed) for feature, evaluator in judged)
        training, data = self._training(objective.spec, chosen.train), self._data_identity(chosen.data)
        return [
            PlannedRun(
                identity=RunIdentity(
                    method=_component(method, Options()),
                    encoder=_component(encoder, chosen.encoder),
                    objective=_component(objective, chosen.objective),
                    training=training,
                    data=data,
                    protocol=ProtocolIdentity(id=self.protocol.spec.name, version=self.protocol.spec.version),
                    seed=seed,
                ),
                cells=cells,
                parts={part: entry.full_name for part, entry in parts.items()},
                budget=self.request.budget,
                reference=method.spec.reference != "none",
                supervised=objective.spec.supervised,
                trusted_first=trusted_first,
                passed={"options": list(self.request.options), "encoder": self.request.encoder},
            )
            for seed in dict.fromkeys(self.request.seeds)
        ]

    def _training(self, objective: ObjectiveSpec, train: TrainOptions) -> Training:
        """How the run trains; what does not matter, since the objective reads no batches, is left out of its identity."""
        if not set(objective.sampling) & set(self.data.spec.sampling):
            return Training(
                batch_size=None, epochs=None, patience=None, restore_best=False, compile=False, precision=self.request.precision
            )
        return Training(
            batch_size=train.batch_size,
            epochs=train.epochs,
            patience=train.patience,
            restore_best=train.restore_best,
            compile=train.compile,
            precision=self.request.precision,
        )

    def _data_identity(self, options: Options) -> DataIdentity:
        spec = self.data.spec
        return DataIdentity(
            name=self.data.name,
            distribution=self.data.distribution,
            spec_version=spec.version,
            revision=spec.revision,
            recipe_sha256=recipe_sha256(spec.recipe, self.locked_hashes),
            options=msgspec.to_builtins(options),
        )

    def _features(self, method: MethodSpec, encoder: Entry[EncoderSpec], compared: Entry[MethodSpec] | None) -> tuple[str, ...]:
        offered = [feature.name for feature in encoder.spec.features]
        asked = tuple(dict.fromkeys(self.request.features or ()))
        if not asked:
            chosen = method.features or (compared.spec.features if compared else ()) or self.protocol.spec.features
            return tuple(name for name in chosen if name in offered) or (offered[0],)
        if compared is not None:
            return tuple(name for name in asked if name in offered) or (offered[0],)
        for name in asked:
            if name not in offered:
                raise UnknownNameError(f"feature of encoder {encoder.name}", name, nearest(name, offered), offered)
        return asked

    def _judged(
        self,
        method: Entry[MethodSpec],
        encoder: Entry[EncoderSpec],
        features: Sequence[str],
        compared: Entry[MethodSpec] | None,
    ) -> list[tuple[str, Entry[EvaluatorSpec]]]:
        """The features with the evaluators that judge them.

        A reference row keeps the cells it can have, and the others are noted; any other method must have all of them.
        """
        for evaluator in self.evaluators:
            check_evaluator(evaluator, self.data, self.catalog)
        every = [(feature, evaluator) for feature in features for evaluator in self.evaluators]
        defined = [(feature, evaluator) for feature, evaluator in every if not why_not(evaluator.spec, encoder, feature)]
        if compared is None or not defined:
            for feature, evaluator in every:
                check_cell(evaluator, encoder, feature, self.data, self.catalog)
        self.left_out += [
            f"{method.name} judged by {evaluator.name} on {feature}: {why_not(evaluator.spec, encoder, feature)}."
            for feature, evaluator in every
            if (feature, evaluator) not in defined
        ]
        return defined


def _evaluators(names: Iterable[str], catalog: Catalog) -> list[Entry[EvaluatorSpec]]:
    """The evaluators of these names, each once."""
    return list({entry.full_name: entry for entry in (catalog.evaluator(name) for name in names)}.values())


def _cell(evaluator: Entry[EvaluatorSpec], feature: str, budget: str, typed: TypedOptions) -> Cell:
    return Cell(
        part=evaluator.full_name, evaluator=_component(evaluator, options_of_cell(evaluator, budget, typed)), feature=feature
    )


def check_pins(spec: DataSetSpec, locked_hashes: Mapping[str, str], *, trust_first: bool) -> bool:
    """Whether a data set rests on hashes taken on first sight. Raises UnpinnedDataError unless they were, or may be, trusted."""
    unpinned = [file.path for file in spec.recipe.files if file.sha256 is None] if isinstance(spec.recipe, FilesRecipe) else []
    if unpinned and not (trust_first or all(path in locked_hashes for path in unpinned)):
        raise UnpinnedDataError(
            f"Nobody has pinned the sha256 of data set {spec.name} ({unpinned[0]}, ...); "
            "add --trust-first to take the files' hashes as they are now (its rows are then marked)."
        )
    return bool(unpinned)


def _stands_under(protocol: ProtocolSpec, reference: Entry[MethodSpec]) -> bool:
    """Whether a protocol has this reference row."""
    return protocol.references is None or reference.spec.name in protocol.references


def _check_batch_size(objective: Entry[ObjectiveSpec], encoder: Entry[EncoderSpec], batch_size: int) -> None:
    """Raise UnfitError for batches that the objective or the encoder cannot be trained on."""
    least, why = max(
        (objective.spec.smallest_batch, f"Objective {objective.name} compares a sample with others of its batch"),
        (encoder.spec.smallest_batch, f"Encoder {encoder.name} normalises over its batch"),
    )
    if batch_size < least:
        raise UnfitError(f"{why} and needs batches of {least} or more; train.batch_size is {batch_size}.")


def _protocol(request: Request, catalog: Catalog, data: Entry[DataSetSpec]) -> Entry[ProtocolSpec]:
    offered = data.spec.protocols
    if request.protocol is None:
        return catalog.protocol(offered[0])
    protocol = catalog.protocol(request.protocol)
    if protocol.spec.name not in offered and protocol.full_name not in offered:
        raise UnfitError(f"Data set {data.name} is not judged under protocol {request.protocol}; it has {', '.join(offered)}.")
    return protocol


def _component(entry: Entry[Spec], options: Options) -> Component:
    return Component(
        name=entry.name,
        distribution=entry.distribution,
        spec_version=entry.spec.version,
        options=msgspec.to_builtins(options),
    )

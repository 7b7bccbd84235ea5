"""Planning: from a request to runs and cells, with refusals before anything is computed. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from harness.catalog.catalog import Catalog, Entry
from harness.catalog.names import nearest
from harness.contracts.options import Options, parse_assignment, resolve_options
from harness.contracts.specs import (
    BUDGETS,
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

Precision = Literal["32", "bf16"]

O = TypeVar("O", bound=Options)  # noqa: E741 (the field's usual one-letter type variable)
PartLayer = Mapping[str, Mapping[str, Any]]

PARTS = ("data", "encoder", "objective", "train")
"""Parts of a run that take options; `evaluator.NAME` is the fifth."""


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
    _check_budget(request.budget)
    data = catalog.dataset(request.data)
    method = catalog.method(request.method)
    protocol = _protocol(request, catalog, data)
    typed = _typed_options(request.options)
    data = _shaped(data, method, request.budget, typed)
    evaluators = _evaluators(request.evaluators or protocol.spec.evaluators, catalog)
    _check_evaluator_options(typed, evaluators, catalog)
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
    typed = _typed_options(options)
    if foreign := [part for part in typed if part in PARTS]:
        raise OptionError(
            f"Option part {foreign[0]!r} belongs to the training, which is done; here only evaluator.NAME takes options."
        )
    _check_evaluator_options(typed, entries, catalog)
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


@dataclass(frozen=True)
class _Chosen:
    """Options of the parts of a run."""

    data: Options
    encoder: Options
    objective: Options
    train: TrainOptions


class _Draft:
    """What all runs of one request share."""

    def __init__(
        self,
        request: Request,
        catalog: Catalog,
        data: Entry[DataSetSpec],
        protocol: Entry[ProtocolSpec],
        evaluators: Sequence[Entry[EvaluatorSpec]],
        typed: Mapping[str, Mapping[str, Any]],
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
        chosen = self._options(method, encoder, objective, compared)
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

    def _options(
        self,
        method: Entry[MethodSpec],
        encoder: Entry[EncoderSpec],
        objective: Entry[ObjectiveSpec],
        compared: Entry[MethodSpec] | None,
    ) -> _Chosen:
        """The options of all parts of a run, from its method's recipe and what was typed."""
        layers = _layers(method.spec, self.data.spec, self.request.budget, default_budget=compared is not None)
        # A reference row is given the compared method's data and encoder options, so that only the training differs.
        shared = _layers(compared.spec, self.data.spec, self.request.budget) if compared else layers
        same_encoder = compared is None or method.spec.encoders.get("*") == "*"
        # A recipe's values for the data set, or for an encoder that is not its own, hold where the part has such an option.
        shared_data = _where_known("data", self.data.spec.options, shared)
        encoder_layers = shared if same_encoder else layers
        if self.request.encoder is not None:
            encoder_layers = _where_known("encoder", encoder.spec.options, encoder_layers)
        return _Chosen(
            data=self._resolve("data", self.data.spec.options, shared_data, True),
            encoder=self._resolve("encoder", encoder.spec.options, encoder_layers, same_encoder),
            objective=self._resolve("objective", objective.spec.options, layers, compared is None),
            train=self._resolve("train", TrainOptions, layers, compared is None),
        )

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

    def _resolve(self, part: str, options: type[O], layers: Sequence[PartLayer], typed: bool) -> O:
        own = [layer[part] for layer in layers if part in layer]
        return resolve_options(part, options, *own, self.typed.get(part, {}) if typed else {})

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


def _cell(evaluator: Entry[EvaluatorSpec], feature: str, budget: str, typed: Mapping[str, Mapping[str, Any]]) -> Cell:
    part = f"evaluator.{evaluator.name}"
    given = [typed.get(f"evaluator.{name}", {}) for name in (evaluator.name, evaluator.full_name)]
    options = resolve_options(part, evaluator.spec.options, evaluator.spec.budgets.get(budget, {}), *given)
    return Cell(part=evaluator.full_name, evaluator=_component(evaluator, options), feature=feature)


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


def _layers(method: MethodSpec, data: DataSetSpec, budget: str, default_budget: bool = False) -> list[PartLayer]:
    """Option layers of a data set and a method's recipe on it, weakest first."""
    if budget != "paper" and budget not in method.budgets and not default_budget and method.reference == "none":
        offered = ", ".join(["paper", *(name for name in method.budgets if name != "paper")])
        raise UnfitError(f"Method {method.name} has no budget {budget!r}; it has {offered}.")
    own = [method.data_options.get(name, {}) for name in (data.track, data.name)]
    own_budgets = [method.data_budgets.get(name, {}).get(budget, {}) for name in (data.track, data.name)]
    return [{"data": data.budgets.get(budget, {})}, method.options, *own, method.budgets.get(budget, {}), *own_budgets]


def data_options(data: DataSetSpec, budget: str, options: Sequence[str] = ()) -> Options:
    """A data set's own options under a budget and values as typed. Raises UsageError where there is no such budget or option."""
    _check_budget(budget)
    typed = _typed_options(options)
    if foreign := [part for part in typed if part != "data"]:
        raise OptionError(f"Option part {foreign[0]!r} is none of a data set's; here only data.KEY=VALUE is taken.")
    return resolve_options("data", data.options, data.budgets.get(budget, {}), typed.get("data", {}))


def _shaped(
    data: Entry[DataSetSpec], method: Entry[MethodSpec], budget: str, typed: Mapping[str, Mapping[str, Any]]
) -> Entry[DataSetSpec]:
    """The data set with the shape that its samples have under the options of this request."""
    layers = _where_known("data", data.spec.options, _layers(method.spec, data.spec, budget))
    options = resolve_options("data", data.spec.options, *(layer["data"] for layer in layers), typed.get("data", {}))
    shape = data.spec.shape_under(options)
    return data if shape == data.spec.shape else msgspec.structs.replace(data, spec=msgspec.structs.replace(data.spec, shape=shape))


def _where_known(part: str, options: type[Options], layers: Sequence[PartLayer]) -> list[PartLayer]:
    """The layers without the keys of `part` that its options class does not have."""
    known = {field.name for field in msgspec.structs.fields(options)}
    return [{part: {key: value for key, value in layer.get(part, {}).items() if key in known}} for layer in layers]


def _protocol(request: Request, catalog: Catalog, data: Entry[DataSetSpec]) -> Entry[ProtocolSpec]:
    offered = data.spec.protocols
    if request.protocol is None:
        return catalog.protocol(offered[0])
    protocol = catalog.protocol(request.protocol)
    if protocol.spec.name not in offered and protocol.full_name not in offered:
        raise UnfitError(f"Data set {data.name} is not judged under protocol {request.protocol}; it has {', '.join(offered)}.")
    return protocol


def _typed_options(assignments: Sequence[str]) -> dict[str, dict[str, Any]]:
    typed: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        part, key, value = parse_assignment(assignment)
        if part not in PARTS and not part.startswith("evaluator."):
            close = nearest(part, PARTS, count=1)
            hint = f"did you mean {close[0]}?" if close else f"parts are {', '.join(PARTS)} and evaluator.NAME."
            raise OptionError(f"Option {assignment!r} names no part of a run; {hint}")
        typed.setdefault(part, {})[key] = value
    return typed


def _check_evaluator_options(
    typed: Mapping[str, Mapping[str, Any]], evaluators: Sequence[Entry[EvaluatorSpec]], catalog: Catalog
) -> None:
    names = [name for evaluator in evaluators for name in (evaluator.name, evaluator.full_name)]
    for part in typed:
        name = part.removeprefix("evaluator.")
        if part not in PARTS and name not in names:
            catalog.evaluator(name)  # an unknown name is the better message
            raise OptionError(
                f"Option {part}.{next(iter(typed[part]))} is for an evaluator that is not used; add it to --evaluators."
            )


def _check_budget(budget: str) -> None:
    if budget not in BUDGETS:
        raise UnknownNameError("budget", budget, nearest(budget, BUDGETS), BUDGETS)


def _component(entry: Entry[Spec], options: Options) -> Component:
    return Component(
        name=entry.name,
        distribution=entry.distribution,
        spec_version=entry.spec.version,
        options=msgspec.to_builtins(options),
    )

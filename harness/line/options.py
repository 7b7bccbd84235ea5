"""Which options each part of a run gets: defaults, then the data set, the recipe and its budget, then what was typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from harness.catalog.catalog import Catalog, Entry
from harness.catalog.names import nearest
from harness.contracts.options import Options, parse_assignment, resolve_options
from harness.contracts.specs import BUDGETS, DataSetSpec, EncoderSpec, EvaluatorSpec, MethodSpec, ObjectiveSpec
from harness.contracts.training import TrainOptions
from harness.errors import OptionError, UnfitError, UnknownNameError

O = TypeVar("O", bound=Options)  # noqa: E741 (the field's usual one-letter type variable)
TypedOptions = Mapping[str, Mapping[str, Any]]
"""Values by key by part, as a user gave them."""
PartLayer = Mapping[str, Mapping[str, Any]]
"""Values by key by part, as a spec has them; of several layers the last that has a key holds."""

PARTS = ("data", "encoder", "objective", "train")
"""Parts of a run that take options; `evaluator.NAME` is the fifth."""


@dataclass(frozen=True)
class RunOptions:
    """Options of the parts of a run."""

    data: Options
    encoder: Options
    objective: Options
    train: TrainOptions


def options_of_run(
    method: Entry[MethodSpec],
    data: Entry[DataSetSpec],
    encoder: Entry[EncoderSpec],
    objective: Entry[ObjectiveSpec],
    *,
    budget: str,
    typed: TypedOptions,
    compared: Entry[MethodSpec] | None = None,
    encoder_asked: bool = False,
) -> RunOptions:
    """The options of all parts of a run, from its method's recipe and what was typed.

    :param compared: the method beside which a reference row stands.
    :param encoder_asked: whether the encoder is one that the user named, and may not be the recipe's own.
    Raises UsageError for an unknown option or budget or an ill-typed value.
    """
    layers = _layers(method.spec, data.spec, budget, default_budget=compared is not None)
    # A reference row is given the compared method's data and encoder options, so that only the training differs.
    shared = _layers(compared.spec, data.spec, budget) if compared else layers
    same_encoder = compared is None or method.spec.encoders.get("*") == "*"
    # A recipe's values for the data set, or for an encoder that is not its own, hold where the part has such an option.
    shared_data = _where_known("data", data.spec.options, shared)
    encoder_layers = shared if same_encoder else layers
    if encoder_asked:
        encoder_layers = _where_known("encoder", encoder.spec.options, encoder_layers)
    nothing: TypedOptions = {}
    own = typed if compared is None else nothing
    return RunOptions(
        data=_resolve("data", data.spec.options, shared_data, typed),
        encoder=_resolve("encoder", encoder.spec.options, encoder_layers, typed if same_encoder else nothing),
        objective=_resolve("objective", objective.spec.options, layers, own),
        train=_resolve("train", TrainOptions, layers, own),
    )


def options_of_cell(evaluator: Entry[EvaluatorSpec], budget: str, typed: TypedOptions) -> Options:
    """The options of an evaluator under a budget, which may be typed under its short or its full name."""
    given = [typed.get(f"evaluator.{name}", {}) for name in (evaluator.name, evaluator.full_name)]
    part = f"evaluator.{evaluator.name}"
    return resolve_options(part, evaluator.spec.options, evaluator.spec.budgets.get(budget, {}), *given)


def data_options(data: DataSetSpec, budget: str, options: Sequence[str] = ()) -> Options:
    """A data set's own options under a budget and values as typed. Raises UsageError where there is no such budget or option."""
    check_budget(budget)
    typed = typed_options(options)
    if foreign := [part for part in typed if part != "data"]:
        raise OptionError(f"Option part {foreign[0]!r} is none of a data set's; here only data.KEY=VALUE is taken.")
    return resolve_options("data", data.options, data.budgets.get(budget, {}), typed.get("data", {}))


def shaped(data: Entry[DataSetSpec], method: Entry[MethodSpec], budget: str, typed: TypedOptions) -> Entry[DataSetSpec]:
    """The data set with the shape that its samples have under the options of this request."""
    layers = _where_known("data", data.spec.options, _layers(method.spec, data.spec, budget))
    options = resolve_options("data", data.spec.options, *(layer["data"] for layer in layers), typed.get("data", {}))
    shape = data.spec.shape_under(options)
    return data if shape == data.spec.shape else msgspec.structs.replace(data, spec=msgspec.structs.replace(data.spec, shape=shape))


def typed_options(assignments: Sequence[str]) -> TypedOptions:
    """Assignments "PART.KEY=VALUE" by part. Raises OptionError for one that is ill-formed or names no part."""
    typed: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        part, key, value = parse_assignment(assignment)
        if part not in PARTS and not part.startswith("evaluator."):
            close = nearest(part, PARTS, count=1)
            hint = f"did you mean {close[0]}?" if close else f"parts are {', '.join(PARTS)} and evaluator.NAME."
            raise OptionError(f"Option {assignment!r} names no part of a run; {hint}")
        typed.setdefault(part, {})[key] = value
    return typed


def check_evaluator_options(typed: TypedOptions, evaluators: Sequence[Entry[EvaluatorSpec]], catalog: Catalog) -> None:
    """Raise UsageError for options of an evaluator that there is not, or that is not used."""
    names = [name for evaluator in evaluators for name in (evaluator.name, evaluator.full_name)]
    for part in typed:
        name = part.removeprefix("evaluator.")
        if part not in PARTS and name not in names:
            catalog.evaluator(name)  # an unknown name is the better message
            raise OptionError(
                f"Option {part}.{next(iter(typed[part]))} is for an evaluator that is not used; add it to --evaluators."
            )


def check_budget(budget: str) -> None:
    """Raise UnknownNameError unless there is this budget."""
    if budget not in BUDGETS:
        raise UnknownNameError("budget", budget, nearest(budget, BUDGETS), BUDGETS)


def _layers(method: MethodSpec, data: DataSetSpec, budget: str, default_budget: bool = False) -> list[PartLayer]:
    """Option layers of a data set and a method's recipe on it, weakest first."""
    if budget != "paper" and budget not in method.budgets and not default_budget and method.reference == "none":
        offered = ", ".join(["paper", *(name for name in method.budgets if name != "paper")])
        raise UnfitError(f"Method {method.name} has no budget {budget!r}; it has {offered}.")
    own = [method.data_options.get(name, {}) for name in (data.track, data.name)]
    own_budgets = [method.data_budgets.get(name, {}).get(budget, {}) for name in (data.track, data.name)]
    return [{"data": data.budgets.get(budget, {})}, method.options, *own, method.budgets.get(budget, {}), *own_budgets]


def _where_known(part: str, options: type[Options], layers: Sequence[PartLayer]) -> list[PartLayer]:
    """The layers without the keys of `part` that its options class does not have."""
    known = {field.name for field in msgspec.structs.fields(options)}
    return [{part: {key: value for key, value in layer.get(part, {}).items() if key in known}} for layer in layers]


def _resolve(part: str, options: type[O], layers: Sequence[PartLayer], typed: TypedOptions) -> O:
    return resolve_options(part, options, *(layer[part] for layer in layers if part in layer), typed.get(part, {}))

"""Options: one frozen, typed class per part, validated by msgspec.

    class AutoencoderOptions(Options):
        lr: Annotated[float, Meta(gt=0, description="Adam's learning rate")] = 1e-3

A field's description is its help text. `-o PART.KEY=VALUE` reaches these fields; an unknown key or an ill-typed
value is an `OptionError` that names the nearest right key. This module imports nothing heavy.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from harness.errors import OptionError

__all__ = ["Meta", "OptionField", "Options", "describe_options", "parse_assignment", "resolve_options"]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every options class. On its own it means: no options."""


O = TypeVar("O", bound=Options)  # noqa: E741 (the field's usual one-letter type variable)


class OptionField(Struct, frozen=True):
    """One line of an options class as shown by `harness show`."""

    name: str
    type: str
    default: Any
    description: str


def describe_options(options: type[Options]) -> list[OptionField]:
    """Fields of an options class in the order they are declared."""
    fields: list[OptionField] = []
    resolved = msgspec.inspect.type_info(options)
    assert isinstance(resolved, msgspec.inspect.StructType)
    for field in resolved.fields:
        meta = field.type if isinstance(field.type, msgspec.inspect.Metadata) else None
        description = (meta.extra_json_schema or {}).get("description", "") if meta else ""
        shown = meta.type if meta else field.type
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        else:
            default = None if field.default is msgspec.NODEFAULT else field.default
        fields.append(OptionField(field.name, _type_name(shown), default, description))
    return fields


def resolve_options(part: str, options: type[O], *layers: Mapping[str, Any]) -> O:
    """Merge `layers` (later ones win) over the defaults of `options` and validate the result.

    Values that arrive as text are read by the field's type ("1e-3" for a float, "64, 32" or "[64, 32]" for a list).
    Raises OptionError naming `part`, the key and what was expected.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update(layer)
    known = [field.name for field in msgspec.structs.fields(options)]
    for key in merged:
        if key not in known:
            raise OptionError(_unknown_key(part, key, known))
    kinds = {field.name: field.type for field in msgspec.structs.fields(options)}
    read = {key: _read(value, kinds[key]) for key, value in merged.items()}
    try:
        resolved = msgspec.convert(read, options, strict=False)
    except msgspec.ValidationError as error:
        raise OptionError(f"Option {_place(part, str(error), merged, options)}.") from None
    for key, value in msgspec.structs.asdict(resolved).items():
        if not _is_finite(value):
            raise OptionError(f"Option {part}.{key}={merged.get(key, value)!r}: a finite number is expected.")
    return resolved


def _read(value: Any, kind: Any) -> Any:
    """A value as msgspec takes it: the word "none", and several values separated by commas, are typed as text."""
    if _means_none(value, kind):
        return None
    if isinstance(value, str) and _is_list(msgspec.inspect.type_info(kind)):
        return [piece.strip() for piece in value.split(",") if piece.strip()]
    return value


def _is_list(info: msgspec.inspect.Type) -> bool:
    if isinstance(info, msgspec.inspect.Metadata):
        return _is_list(info.type)
    return isinstance(info, msgspec.inspect.VarTupleType | msgspec.inspect.ListType)


def _means_none(value: Any, kind: Any) -> bool:
    """Whether "none" is typed for a field that can be None and cannot be that word."""
    if not (isinstance(value, str) and value.lower() == "none"):
        return False
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return _accepts_none(kind)
    return False


def _accepts_none(kind: Any) -> bool:
    try:
        msgspec.convert(None, kind)
    except msgspec.ValidationError:
        return False
    return True


def _is_finite(value: Any) -> bool:
    """Whether no float in a value of an option is NaN or infinite: a record could not hold it."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(_is_finite(each) for each in value.values())
    return not isinstance(value, list | tuple | set | frozenset) or all(_is_finite(each) for each in value)


def parse_assignment(text: str) -> tuple[str, str, Any]:
    """Split "PART.KEY=VALUE" into its three pieces; PART may itself hold dots ("evaluator.svm").

    A value that starts like a JSON list or object is read as JSON; every other value stays text until the field's
    type is known. Raises OptionError when the text has another form.
    """
    path, equals, value = text.partition("=")
    part, dot, key = path.strip().rpartition(".")
    if not (equals and dot and part and key):
        raise OptionError(f"Option {text!r} is not of the form PART.KEY=VALUE, for example objective.lr=1e-3.")
    value = value.strip()
    if value[:1] in ("[", "{"):
        try:
            return part, key, json.loads(value)
        except ValueError:
            raise OptionError(f"The value of option {text!r} is not valid JSON.") from None
    return part, key, value


def _unknown_key(part: str, key: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(key, known, n=1)
    if nearest:
        return f"Option {part}.{key} does not exist; did you mean {part}.{nearest[0]}?"
    if known:
        return f"Option {part}.{key} does not exist; {part} has {', '.join(known)}."
    return f"Option {part}.{key} does not exist; {part} takes no options."


def _place(part: str, message: str, merged: Mapping[str, Any], options: type[Options]) -> str:
    """Turn msgspec's "Expected `float`, got `str` - at `$.lr`" into a sentence with the value that was given."""
    reason, _, where = message.partition(" - at `$.")
    key = where.rstrip("`").split("[")[0].split(".")[0]
    if reason.startswith("Invalid enum value"):
        words = next(field.type for field in describe_options(options) if field.name == key)
        near = difflib.get_close_matches(str(merged.get(key)), words.split(" | "), n=1)
        reason = f"Did you mean {near[0]}? It is one of {words}" if near else f"Expected one of {words}"
    if key in merged:
        return f"{part}.{key}={merged[key]!r}: {reason[0].lower()}{reason[1:]}"
    return f"{part}: {reason[0].lower()}{reason[1:]}"


def _type_name(info: msgspec.inspect.Type) -> str:
    """The words `harness show` uses for a type."""
    if isinstance(info, msgspec.inspect.Metadata):
        return _type_name(info.type)
    if isinstance(info, msgspec.inspect.LiteralType):
        return " | ".join(str(value) for value in info.values)
    if isinstance(info, msgspec.inspect.UnionType):
        return " | ".join(_type_name(kind) for kind in info.types)
    if isinstance(info, msgspec.inspect.VarTupleType | msgspec.inspect.ListType):
        return f"list of {_type_name(info.item_type)}"
    return type(info).__name__.removesuffix("Type").lower()

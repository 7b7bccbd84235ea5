"""Checks of the values that plugins register, since a type annotation stops nobody at run time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import singledispatch
from pathlib import PurePosixPath
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from harness.catalog.names import LONGEST_NAME, is_build, is_feature_name, is_name
from harness.contracts.options import Options, resolve_options
from harness.contracts.specs import (
    BUDGETS,
    DataSetFamilySpec,
    DataSetSpec,
    EncoderSpec,
    EvaluatorSpec,
    FileSpec,
    FilesRecipe,
    HubRecipe,
    MethodSpec,
    MetricSpec,
    ObjectiveSpec,
    PictureSpec,
    ProtocolSpec,
    PublishedNumber,
    Spec,
    SuiteSpec,
)
from harness.errors import OptionError

P = TypeVar("P", bound=Struct)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_SUITE_PATH = re.compile(r"[A-Za-z_][\w.]*:[^:\\]+\.toml")
_RUN_PARTS = ("data", "encoder", "objective", "train")


class SpecError(ValueError):
    """A registered value breaks its contract; the text says which field and why."""


def checked(part: P, is_part_name: Callable[[str], bool] = is_name) -> P:
    """`part` with every field of its declared type.

    :param is_part_name: whether a name is allowed; data sets of a family have names of another form.
    Raises SpecError listing all that is wrong.
    """
    subject = describe(part)
    try:
        typed = msgspec.convert(_plain(part), type(part))
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$.")
        field = where.rstrip("`")
        place = f"field {field}: " if field else ""
        raise SpecError(f"{subject}: {place}{reason[0].lower()}{reason[1:]}") from None
    except TypeError as error:
        raise SpecError(f"{subject}: {error}") from None
    wrong = list(_common(typed, is_part_name)) if isinstance(typed, Spec) else []
    wrong += _complaints(typed)
    if wrong:
        raise SpecError(f"{subject}: {'; '.join(wrong)}")
    return typed


def describe(part: Struct) -> str:
    """What messages call a part: "EncoderSpec 'tiny'"."""
    if isinstance(part, PublishedNumber):
        return f"PublishedNumber of {part.method!r} on {part.data!r}"
    if isinstance(part, DataSetFamilySpec):
        return f"DataSetFamilySpec {part.prefix!r}"
    return f"{type(part).__name__} {getattr(part, 'name', '')!r}"


def _plain(value: Any) -> Any:
    """Structs as dictionaries all the way down, for msgspec does not look into a struct that is one already."""
    if isinstance(value, Struct):
        plain = {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
        config = value.__struct_config__
        return plain if config.tag_field is None else {config.tag_field: config.tag, **plain}
    if type(value) in (tuple, list):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


# ------------------------------------------------------------------------------------------- what may be wrong


def _common(spec: Spec, is_part_name: Callable[[str], bool]) -> Iterator[str]:
    if not is_part_name(spec.name):
        yield f"a name has lower-case letters, digits and single hyphens, {LONGEST_NAME} characters at most"
    yield from _summary(spec.summary)
    if spec.version < 1:
        yield "version counts from 1"


@singledispatch
def _complaints(part: Struct) -> Iterator[str]:
    """What is wrong with the values of a part whose fields have the right types."""
    yield from ()


@_complaints.register
def _(spec: DataSetSpec) -> Iterator[str]:
    yield from _build("build", spec.build)
    if spec.prepare is not None:
        yield from _build("prepare", spec.prepare)
    yield from _options(spec.options)
    yield from _option_budgets(spec.options, spec.budgets)
    yield from _imports(spec.requires)
    for field in ("kind", "revision"):
        if not getattr(spec, field):
            yield f"{field} is empty"
    for field in ("protocols", "sampling"):
        if not getattr(spec, field):
            yield f"{field} is empty; a data set has at least one"
    if extra := set(spec.annotations) - {"labels", "factors", "truth"}:
        yield f"annotations are labels, factors or truth, not {', '.join(sorted(extra))}"
    if any(size < 1 for size in (*(spec.shape or ()), spec.samples, spec.classes) if size is not None):
        yield "shape, samples and classes are positive"
    if isinstance(spec.recipe, FilesRecipe):
        if not spec.recipe.files:
            yield "recipe.files is empty; data that needs no file has a GeneratedRecipe"
        yield from _repeated("recipe file", [file.path for file in spec.recipe.files])
        for file in spec.recipe.files:
            yield from _complaints(file)
        if spec.recipe.elsewhere is not None:
            yield from _complaints(spec.recipe.elsewhere)
    if isinstance(spec.recipe, HubRecipe):
        yield from _complaints(spec.recipe)


@_complaints.register
def _(file: FileSpec) -> Iterator[str]:
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in file.path or ":" in file.path:
        yield f"file path {file.path!r} is not a plain relative path with forward slashes"
    if file.sha256 is not None and not _SHA256.fullmatch(file.sha256):
        yield f"the sha256 of {file.path} is not 64 lower-case hexadecimal digits"
    if file.url is not None and not file.url.startswith(("https://", "http://")):
        yield f"the url of {file.path} does not start with https://"
    if file.size is not None and file.size < 0:
        yield f"the size of {file.path} is negative"


@_complaints.register
def _(recipe: HubRecipe) -> Iterator[str]:
    if not _REPOSITORY.fullmatch(recipe.repository):
        yield f"repository {recipe.repository!r} is not of the form owner/name"
    if not _COMMIT.fullmatch(recipe.revision):
        yield f"revision {recipe.revision!r} is not a commit of 40 lower-case hexadecimal digits"
    if not recipe.files:
        yield "recipe.files is empty; a hub recipe names the files it reads"
    yield from _repeated("recipe file", recipe.files)
    for file in recipe.files:
        yield from _complaints(FileSpec(path=file, sha256=None))


@_complaints.register
def _(family: DataSetFamilySpec) -> Iterator[str]:
    if not is_name(family.prefix):
        yield "a prefix has lower-case letters, digits and single hyphens, and no colon"
    yield from _summary(family.summary)
    yield from _build("resolve", family.resolve)
    if not family.example:
        yield "example is empty"


@_complaints.register
def _(spec: EncoderSpec) -> Iterator[str]:
    yield from _build("build", spec.build)
    if spec.decoder is not None:
        yield from _build("decoder", spec.decoder)
    yield from _options(spec.options)
    yield from _imports(spec.requires)
    if spec.smallest_batch < 1:
        yield "smallest_batch counts from 1"
    if not all(spec.kinds) or not spec.kinds:
        yield 'kinds is empty; name the kinds of batch it reads, or ("*",) for any'
    if not spec.features:
        yield "features is empty; an encoder offers at least one feature"
    names = [feature.name for feature in spec.features]
    yield from _repeated("feature", names)
    for name in names:
        if not is_feature_name(name):
            yield f"feature name {name!r} has other characters than lower-case letters, digits and single -, _ or ."


@_complaints.register
def _(spec: ObjectiveSpec) -> Iterator[str]:
    yield from _build("build", spec.build)
    yield from _options(spec.options)
    yield from _imports(spec.requires)
    if not all(spec.sampling):
        yield "sampling holds an empty word"
    if spec.smallest_batch < 1:
        yield "smallest_batch counts from 1"


@_complaints.register
def _(spec: MethodSpec) -> Iterator[str]:
    if not spec.objective:
        yield "objective is empty"
    yield from _repeated("name", [spec.name, *spec.aliases])
    for alias in spec.aliases:
        if not is_name(alias):
            yield f"alias {alias!r}: a name has lower-case letters, digits and single hyphens, {LONGEST_NAME} characters at most"
    if not spec.encoders:
        yield 'encoders is empty; name an encoder per track, data set, or "*" for any'
    for key, names in spec.encoders.items():
        if not names:
            yield f"encoders of {key!r} is empty"
    layers = {"options": spec.options}
    layers |= {f"data_options.{data}": parts for data, parts in spec.data_options.items()}
    layers |= {f"budgets.{budget}": parts for budget, parts in spec.budgets.items()}
    layers |= {f"data_budgets.{data}.{name}": parts for data, found in spec.data_budgets.items() for name, parts in found.items()}
    for field, parts in layers.items():
        for part in parts:
            if part not in _RUN_PARTS and not part.startswith("evaluator."):
                yield f"{field} has the part {part!r}; parts are {', '.join(_RUN_PARTS)} and evaluator.NAME"
    for budgets in (spec.budgets, *spec.data_budgets.values()):
        yield from _budgets(budgets)


@_complaints.register
def _(spec: ProtocolSpec) -> Iterator[str]:
    if not spec.evaluators:
        yield "evaluators is empty; a protocol names at least one, the first gives the headline"


@_complaints.register
def _(spec: EvaluatorSpec) -> Iterator[str]:
    yield from _build("build", spec.build)
    yield from _options(spec.options)
    yield from _imports(spec.requires)
    if not spec.metrics:
        yield "metrics is empty; an evaluator reports at least one metric"
    if not spec.tracks:
        yield "tracks is empty"
    yield from _repeated("metric", [metric.name for metric in spec.metrics])
    for metric in spec.metrics:
        yield from _complaints(metric)
    yield from _option_budgets(spec.options, spec.budgets)


@_complaints.register
def _(spec: PictureSpec) -> Iterator[str]:
    yield from _build("build", spec.build)
    yield from _imports(spec.requires)
    if not all(spec.kinds) or not spec.kinds:
        yield 'kinds is empty; name the kinds of batch whose runs it draws, or ("*",) for any'
    if extra := set(spec.needs) - {"labels", "factors", "inputs", "truth", "modules"}:
        yield f"needs are labels, factors, inputs, truth or modules, not {', '.join(sorted(extra))}"


@_complaints.register
def _(metric: MetricSpec) -> Iterator[str]:
    if not is_feature_name(metric.name):
        yield f"metric name {metric.name!r} has other characters than lower-case letters, digits and single -, _ or ."
    if not metric.unit:
        yield f'metric {metric.name} has no unit; "1" is the unit of a pure number'
    if metric.lower is not None and metric.upper is not None and not metric.lower <= metric.upper:
        yield f"metric {metric.name} has its lower bound above its upper one"


@_complaints.register
def _(number: PublishedNumber) -> Iterator[str]:
    for field in ("method", "data", "evaluator", "metric", "source"):
        if not getattr(number, field):
            yield f"{field} is empty"
    if not math.isfinite(number.value):
        yield "value is not finite"
    if number.std is not None and not (math.isfinite(number.std) and number.std >= 0):
        yield "std is not a finite non-negative number"


@_complaints.register
def _(spec: SuiteSpec) -> Iterator[str]:
    if not _SUITE_PATH.fullmatch(spec.path) or ".." in spec.path or spec.path.partition(":")[2].startswith("/"):
        yield f'path {spec.path!r} is not of the form "package:relative/file.toml"'


def _summary(summary: str) -> Iterator[str]:
    if not summary.strip() or "\n" in summary:
        yield "summary is not one line of text"


def _build(field: str, build: str) -> Iterator[str]:
    if not is_build(build):
        yield f'{field} {build!r} is not of the form "package.module:attribute"'


def _is_options(options: type) -> bool:
    return issubclass(options, Options)


def _options(options: type[Options]) -> Iterator[str]:
    if not _is_options(options):
        yield f"options {options.__name__} is not a subclass of harness.Options"
        return
    try:
        msgspec.inspect.type_info(options)
    except Exception as error:  # an annotation is the plugin's own code
        yield f"the field types of options {options.__name__} cannot be read ({type(error).__name__}: {error})"


def _imports(requires: Sequence[str]) -> Iterator[str]:
    for name in requires:
        if not all(piece.isidentifier() for piece in name.split(".")):
            yield f"requires holds {name!r}, which is not an import name"


def _repeated(what: str, names: Sequence[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{what} {name!r} is there twice"


def _option_budgets(options: type[Options], budgets: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What is wrong with budgets that are values of these options."""
    yield from _budgets(budgets)
    if _is_options(options):
        for budget, values in budgets.items():
            try:
                resolve_options(f"budgets.{budget}", options, values)
            except OptionError as error:
                yield str(error).rstrip(".")


def _budgets(budgets: Mapping[str, object]) -> Iterator[str]:
    for budget in budgets:
        if budget not in BUDGETS:
            yield f"budgets has {budget!r}; budgets are {', '.join(BUDGETS)}"

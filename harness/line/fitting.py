"""Fitting: which parts go together, and the sentence that says why where they do not. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from harness.catalog.catalog import Catalog, Entry
from harness.contracts.specs import TRACKS, DataSetSpec, EncoderSpec, EvaluatorSpec, MethodSpec, ObjectiveSpec, shape_in_words
from harness.errors import UnfitError

# All that is named `check_...` raises UnfitError.

# ------------------------------------------------------------------------------------------------------- methods


def encoder_of(
    method: Entry[MethodSpec],
    data: Entry[DataSetSpec],
    asked: str | None,
    catalog: Catalog,
    compared: Entry[EncoderSpec] | None = None,
) -> Entry[EncoderSpec]:
    """The encoder that a method uses on a data set; "*" as an encoder means that of the compared method.

    Raises UnfitError where it has none for the data set's track or shape.
    """
    if asked is not None:
        return catalog.encoder(asked)
    encoders = method.spec.encoders
    for key in (data.name, data.spec.name, data.spec.track, "*"):
        if key in encoders:
            if encoders[key] != "*":
                return _first_that_fits(encoders[key], method, data, catalog)
            if compared is not None:
                return compared
            raise UnfitError(f"Method {method.name} takes the encoder of the method it is compared with; name one with --encoder.")
    tracks = " or ".join(key for key in encoders if key in TRACKS) or " or ".join(encoders)
    raise UnfitError(
        f"Method {method.name} does not fit data set {data.name}: it has an encoder for {tracks}, "
        f"and the data set belongs to {data.spec.track}; {_what_fits(method, data, catalog)}."
    )


def _what_fits(method: Entry[MethodSpec], data: Entry[DataSetSpec], catalog: Catalog) -> str:
    """What to do where a method has no encoder for a data set: name one, or, where it cannot train on it, another method."""

    def can_train(other: Entry[MethodSpec]) -> bool:
        drawn = catalog.objective(other.spec.objective).spec.sampling
        return not drawn or bool(set(drawn) & set(data.spec.sampling))

    if can_train(method):
        return "name an encoder with --encoder"
    keys = {data.name, data.spec.name, data.spec.track, "*"}
    others = [
        other.name
        for other in catalog.methods()
        if other.spec.reference == "none" and keys & set(other.spec.encoders) and can_train(other)
    ]
    return f"methods for it are {', '.join(others)}" if others else "`harness list methods` shows the others"


def _first_that_fits(
    names: str | tuple[str, ...], method: Entry[MethodSpec], data: Entry[DataSetSpec], catalog: Catalog
) -> Entry[EncoderSpec]:
    """Of several encoders the first that reads the data set's samples; one alone is taken, and checked with everything else."""
    if isinstance(names, str):
        return catalog.encoder(names)
    entries = [catalog.encoder(name) for name in names]
    for entry in entries:
        if reads(entry.spec, data.spec):
            return entry
    shapes = ", ".join(f"{entry.name} for {entry.spec.shapes_in_words}" for entry in entries)
    resizable = any(field.name == "size" for field in msgspec.structs.fields(data.spec.options))
    resize = "bring the images to one of these sizes with -o data.size=N, or " if resizable else ""
    raise UnfitError(
        f"Method {method.name} has no encoder for the samples of data set {data.name}, whose shape is "
        f"{shape_in_words(data.spec.shape)}; it has {shapes}: {resize}name another with --encoder."
    )


def reads(encoder: EncoderSpec, data: DataSetSpec) -> bool:
    """Whether an encoder reads the data set's kind of batch and the shape of its samples."""
    kind_fits = "*" in encoder.kinds or data.kind in encoder.kinds
    return kind_fits and encoder.reads(data.shape)


def check_method(
    method: Entry[MethodSpec],
    encoder: Entry[EncoderSpec],
    objective: Entry[ObjectiveSpec],
    data: Entry[DataSetSpec],
    catalog: Catalog,
) -> None:
    """Whether a method can be trained on a data set by this objective and encoder, and all three are installed."""
    spec = data.spec
    here = f"Method {method.name} does not fit data set {data.name}"
    if "*" not in encoder.spec.kinds and spec.kind not in encoder.spec.kinds:
        kinds = " or ".join(encoder.spec.kinds)
        raise UnfitError(f"{here}: encoder {encoder.name} reads batches of {kinds} and the data set gives batches of {spec.kind}.")
    if not encoder.spec.reads(spec.shape):
        raise UnfitError(
            f"{here}: encoder {encoder.name} reads samples of shape {encoder.spec.shapes_in_words} and these have "
            f"{shape_in_words(spec.shape)}{_encoders_that_fit(method, spec, catalog)}."
        )
    if objective.spec.sampling and not set(objective.spec.sampling) & set(spec.sampling):
        raise UnfitError(
            f"{here}: objective {objective.name} draws {' or '.join(objective.spec.sampling)}, "
            f"and the data set offers {' or '.join(spec.sampling)}."
        )
    if objective.spec.needs_decoder and encoder.spec.decoder is None:
        raise UnfitError(f"{here}: objective {objective.name} needs a decoder, and encoder {encoder.name} has no mirror decoder.")
    if objective.spec.supervised and not {"labels", "factors"} & set(spec.annotations):
        raise UnfitError(f"{here}: objective {objective.name} is supervised and the data set has no labels.")
    parts: Iterable[Entry[Any]] = (data, encoder, objective)
    for part in parts:
        check_installed(part, catalog)


def _encoders_that_fit(method: Entry[MethodSpec], data: DataSetSpec, catalog: Catalog) -> str:
    """The end of a refusal: the encoders named by the method that do read these samples."""
    named = {name for names in method.spec.encoders.values() for name in ((names,) if isinstance(names, str) else names)}
    entries = [catalog.encoder(name) for name in sorted(named - {"*"})]
    fitting = [entry.name for entry in entries if reads(entry.spec, data)]
    return f"; {' or '.join(fitting)} reads them" if fitting else ""


# ---------------------------------------------------------------------------------------------------- evaluators


def check_evaluator(evaluator: Entry[EvaluatorSpec], data: Entry[DataSetSpec], catalog: Catalog) -> None:
    """Whether an evaluator judges this track, finds what it needs in the data set, and is installed."""
    if data.spec.track not in evaluator.spec.tracks:
        raise UnfitError(f"Evaluator {evaluator.name} does not judge the {data.spec.track} track.")
    for need in ("labels", "factors", "truth"):
        if need in evaluator.spec.needs and need not in data.spec.annotations:
            others = [entry.name for entry in catalog.entries("evaluator") if _can_judge(entry, data.spec, catalog)]
            advice = f"those that can judge it are {', '.join(others)}" if others else "no installed evaluator does without"
            raise UnfitError(f"Evaluator {evaluator.name} needs {need}, and data set {data.name} has none; {advice}.")
    check_installed(evaluator, catalog)


def _can_judge(evaluator: Entry[EvaluatorSpec], data: DataSetSpec, catalog: Catalog) -> bool:
    needed = {"labels", "factors", "truth"} & set(evaluator.spec.needs)
    fits = data.track in evaluator.spec.tracks and needed <= set(data.annotations)
    return fits and not catalog.missing_requirements(evaluator)


def check_cell(
    evaluator: Entry[EvaluatorSpec], encoder: Entry[EncoderSpec], feature: str, data: Entry[DataSetSpec], catalog: Catalog
) -> None:
    """Whether an evaluator can judge this feature of this encoder; see `why_not`."""
    reason = why_not(evaluator.spec, encoder, feature)
    if not reason:
        return
    if "decoder" in evaluator.spec.needs and encoder.spec.decoder is None:
        others = [entry.name for entry in catalog.entries("encoder") if entry.spec.decoder and reads(entry.spec, data.spec)]
        reason += (
            f"; of those that read data set {data.name}, {' or '.join(others)} has one"
            if others
            else f"; no encoder that reads data set {data.name} has one"
        )
    raise UnfitError(f"Evaluator {evaluator.name} cannot judge feature {feature}: {reason}.")


def why_not(evaluator: EvaluatorSpec, encoder: Entry[EncoderSpec], feature: str) -> str:
    """Why an evaluator can say nothing of a feature of an encoder, in words; empty where it can."""
    if evaluator.features and feature not in evaluator.features:
        return f"it reads {' or '.join(evaluator.features)}"
    if "decoder" in evaluator.needs and encoder.spec.decoder is None:
        return f"it needs a decoder, and encoder {encoder.name} has no mirror decoder"
    if not evaluator.judges_constants and any(one.constant for one in encoder.spec.features if one.name == feature):
        return "it has nothing to say of a constant"
    return ""


def check_installed(part: Entry[Any], catalog: Catalog) -> None:
    """Whether what a part imports is there."""
    if missing := catalog.missing_requirements(part):
        raise UnfitError(f"The {part.kind} {part.name} needs packages that are not installed: {', '.join(missing)}.")

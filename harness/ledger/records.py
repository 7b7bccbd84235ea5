"""Records: the immutable JSON document of one attempt at one cell, also of a failed one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from harness.errors import RecordError
from harness.ledger.identity import indented_json, sha256_of

SCHEMA = 1
"""Raised when the layout below changes; `MIGRATIONS[n]` turns a document of schema n into one of n + 1."""

CORE_NUMERICS = 1
"""Raised when the trainer, seeding or representation can move a number."""

MIGRATIONS: dict[int, Any] = {}

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Status = Literal["ok", "failed", "diverged", "timeout"]
Spread = Literal["probes", "restarts", "samples"]
Text = Annotated[str, Meta(max_length=20_000)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all pieces of a record."""


class Component(_Part, frozen=True, kw_only=True):
    """A part of a run: which one, whose, which version, with which options as resolved."""

    name: Name
    distribution: Name
    spec_version: int
    options: Mapping[str, Any]


class Training(_Part, frozen=True, kw_only=True):
    """How long and how exactly it was trained. Numbers, never a preset's name."""

    batch_size: int | None
    epochs: int | None
    patience: int | None
    restore_best: bool
    compile: bool
    precision: Literal["32", "bf16"]


class DataIdentity(_Part, frozen=True, kw_only=True):
    """The data."""

    name: Name
    distribution: Name
    spec_version: int
    revision: Name
    recipe_sha256: Sha256
    options: Mapping[str, Any]


class ProtocolIdentity(_Part, frozen=True, kw_only=True):
    """The protocol."""

    id: Name
    version: int


class RunIdentity(_Part, frozen=True, kw_only=True):
    """Everything that can change what a run learns."""

    method: Component
    encoder: Component
    objective: Component
    training: Training
    data: DataIdentity
    protocol: ProtocolIdentity
    seed: int
    core_numerics: int = CORE_NUMERICS

    @property
    def sha256(self) -> str:
        """The run's id."""
        return sha256_of(self)


class Identity(_Part, frozen=True, kw_only=True):
    """Everything that can change a cell's numbers: the run's identity, the evaluator and the feature."""

    method: Component
    encoder: Component
    objective: Component
    evaluator: Component
    training: Training
    feature: Name
    data: DataIdentity
    probe_data: DataIdentity | None
    protocol: ProtocolIdentity
    seed: int
    core_numerics: int = CORE_NUMERICS

    @classmethod
    def of(cls, run: RunIdentity, evaluator: Component, feature: str, probe_data: DataIdentity | None = None) -> Identity:
        """The identity of one cell of `run`; `probe_data` is None for the run's own data."""
        shared = {name: getattr(run, name) for name in run.__struct_fields__}
        return cls(**shared, evaluator=evaluator, feature=feature, probe_data=probe_data)

    @property
    def run(self) -> RunIdentity:
        """The identity without evaluator and feature."""
        return RunIdentity(**{name: getattr(self, name) for name in RunIdentity.__struct_fields__})

    @property
    def sha256(self) -> str:
        """The cell's id."""
        return sha256_of(self)

    @property
    def row_sha256(self) -> str:
        """Id of the leaderboard row: identity without the seed."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        del plain["seed"]
        return sha256_of(plain)


class Metric(_Part, frozen=True, kw_only=True):
    """One number."""

    name: Name
    value: float
    unit: Annotated[str, Meta(max_length=40)]
    higher_is_better: bool | None
    primary: bool
    split: Name
    of: Mapping[str, Any] = {}
    std: float | None = None
    """Sample standard deviation over `over`, never over encoders."""
    over: Spread | None = None
    n: int = 1
    selected: Mapping[str, Any] = {}


class Selection(_Part, frozen=True, kw_only=True):
    """How training stopped."""

    epochs: int
    steps: int
    best_step: int | None = None
    best_value: float | None = None
    terms: Mapping[str, float] = {}
    """Last value of every loss term."""


class Tuning(_Part, frozen=True, kw_only=True):
    """Where the hyper-parameters come from."""

    source: Literal["defaults", "paper", "searched", "given"]
    trials: int = 0
    selected_on: str | None = None


class Times(_Part, frozen=True, kw_only=True):
    """Seconds: `train` of the whole training, interruptions left out, also where it was found done; the others of this attempt."""

    prepare: float
    train: float
    represent: float
    evaluate: float


class Environment(_Part, frozen=True, kw_only=True):
    """Where it was computed."""

    python: Text
    os: Text
    packages: Mapping[str, str]
    device: Text
    cuda: str | None
    threads: int
    matmul_precision: Text
    deterministic: bool


class Origin(_Part, frozen=True, kw_only=True):
    """Where a distribution's code came from, read from its metadata; null where it does not say."""

    distribution: Name
    version: Name
    origin: str | None = None
    commit: str | None = None
    dirty: bool | None = None


class Artifacts(_Part, frozen=True, kw_only=True):
    """Digests of what lies beside the record."""

    checkpoint_sha256: Sha256 | None = None
    representation_sha256: Sha256 | None = None
    parameters: int | None = None


class Failure(_Part, frozen=True, kw_only=True):
    """Why an attempt failed."""

    type: Name
    message: Text
    traceback: Text = ""
    step: int | None = None
    terms: Mapping[str, str] = {}
    """The losses at the step where training diverged, as text since they may be NaN."""


class Record(_Part, frozen=True, kw_only=True):
    """One attempt at one cell. The order of fields is the order in the file."""

    schema: int
    id: Sha256
    run: Sha256
    attempt: int
    status: Status
    created: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    identity: Identity
    budget: Name
    reference: bool
    supervised: bool
    trusted_first: bool
    """Whether the data's hashes were taken on first sight instead of from a pin."""
    metrics: tuple[Metric, ...]
    selection: Selection | None
    tuning: Tuning
    time_s: Times
    peak_memory_bytes: int
    content_sha256: Sha256 | None
    n: Mapping[str, int]
    """Samples per split."""
    environment: Environment
    source: tuple[Origin, ...]
    artifacts: Artifacts
    passed: Mapping[str, Any]
    """Options as typed, and the command."""
    error: Failure | None

    @property
    def primary(self) -> Metric | None:
        """The headline metric, where there is one."""
        return next((metric for metric in self.metrics if metric.primary), None)


def encode_record(record: Record) -> bytes:
    """The record's file: indented JSON with a final newline."""
    return indented_json(record)


def decode_record(document: bytes, where: str = "the document") -> Record:
    """Read, migrate and check one record.

    Raises RecordError with one sentence when it is no JSON, of a newer schema, ill-formed, or inconsistent with its own ids.
    """
    try:
        plain = msgspec.json.decode(document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RecordError(f"{where} is not valid JSON: {error}.") from None
    schema = plain.get("schema") if isinstance(plain, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise RecordError(f"{where} is not a record: it has no integer `schema`.")
    if schema > SCHEMA:
        raise RecordError(f"{where} has record schema {schema}; this version reads up to {SCHEMA}, so upgrade infomax-harness.")
    while schema < SCHEMA:
        if schema not in MIGRATIONS:
            raise RecordError(f"{where} has record schema {schema}, which is not known.")
        plain = MIGRATIONS[schema](plain)
        schema += 1
    try:
        record = msgspec.convert(plain, Record)
    except msgspec.ValidationError as error:
        raise RecordError(f"{where} is not a valid record: {error}.") from None
    check_record(record, where)
    return record


def check_record(record: Record, where: str = "the record") -> None:
    """Raise RecordError unless the record agrees with itself."""
    if record.id != record.identity.sha256:
        raise RecordError(f"{where}: `id` is not the sha256 of its identity.")
    if record.run != record.identity.run.sha256:
        raise RecordError(f"{where}: `run` is not the sha256 of its run identity.")
    if record.attempt < 1:
        raise RecordError(f"{where}: `attempt` counts from 1.")
    if (record.status == "ok") != (record.error is None):
        raise RecordError(f"{where}: status {record.status!r} and `error` do not agree.")
    if record.status == "ok" and not record.metrics:
        raise RecordError(f"{where}: an ok record has at least one metric.")
    for metric in record.metrics:
        if not math.isfinite(metric.value):
            raise RecordError(f"{where}: metric {metric.name!r} is not finite.")
        if metric.std is not None and not (math.isfinite(metric.std) and metric.std >= 0):
            raise RecordError(f"{where}: the spread of metric {metric.name!r} is not a finite non-negative number.")

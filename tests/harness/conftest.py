"""Valid records, for stores and boards."""

from __future__ import annotations

import msgspec
import pytest

from harness.ledger import records as r

DIGEST = "0" * 64


def component(name, options=None, distribution="infomax-harness", version=1):
    return r.Component(name=name, distribution=distribution, spec_version=version, options=options or {})


def metric(value=80.0, name="accuracy", unit="%", higher_is_better=True, primary=True, split="test", **more):
    return r.Metric(name=name, value=value, unit=unit, higher_is_better=higher_is_better, primary=primary, split=split, **more)


def build_record(
    value=80.0,
    *,
    method="dgi", encoder="gcn", objective="dgi", data="cora", evaluator="logistic", feature="node", protocol="planetoid-public",
    seed=0, status="ok", attempt=1, created="2026-01-01T00:00:00Z", metrics=None, std=None, over=None, n=None, epochs=300,
    budget="paper", tuning="paper", reference=False, supervised=False, trusted_first=False, distribution="infomax-harness",
    method_options=None, objective_options=None, evaluator_options=None, data_options=None, probe_data=None,
    content_sha256=DIGEST, recipe_sha256=DIGEST, model=None,
):  # fmt: skip
    identity = r.Identity(
        method=component(method, method_options, distribution),
        encoder=component(encoder),
        objective=component(objective, objective_options),
        evaluator=component(evaluator, evaluator_options),
        training=r.Training(batch_size=None, epochs=epochs, patience=20, restore_best=True, compile=False, precision="32"),
        feature=feature,
        data=r.DataIdentity(
            name=data,
            distribution="infomax-harness",
            spec_version=1,
            revision="1",
            recipe_sha256=recipe_sha256,
            options=data_options or {},
        ),
        probe_data=probe_data,
        protocol=r.ProtocolIdentity(id=protocol, version=1),
        seed=seed,
    )
    ok = status == "ok"
    return r.Record(
        schema=r.SCHEMA,
        id=identity.sha256,
        run=identity.run.sha256,
        attempt=attempt,
        status=status,
        created=created,
        identity=identity,
        budget=budget,
        reference=reference,
        supervised=supervised,
        trusted_first=trusted_first,
        metrics=tuple(metrics if metrics is not None else [metric(value, std=std, over=over)]) if ok else (),
        selection=r.Selection(epochs=10, steps=100) if ok else None,
        tuning=r.Tuning(source=tuning),
        time_s=r.Times(prepare=0.1, train=1.0, represent=0.1, evaluate=0.1),
        peak_memory_bytes=1,
        content_sha256=content_sha256,
        n=n or {"train": 140, "validation": 500, "test": 1000},
        environment=r.Environment(
            python="3.11",
            os="Linux",
            packages={"torch": "2.13.0"},
            device="cpu",
            cuda=None,
            threads=1,
            matmul_precision="highest",
            deterministic=True,
        ),
        source=(r.Origin(distribution="infomax-harness", version="0.1.0"),),
        artifacts=r.Artifacts(checkpoint_sha256=model),
        passed={},
        error=None if ok else r.Failure(type="RuntimeError", message="it broke"),
    )


@pytest.fixture
def make_record():
    """A function that makes one valid record; keywords change what matters."""
    return build_record


@pytest.fixture
def make_row():
    """A function that makes the records of one row: a record for each value, seeds from 0."""

    def make(values, **changes):
        return [build_record(value, seed=seed, **changes) for seed, value in enumerate(values)]

    return make


@pytest.fixture
def make_metric():
    """A function that makes one metric, by default an accuracy."""
    return metric


@pytest.fixture
def change():
    """`msgspec.structs.replace`."""
    return msgspec.structs.replace

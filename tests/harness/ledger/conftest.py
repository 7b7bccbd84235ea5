"""Valid records."""

from __future__ import annotations

import msgspec
import pytest

from harness.ledger import records as r

DIGEST = "0" * 64


def component(name, options=None):
    return r.Component(name=name, distribution="infomax-harness", spec_version=1, options=options or {})


def metric(value=80.0, **more):
    known = {"name": "accuracy", "unit": "%", "higher_is_better": True, "primary": True, "split": "test"}
    return r.Metric(value=value, **(known | more))


def build_record(*, method="dgi", data="cora", seed=0, status="ok", attempt=1, metrics=None, options=None, probe_data=None):
    identity = r.Identity(
        method=component(method),
        encoder=component("gcn"),
        objective=component("dgi", options),
        evaluator=component("logistic"),
        training=r.Training(batch_size=None, epochs=300, patience=20, restore_best=True, compile=False, precision="32"),
        feature="node",
        data=r.DataIdentity(
            name=data, distribution="infomax-harness", spec_version=1, revision="1", recipe_sha256=DIGEST, options={}
        ),
        probe_data=probe_data,
        protocol=r.ProtocolIdentity(id="planetoid-public", version=1),
        seed=seed,
    )
    ok = status == "ok"
    return r.Record(
        schema=r.SCHEMA,
        id=identity.sha256,
        run=identity.run.sha256,
        attempt=attempt,
        status=status,
        created="2026-01-01T00:00:00Z",
        identity=identity,
        budget="paper",
        reference=False,
        supervised=False,
        trusted_first=False,
        metrics=tuple(metrics if metrics is not None else [metric()]) if ok else (),
        selection=r.Selection(epochs=10, steps=100) if ok else None,
        tuning=r.Tuning(source="paper"),
        time_s=r.Times(prepare=0.1, train=1.5, represent=0.1, evaluate=0.1),
        peak_memory_bytes=1,
        content_sha256=DIGEST,
        n={"train": 140, "test": 1000},
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
        artifacts=r.Artifacts(),
        passed={},
        error=None if ok else r.Failure(type="RuntimeError", message="it broke"),
    )


@pytest.fixture
def make_record():
    """A function that makes one valid record; keywords change what matters."""
    return build_record


@pytest.fixture
def make_metric():
    """A function that makes one metric, by default an accuracy."""
    return metric


@pytest.fixture
def change():
    """`msgspec.structs.replace`."""
    return msgspec.structs.replace

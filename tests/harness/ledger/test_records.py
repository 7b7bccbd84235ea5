from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.ledger import records
from harness.ledger.records import Identity, check_record, decode_record, encode_record


def edited(record, edit):
    """The record's document after `edit` was applied to its plain form."""
    plain = json.loads(encode_record(record))
    edit(plain)
    return json.dumps(plain).encode()


def put(path, value):
    def edit(plain):
        *parents, last = path
        for key in parents:
            plain = plain[key]
        plain[last] = value

    return edit


def test_a_record_survives_the_round_trip(make_record):
    record = make_record(objective_options={"lr": 0.001, "hidden": [512, 256]})
    assert decode_record(encode_record(record)) == record


@pytest.mark.parametrize("status", ["failed", "diverged", "timeout"])
def test_so_does_a_failed_one(make_record, status):
    record = make_record(status=status)
    assert decode_record(encode_record(record)) == record


def test_the_file_is_indented_and_ends_with_a_line_break(make_record):
    document = encode_record(make_record())
    assert document.startswith(b'{\n "schema": ')
    assert document.endswith(b"}\n")


def test_the_same_record_gives_the_same_bytes(make_record):
    assert encode_record(make_record()) == encode_record(make_record())


@given(lr=st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=50)
def test_every_float_keeps_its_id(lr):
    from harness.ledger.identity import canonical_json, sha256_of

    assert sha256_of({"lr": lr}) == sha256_of(json.loads(canonical_json({"lr": lr})))


@given(document=st.binary(max_size=200))
@settings(max_examples=100)
def test_no_bytes_raise_anything_but_a_record_error(document):
    with pytest.raises(RecordError):
        decode_record(document)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"12",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b"{}",
        b'{"schema": true}',
        b'{"schema": "1"}',
    ],
)
def test_what_is_no_record_is_refused_in_one_sentence(document):
    with pytest.raises(RecordError) as raised:
        decode_record(document, where="x.json")
    assert str(raised.value).startswith("x.json")
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["id"], "0" * 63),
        (["attempt"], "1"),
        (["status"], "done"),
        (["created"], "yesterday"),
        (["identity", "seed"], 0.5),
        (["identity", "training", "precision"], "16"),
        (["metrics", 0, "over"], "encoders"),
        (["metrics", 0, "value"], None),
        (["metrics", 0, "name"], ""),
        (["identity", "method", "name"], "x" * 201),
        (["surprise"], 1),
        (["identity", "surprise"], 1),
    ],
)
def test_an_ill_formed_field_is_refused(make_record, path, value):
    with pytest.raises(RecordError, match="is not a valid record"):
        decode_record(edited(make_record(), put(path, value)))


def test_a_missing_field_is_refused(make_record):
    with pytest.raises(RecordError, match="budget"):
        decode_record(edited(make_record(), lambda plain: plain.pop("budget")))


def test_a_wrong_id_is_refused(make_record):
    with pytest.raises(RecordError, match="`id` is not the sha256"):
        decode_record(edited(make_record(), put(["id"], "1" * 64)))


def test_a_changed_identity_no_longer_fits_its_id(make_record):
    with pytest.raises(RecordError, match="`id` is not the sha256"):
        decode_record(edited(make_record(), put(["identity", "seed"], 5)))


def test_a_wrong_run_is_refused(make_record):
    with pytest.raises(RecordError, match="`run` is not the sha256"):
        decode_record(edited(make_record(), put(["run"], "1" * 64)))


def test_attempts_count_from_one(make_record):
    with pytest.raises(RecordError, match="counts from 1"):
        decode_record(edited(make_record(), put(["attempt"], 0)))


def test_an_ok_record_has_no_error(make_record):
    with pytest.raises(RecordError, match="do not agree"):
        decode_record(edited(make_record(), put(["error"], {"type": "E", "message": "m"})))


def test_a_failed_record_has_one(make_record):
    with pytest.raises(RecordError, match="do not agree"):
        decode_record(edited(make_record(), put(["status"], "failed")))


def test_an_ok_record_has_a_metric(make_record):
    with pytest.raises(RecordError, match="at least one metric"):
        decode_record(edited(make_record(), put(["metrics"], [])))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_is_finite(make_record, make_metric, value):
    with pytest.raises(RecordError, match="not finite"):
        check_record(make_record(metrics=[make_metric(value)]))


def test_nan_is_no_json(make_record):
    with pytest.raises(RecordError, match="not valid JSON"):
        decode_record(edited(make_record(), put(["metrics", 0, "value"], float("nan"))))


def test_a_number_beyond_all_floats_is_refused(make_record):
    document = encode_record(make_record()).replace(b'"value": 80.0', b'"value": 1e999')
    with pytest.raises(RecordError):
        decode_record(document)


@pytest.mark.parametrize("std", [-1.0, float("nan")])
def test_a_spread_is_finite_and_not_negative(make_record, make_metric, std):
    with pytest.raises(RecordError, match="spread"):
        check_record(make_record(metrics=[make_metric(std=std)]))


def test_a_newer_schema_asks_for_an_upgrade(make_record):
    with pytest.raises(RecordError, match="upgrade infomax-harness"):
        decode_record(edited(make_record(), put(["schema"], records.SCHEMA + 1)))


def test_a_schema_that_never_was_is_not_known(make_record):
    with pytest.raises(RecordError, match="not known"):
        decode_record(edited(make_record(), put(["schema"], 0)))


def test_an_older_schema_is_migrated_step_by_step(make_record, monkeypatch):
    steps = []

    def from_minus_1(plain):
        steps.append(-1)
        return plain | {"schema": 0, "budget": plain["preset"]}

    def from_0(plain):
        steps.append(0)
        return {key: value for key, value in plain.items() if key != "preset"} | {"schema": 1}

    monkeypatch.setattr(records, "MIGRATIONS", {-1: from_minus_1, 0: from_0})
    record = make_record()
    old = edited(record, lambda plain: plain.update(schema=-1, preset=plain.pop("budget")))
    assert decode_record(old) == record
    assert steps == [-1, 0]


def test_the_primary_metric_is_the_one_marked(make_record, make_metric):
    record = make_record(metrics=[make_metric(1.0, name="loss", primary=False), make_metric(2.0)])
    assert record.primary.name == "accuracy"
    assert make_record(metrics=[make_metric(1.0, primary=False)]).primary is None


def test_the_identity_of_a_cell_is_its_run_and_two_things_more(make_record):
    identity = make_record().identity
    assert Identity.of(identity.run, identity.evaluator, identity.feature) == identity

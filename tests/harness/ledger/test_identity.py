from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import msgspec
import pytest

from harness.ledger.identity import canonical_json, sha256_of


class Point(msgspec.Struct):
    y: int
    x: int


def test_keys_are_sorted_and_nothing_is_spaced():
    assert canonical_json({"b": [1, 2], "a": None}) == b'{"a":null,"b":[1,2]}'


def test_the_order_of_keys_does_not_matter():
    assert sha256_of({"a": 1, "b": 2}) == sha256_of({"b": 2, "a": 1})


def test_the_order_of_lists_does():
    assert sha256_of([1, 2]) != sha256_of([2, 1])


def test_a_struct_is_an_object_of_its_fields():
    assert canonical_json(Point(y=2, x=1)) == b'{"x":1,"y":2}'


def test_tuples_and_lists_are_one():
    assert sha256_of((1, 2)) == sha256_of([1, 2])


def test_letters_beyond_ascii_stay_as_they_are():
    assert canonical_json("β") == '"β"'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_has_no_canonical_form(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)


def test_the_digest_is_the_plain_sha256_of_the_text():
    assert sha256_of({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


def test_a_float_and_an_integer_are_different_options():
    assert sha256_of(1) != sha256_of(1.0)


def test_an_identity_is_the_same_in_another_process(make_record):
    script = (
        "import sys, msgspec; from harness.ledger.records import Identity;"
        "print(msgspec.json.decode(sys.stdin.buffer.read(), type=Identity).sha256)"
    )
    identity = make_record(objective_options={"lr": 1e-3, "names": ["b", "a"]}).identity
    ran = subprocess.run(
        [sys.executable, "-c", script],
        input=msgspec.json.encode(identity),
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )
    assert ran.stdout.decode().strip() == identity.sha256


def test_the_seed_changes_the_id_and_not_the_row(make_record):
    first, second = make_record(seed=0).identity, make_record(seed=1).identity
    assert first.sha256 != second.sha256
    assert first.row_sha256 == second.row_sha256


def test_an_option_changes_the_id_and_the_row(make_record):
    first, second = make_record(objective_options={"lr": 0.1}).identity, make_record(objective_options={"lr": 0.2}).identity
    assert first.sha256 != second.sha256
    assert first.row_sha256 != second.row_sha256


def test_evaluator_and_feature_do_not_change_the_run(make_record, change):
    identity = make_record().identity
    other = change(identity, feature="y", evaluator=change(identity.evaluator, name="svm"))
    assert identity.run.sha256 == other.run.sha256
    assert identity.sha256 != other.sha256


def test_core_numerics_change_the_id(make_record, change):
    identity = make_record().identity
    assert change(identity, core_numerics=identity.core_numerics + 1).sha256 != identity.sha256

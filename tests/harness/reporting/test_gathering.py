from __future__ import annotations

import json

import msgspec
import pytest

from harness import UsageError
from harness.api import installed
from harness.ledger.records import Failure
from harness.ledger.stores import FolderStore
from harness.reporting.gathering import gather


def gathered_from(folder, store=None):
    plugins, catalog = installed()
    return gather(folder, catalog, plugins, store=store, device="cpu")


def failed(record, message="no"):
    return msgspec.structs.replace(record, status="failed", metrics=(), error=Failure(type="Error", message=message))


@pytest.fixture
def store(folder):
    return FolderStore(folder.parents[1] / "records")


def test_the_log_is_that_of_the_training(gathered, folder):
    assert gathered.log == [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]


def test_the_default_feature_is_the_encoders_first(gathered):
    assert gathered.view.feature == "y"


def test_modules_are_in_eval_mode(gathered):
    assert not any(module.training for module in gathered.view.modules["decoder"].modules())


def test_the_records_are_those_of_the_run(gathered):
    assert [(record.identity.evaluator.name, record.run) for record in gathered.records] == [("knn", gathered.run.identity.sha256)]


def test_an_ok_attempt_stands_over_a_later_failed_one(folder, store, gathered):
    store.add(failed(gathered.records[0]))
    assert [record.status for record in gathered_from(folder).records] == ["ok"]


def test_of_failed_attempts_the_newest_stands(folder, tmp_path, gathered):
    other = FolderStore(tmp_path / "other")
    for message in ("first", "second"):
        other.add(failed(gathered.records[0], message))
    (record,) = gathered_from(folder, tmp_path / "other").records
    assert record.error.message == "second"


def test_records_of_another_run_are_left_out(folder, tmp_path):
    assert gathered_from(folder, tmp_path / "empty").records == []


def test_a_damaged_or_missing_log_is_one_sentence(folder):
    (folder / "losses.jsonl").write_text("{")
    with pytest.raises(UsageError, match=r"losses.jsonl is damaged; .*--rerun"):
        gathered_from(folder)
    (folder / "losses.jsonl").unlink()
    with pytest.raises(UsageError, match=r"losses.jsonl is missing; .*--rerun"):
        gathered_from(folder)


def test_what_is_drawn_by_lot_does_not_depend_on_the_runs_seed(gathered, tmp_path):
    import harness

    harness.run(method="raw", data="digits", seed=5, evaluators=["knn"], threads=1, out=tmp_path / "more", references=False)
    (other,) = (tmp_path / "more").glob("digits/raw-s5-*")
    assert gathered_from(other).view.sample(9).tolist() == gathered.view.sample(9).tolist()

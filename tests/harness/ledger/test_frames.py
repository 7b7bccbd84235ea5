from __future__ import annotations

import subprocess
import sys

import pytest

from harness.errors import HarnessError
from harness.ledger.frames import COLUMNS, Records


def test_records_are_a_sequence(make_record):
    records = Records([make_record(seed=0), make_record(seed=1)])
    assert len(records) == 2
    assert records[1].identity.seed == 1
    assert [record.identity.seed for record in records] == [0, 1]


def test_a_slice_is_records_again(make_record):
    records = Records([make_record(seed=seed) for seed in range(3)])
    assert records[1:] == Records(list(records)[1:])


def test_failed_are_those_that_are_not_ok(make_record):
    records = Records([make_record(), make_record(status="diverged"), make_record(status="timeout")])
    assert [record.status for record in records.failed] == ["diverged", "timeout"]


def test_there_is_one_row_per_metric(make_record, make_metric):
    frame = Records([make_record(metrics=[make_metric(81.0), make_metric(0.8, name="f1", unit="1")])]).to_frame()
    assert frame["metric"].tolist() == ["accuracy", "f1"]
    assert frame["value"].tolist() == [81.0, 0.8]
    assert frame["unit"].tolist() == ["%", "1"]


def test_a_row_says_what_was_run(make_record):
    row = Records([make_record(seed=3)]).to_frame().iloc[0]
    said = {
        name: row[name] for name in ("method", "encoder", "data", "seed", "evaluator", "feature", "status", "budget", "protocol")
    }
    assert said == {
        "method": "dgi", "encoder": "gcn", "data": "cora", "seed": 3, "evaluator": "logistic", "feature": "node", "status": "ok",
        "budget": "paper", "protocol": "planetoid-public/1",
    }  # fmt: skip


def test_a_row_names_its_record(make_record):
    record = make_record(attempt=2)
    row = Records([record]).to_frame().iloc[0]
    assert (row["record_id"], row["run_id"], row["attempt"]) == (record.id, record.run, 2)


def test_spread_comes_with_what_it_is_over(make_record, make_metric):
    row = Records([make_record(metrics=[make_metric(std=0.4, over="probes", n=50)])]).to_frame().iloc[0]
    assert (row["std"], row["over"], row["n"]) == (0.4, "probes", 50)


def test_what_a_metric_is_of_has_columns_of_its_own(make_record, make_metric):
    metrics = [make_metric(1.0, of={"variable": "player_x"}), make_metric(2.0, of={"variable": "ball_y"}), make_metric(3.0)]
    frame = Records([make_record(metrics=metrics)]).to_frame()
    assert frame["of.variable"].tolist()[:2] == ["player_x", "ball_y"]
    assert frame["of.variable"].isna().tolist() == [False, False, True]


def test_a_failed_record_has_one_row_without_a_value(make_record):
    frame = Records([make_record(status="failed")]).to_frame()
    assert frame["status"].tolist() == ["failed"]
    assert frame["error"].tolist() == ["it broke"]
    assert frame["value"].isna().all()


def test_an_empty_frame_has_all_columns():
    frame = Records().to_frame()
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 0


def test_without_pandas_the_error_names_the_extra(make_record, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(HarnessError, match=r"pip install 'infomax-harness\[frame\]'"):
        Records([make_record()]).to_frame()


def test_pandas_and_torch_are_not_imported_before_they_are_needed():
    script = (
        "import sys, harness.ledger.frames, harness.ledger.stores; sys.exit(bool({'pandas', 'torch', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_text_counts_and_lists(make_record, make_metric):
    records = Records(
        [make_record(metrics=[make_metric(81.94, std=0.4, over="probes", n=50)]), make_record(status="failed", seed=1)]
    )
    assert repr(records).splitlines() == [
        "2 records, 1 failed, 1 ok",
        "  dgi on cora, seed 0, logistic on node: accuracy 81.94 % ± 0.4 over 50 probes",
        "  dgi on cora, seed 1, logistic on node: failed, it broke",
    ]


def test_a_long_text_is_cut(make_record):
    text = repr(Records([make_record(seed=seed) for seed in range(30)]))
    assert text.endswith("... and 10 more")
    assert len(text.splitlines()) == 22


def test_the_text_of_none(make_record):
    assert repr(Records()) == "0 records"

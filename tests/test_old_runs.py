"""A finished run, judged later by evaluators that it was not planned with."""

from __future__ import annotations

import shutil

import harness

SIZES = [
    "evaluator.mine.batch_size=64",
    "evaluator.ndm.batch_size=1000",
    "evaluator.reconstruction.window=7",
]
LATER = ["mine", "ndm", "reconstruction", "rankme", "alignment-uniformity", "lidar", "clustering"]


def test_an_old_run_is_judged_without_training_again_after_its_feature_cache_was_deleted(tmp_path):
    harness.run(method="ae", data="digits", budget="smoke", evaluators=["knn"], references=False, threads=1, out=tmp_path)
    [folder] = (tmp_path / "digits").iterdir()
    kept = {path: path.read_bytes() for path in (folder / "model.safetensors", folder / "training.json", folder / "losses.jsonl")}
    shutil.rmtree(folder / "features")

    records = harness.evaluate(folder, evaluators=LATER, features=["y"], options=SIZES, threads=1)

    assert {record.identity.evaluator.name: record.status for record in records} == dict.fromkeys(LATER, "ok")
    assert {path: path.read_bytes() for path in kept} == kept
    assert (folder / "features" / "y.npy").exists()


def test_one_that_cannot_judge_it_says_why_and_the_others_finish(tmp_path):
    harness.run(method="ae", data="digits", budget="smoke", evaluators=["knn"], references=False, threads=1, out=tmp_path)
    [folder] = (tmp_path / "digits").iterdir()
    records = harness.evaluate(
        folder, evaluators=["reconstruction", "rankme", "mine"], features=["y"], options=SIZES[:1], threads=1
    )
    status = {record.identity.evaluator.name: record.status for record in records}
    assert status == {"reconstruction": "failed", "rankme": "ok", "mine": "ok"}
    [failed] = records.failed
    assert failed.error.message == (
        "Images of 8 x 8 pixels are too small for an SSIM window of 11; the largest that fits is evaluator.reconstruction.window=7."
    )

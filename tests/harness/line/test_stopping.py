"""The stop rule by itself; what it does to a training is in test_training.py."""

from __future__ import annotations

from harness.contracts.training import TrainOptions
from harness.line.stopping import StopRule


def test_a_stop_rule_that_follows_nothing_is_not_active():
    assert not StopRule(TrainOptions()).active
    assert StopRule(TrainOptions(patience=1)).active
    assert StopRule(TrainOptions(restore_best=True)).active

"""Observers that raise. Loads, and must not disturb a run."""

import harness


@harness.hookimpl
def harness_run_started(run):
    raise ZeroDivisionError("division by zero")


@harness.hookimpl
def harness_step_finished(terms):
    terms["loss"] = 0.0


@harness.hookimpl
def harness_record_written():
    raise SystemExit(3)

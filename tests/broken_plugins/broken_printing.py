"""Prints to stdout, which belongs to the command's JSON document. Otherwise healthy."""

import harness

print("imported")


@harness.hookimpl
def harness_encoders():
    print("called")
    return []


@harness.hookimpl
def harness_run_started():
    print("told")

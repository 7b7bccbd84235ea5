"""A registration hook with a required keyword-only argument."""

import harness


@harness.hookimpl
def harness_encoders(*, catalog):
    return []

"""A registration hook with an argument that the hook does not have."""

import harness


@harness.hookimpl
def harness_encoders(catalog):
    return []

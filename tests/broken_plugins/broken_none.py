"""Forgets to return its list."""

import harness


@harness.hookimpl
def harness_encoders():
    []

"""A marked function that lacks the prefix."""

import harness


@harness.hookimpl
def encoders():
    return []

"""Returns a list of names instead of specs."""

import harness


@harness.hookimpl
def harness_encoders():
    return ["tiny"]

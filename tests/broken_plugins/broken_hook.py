"""A hook that raises."""

import harness


@harness.hookimpl
def harness_encoders():
    raise ZeroDivisionError("division by zero")

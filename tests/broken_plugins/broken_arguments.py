"""Calls a spec class with a field it does not have."""

import harness


@harness.hookimpl
def harness_encoders():
    return [harness.EncoderSpec(title="tiny")]

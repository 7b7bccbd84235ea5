"""An encoder that offers no feature."""

import harness


@harness.hookimpl
def harness_encoders():
    return [harness.EncoderSpec(name="mute", summary="Mute.", kinds=("vectors",), features=(), build="a:b")]

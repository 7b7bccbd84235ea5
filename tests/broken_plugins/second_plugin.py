"""Another healthy plugin, that offers an encoder of the same short name as `healthy_plugin`."""

import harness


@harness.hookimpl
def harness_encoders():
    return [
        harness.EncoderSpec(
            name="tiny",
            summary="Another tiny encoder.",
            kinds=("vectors",),
            features=(harness.FeatureSpec("y", "[N, 2]"),),
            build="second_plugin:absent",
            requires=("no_such_package",),
        )
    ]

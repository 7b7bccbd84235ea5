"""Right in all hooks but the last, so that what came before must be undone."""

import harness


@harness.hookimpl
def harness_encoders():
    return [
        harness.EncoderSpec(
            name="early", summary="Early.", kinds=("vectors",), features=(harness.FeatureSpec("y", "[N, 2]"),), build="a:b"
        )
    ]


@harness.hookimpl
def harness_suites():
    raise ZeroDivisionError("division by zero")


@harness.hookimpl
def harness_run_started(run):
    raise ZeroDivisionError("a failed plugin is told nothing")

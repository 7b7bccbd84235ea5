"""A track that does not exist."""

import harness


@harness.hookimpl
def harness_protocols():
    return [
        harness.ProtocolSpec(
            name="spoken", summary="Speech.", track="audio", splits="one", preprocessing="none", evaluators=("svm",)
        )
    ]

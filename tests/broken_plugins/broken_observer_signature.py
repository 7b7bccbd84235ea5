"""An observer hook with an argument that the hook does not have."""

import harness


@harness.hookimpl
def harness_run_started(run, model):
    pass

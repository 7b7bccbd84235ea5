"""The user presses Ctrl-C while an observer works."""

import harness


@harness.hookimpl
def harness_run_started():
    raise KeyboardInterrupt

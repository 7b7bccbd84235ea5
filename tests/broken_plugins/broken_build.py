"""A build string without an attribute."""

import harness


@harness.hookimpl
def harness_objectives():
    return [harness.ObjectiveSpec(name="nowhere", summary="Nowhere.", build="package.module", sampling=())]

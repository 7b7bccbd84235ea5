"""A name with other characters."""

import harness


@harness.hookimpl
def harness_objectives():
    return [harness.ObjectiveSpec(name="Bad Name", summary="Badly named.", build="a:b", sampling=())]

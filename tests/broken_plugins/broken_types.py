"""A text where several are expected."""

import harness


@harness.hookimpl
def harness_objectives():
    return [harness.ObjectiveSpec(name="texty", summary="Texty.", build="a:b", sampling="items")]

"""Two parts of the same kind and name."""

import harness


@harness.hookimpl
def harness_objectives():
    return [harness.ObjectiveSpec(name="same", summary=f"Number {n}.", build="a:b", sampling=()) for n in (1, 2)]

"""A plugin that is an object inside a module."""

import harness


class Plugin:
    @harness.hookimpl
    def harness_objectives(self):
        return [harness.ObjectiveSpec(name="from-object", summary="From an object.", build="a:b", sampling=())]


plugin = Plugin()
nothing = None

"""Made for a later version too: its optional hook is not known here and is no mistake."""

import harness


@harness.hookimpl(optionalhook=True)
def harness_of_tomorrow():
    return []

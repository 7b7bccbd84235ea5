"""An asynchronous hook."""

import harness


@harness.hookimpl
async def harness_encoders():
    return []

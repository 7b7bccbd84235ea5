"""A function of the right name that was not marked."""


def harness_encoders():
    return []

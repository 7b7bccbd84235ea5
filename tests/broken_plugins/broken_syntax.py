"""Is not Python."""

def harness_encoders(:

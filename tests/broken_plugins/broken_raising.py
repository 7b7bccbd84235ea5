"""Raises while it is imported."""

raise ZeroDivisionError("division by zero")

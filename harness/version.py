"""The version of infomax-harness, in one place."""

__version__ = "0.1.0"

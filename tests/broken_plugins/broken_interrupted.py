"""The user presses Ctrl-C while it is imported."""

raise KeyboardInterrupt

"""An example plugin of infomax-harness."""

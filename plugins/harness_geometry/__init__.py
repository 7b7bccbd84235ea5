"""Judges of a representation by its geometry: effective rank, alignment, uniformity, clusters."""

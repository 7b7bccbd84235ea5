"""Inputs in memory, by kind, and the raw files they come from."""

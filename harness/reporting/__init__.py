"""The page of one run: what its folder and records say, drawn."""

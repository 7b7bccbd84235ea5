"""The straight line: planning, then data, training, representation, evaluation and records, in that order."""

"""Estimates of mutual information and total correlation, and the track on which estimators meet the truth."""

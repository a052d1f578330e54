"""Fit, selection, intervals, pooling."""

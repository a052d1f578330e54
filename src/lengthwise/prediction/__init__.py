"""Predictions: the public law, requests composed of steps, fast paths, law files."""

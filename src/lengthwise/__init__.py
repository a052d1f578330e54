"""Predict how long a large language model takes to answer, at lengths nobody measured."""

__version__ = "0.1.0"

"""Costs of generation in units other than time: equivalent FLOP, prefill-token equivalents."""

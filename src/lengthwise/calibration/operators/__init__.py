"""Fit operator curves to tables of measured kernels."""

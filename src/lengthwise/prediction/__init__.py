"""Predictions from calibrated laws: points, tables, whole requests; the law file."""

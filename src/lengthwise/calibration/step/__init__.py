"""Calibrating the step law: measured rows against the physics, and what remains between them."""

"""Dynamic profiling with exploration: what to measure next, what to trust, how fast to adapt."""

"""Time of one operator on one processor: physical curves, one operator a file."""

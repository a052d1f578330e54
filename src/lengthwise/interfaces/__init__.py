"""Ways in: command line."""

"""The measurement table: columns, reading and writing, checks, datasets, splits."""

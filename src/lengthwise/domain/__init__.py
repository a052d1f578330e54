"""What things are: models, work of a step, predictions. Frozen, no I/O."""

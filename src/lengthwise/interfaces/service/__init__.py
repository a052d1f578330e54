"""What the service keeps and runs: settings, state, the trainer process, supervision."""

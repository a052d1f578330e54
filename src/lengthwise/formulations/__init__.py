"""The laws: one formulation per file, each with its equation, citation and bounds."""

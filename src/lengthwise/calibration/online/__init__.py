"""Learning from live traffic: filter, memory, drift, promotion."""

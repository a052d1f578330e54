"""Figures, the HTML report, comparisons and the demo: what people look at."""

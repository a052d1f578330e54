"""Figures in two steps: prepare what is shown (a chart), then draw it (SVG or matplotlib)."""

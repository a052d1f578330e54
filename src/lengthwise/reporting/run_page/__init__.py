"""The page of one measurement: what was measured, how well, and how it looks."""

from lengthwise.reporting.run_page.write import run_page, write_run_page

__all__ = ["run_page", "write_run_page"]

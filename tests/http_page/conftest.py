"""A browser for the tests of the page."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Page, chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Page]:
    """One headless Chromium for all tests; skips, visibly, where there is none."""
    pytest.importorskip("aiohttp", reason="the browser is spoken to over aiohttp")
    binary = chromium()
    if binary is None:
        pytest.skip("needs Chromium or Chrome")
    os.environ.setdefault("TZ", "UTC")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Page(Path(folder), binary) as page,
    ):
        yield page

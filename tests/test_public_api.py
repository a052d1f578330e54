"""What the package says it offers is what it offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lengthwise
from lengthwise import errors


def test_all_names_resolve_and_none_is_forgotten() -> None:
    assert sorted(lengthwise.__all__) == sorted({*lengthwise._HOMES, "__version__"})
    assert dir(lengthwise) == sorted(lengthwise.__all__)
    for name in lengthwise.__all__:
        assert getattr(lengthwise, name) is not None


@pytest.mark.parametrize("name", sorted(lengthwise._HOMES))
def test_a_public_name_is_documented(name: str) -> None:
    assert (getattr(lengthwise, name).__doc__ or "").strip()


def test_every_error_and_warning_is_public() -> None:
    own = {
        name for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }  # fmt: skip
    assert own == set(lengthwise._ERRORS)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'LatencyLow'"):
        _ = lengthwise.LatencyLow


def test_a_name_is_imported_on_use_and_then_kept() -> None:
    code = (
        "import sys, lengthwise\n"
        "assert 'pandas' not in sys.modules\n"
        "assert lengthwise.LatencyLaw is lengthwise.LatencyLaw\n"
        "assert 'LatencyLaw' in vars(lengthwise)\n"
        "assert 'pandas' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

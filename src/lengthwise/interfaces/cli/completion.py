"""Names a shell may complete: processors and models of the catalogue."""

from __future__ import annotations


def complete_hardware(incomplete: str) -> list[str]:
    """Return the processors whose names begin so.

    >>> complete_hardware("h100_")
    ['h100_sxm', 'h100_pcie', 'h100_nvl']
    """
    from lengthwise.data.hardware_catalog import hardware_names

    return [name for name in hardware_names() if name.startswith(incomplete)]


def complete_model(incomplete: str) -> list[str]:
    """Return the models whose names begin so.

    >>> complete_model("llama2-7")
    ['llama2-7b', 'llama2-70b']
    """
    from lengthwise.domain.catalog import MODELS

    return [model.name for model in MODELS if model.name.startswith(incomplete)]

"""Which parts of a model a quantisation section leaves out.

Tools write the modules they left alone in several ways: one name per layer
(``model.layers.7.self_attn.o_proj``), a glob (``model.layers.7.self_attn*``, ``*.attn.*``), a
regular expression (``re:.*self_attn.*``), or the last part of a name (``gate``). A part counts as
left out if the rules name it in most of the layers that have it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

_OF_LAYER = re.compile(r"(\d+)(?:\.(.*)|\*)?")

# one matrix of each part, as implementations name it
MODULES: Mapping[str, tuple[str, ...]] = {
    "attention": ("self_attn.o_proj", "attn.wo_a", "mixer.o_proj"),
    "recurrence": ("linear_attn.out_proj", "mixer.out_proj", "self_attn.o_proj"),
    "dense": ("mlp.gate_proj", "mlp.down_proj", "mixer.up_proj"),
    "shared": ("mlp.shared_experts.gate_proj", "mlp.shared_expert.gate_proj",
               "ffn.shared_experts.w1", "mixer.shared_experts.up_proj"),
    "experts": ("mlp.experts.0.gate_proj", "ffn.experts.0.w1", "block_sparse_moe.experts.0.w1",
                "mixer.experts.0.up_proj"),
}  # fmt: skip
BESIDE: Mapping[str, tuple[str, ...]] = {
    **MODULES, "shared": ("mlp.gate_proj",), "experts": ("experts.gate_up_proj",),
}  # fmt: skip
"""The same where a dense part runs beside the experts in each layer."""


class Ignored:
    """Rules on what is left out of a quantisation.

    Parameters
    ----------
    patterns
        As written in the section.

    Examples
    --------
    >>> rules = Ignored(["model.layers.0.self_attn*", "re:.*shared_experts.*", "lm_head"])
    >>> rules.leaves_out(0, "self_attn.o_proj"), rules.leaves_out(1, "self_attn.o_proj")
    (True, False)
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.of_layer: dict[int, list[str]] = {}
        self.general: list[str] = []
        self.expressions: list[re.Pattern[str]] = []
        for pattern in patterns:
            self._add(pattern)

    def _add(self, pattern: str) -> None:
        if pattern.startswith("mtp"):
            return
        if pattern.startswith("re:"):
            try:
                self.expressions.append(re.compile(pattern[3:]))
            except re.error:
                return
            return
        rest = pattern.split("layers.", 1)[-1]
        found = _OF_LAYER.fullmatch(rest) if "layers." in pattern else None
        if found is not None:
            self.of_layer.setdefault(int(found[1]), []).append(found[2] or "*")
        else:
            self.general.append(rest.lstrip("*."))

    def leaves_out(self, layer: int, module: str) -> bool:
        """Say whether a module of a layer is named by a rule."""
        name = f"model.layers.{layer}.{module}"
        return (
            any(_matches(module, rule) for rule in self.of_layer.get(layer, ()))
            or any(_matches(module, rule) for rule in self.general)
            or any(expression.match(name) for expression in self.expressions)
        )

    def parts(
        self, positions: Mapping[str, Sequence[int]], modules: Mapping[str, tuple[str, ...]]
    ) -> list[str]:
        """Give the parts that are left out in most of the layers that have them.

        Parameters
        ----------
        positions
            Layers that have each part.
        modules
            Names of one matrix of each part.
        """
        return [
            part
            for part, layers in positions.items()
            if any(
                2 * sum(self.leaves_out(i, module) for i in layers) > len(layers)
                for module in modules.get(part, ())
            )
        ]


def _matches(module: str, rule: str) -> bool:
    if any(mark in rule for mark in "*?["):
        return fnmatchcase(module, rule) or fnmatchcase(module, f"{rule}.*")
    return f".{rule}." in f".{module}." if rule else False

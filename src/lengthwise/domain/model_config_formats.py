"""Weight formats of a ``config.json``: which format, and which parts are left out of it."""

from __future__ import annotations

from collections.abc import Sequence

from lengthwise.domain.layers import Experts, FeedForward, LatentAttention, Mixer, Recurrence
from lengthwise.domain.model_config_ignored import BESIDE, MODULES, Ignored
from lengthwise.domain.model_config_values import Values
from lengthwise.domain.weights import format_of_name

Pair = tuple[Mixer | None, FeedForward | Experts | None]
Parts = tuple[tuple[str, str], ...]

_PLAIN = {"float16": "fp16", "torch.float16": "fp16"}
_BITS = {8: "int8", 4: "int4", 3: "int3", 2: "int2"}
_DIRECT = ("nvfp4", "mxfp4", "mxfp8")


def formats(config: Values, outer: Values, pairs: Sequence[Pair]) -> tuple[str, Parts]:
    """Give the format of the quantised matrices, and the parts that have another one.

    Without a quantisation section the name decides (``-FP8``, ``-NVFP4``): some publishers keep
    the section in a file of its own. Latent attention is then taken as left in 16 bits by nvfp4,
    as they leave it.
    """
    dtype = config.get("dtype", "torch_dtype") or outer.get("dtype", "torch_dtype")
    plain = _PLAIN.get(str(dtype), "bf16")
    section = outer.mapping("quantization_config") or config.mapping("quantization_config")
    if section is None:
        named = format_of_name(outer.name) or plain
        latent = any(isinstance(mixer, LatentAttention) for mixer, _ in pairs)
        return named, (("attention", plain),) if latent and named == "nvfp4" else ()
    experts_only = section.get("moe_quant_algo") is not None
    rest = "fp8_block" if experts_only else plain
    modules = BESIDE if config.flag("enable_moe_block") else MODULES
    parts = dict.fromkeys(_ignored(section).parts(_positions(pairs), modules), rest)
    width = config.get("expert_dtype")
    if width in {"fp4", "fp8"} and not experts_only:
        parts["experts"] = "mxfp4" if width == "fp4" else "fp8_block"
    return _format(section), tuple(sorted(parts.items()))


def _ignored(section: Values) -> Ignored:
    patterns: list[str] = []
    for key in ("ignore", "modules_to_not_convert", "exclude_modules"):
        patterns += [str(pattern) for pattern in section.listing(key) or []]
    return Ignored(patterns)


def _positions(pairs: Sequence[Pair]) -> dict[str, list[int]]:
    """Say which layers have each part."""
    found: dict[str, list[int]] = {}
    for i, (mixer, ffn) in enumerate(pairs):
        if mixer is not None:
            part = "recurrence" if isinstance(mixer, Recurrence) else "attention"
            found.setdefault(part, []).append(i)
        if isinstance(ffn, FeedForward):
            found.setdefault("dense", []).append(i)
        elif ffn is not None:
            found.setdefault("experts", []).append(i)
            if ffn.shared_inner:
                found.setdefault("shared", []).append(i)
    return found


def _format(section: Values) -> str:
    """Name the format of the quantised matrices."""
    method = section.text("quant_method").lower()
    algorithm = section.text("moe_quant_algo", "quant_algo").lower()
    for direct in (algorithm, method):
        if direct in _DIRECT:
            return direct
    if algorithm == "fp8" or (method in {"fp8", "fbgemm_fp8"} and algorithm != "mixed_precision"):
        return "fp8_block" if section.get("weight_block_size") is not None else "fp8"
    if method in {"awq", "gptq", "auto-round", "hqq"} or algorithm.startswith("w4a16"):
        return _BITS.get(section.size("bits", "w_bit", default=4), "int4")
    if method == "bitsandbytes":
        return "int8" if section.flag("load_in_8bit") else "int4"
    weights = _group_weights(section)
    if weights is None:
        got = f"quant_method {method or algorithm!r}"
        raise section.error("must name a known quantisation method", got)
    return _grouped(section, weights)


def _group_weights(section: Values) -> Values | None:
    """Give the description of the weights in the first group that has one."""
    groups = section.mapping("config_groups")
    for key in groups or ():
        group = groups.mapping(key) if groups is not None else None
        if group is not None and group.get("weights") is not None:
            return group.mapping("weights")
    return None


def _grouped(section: Values, weights: Values) -> str:
    bits = weights.size("num_bits", default=8)
    group = weights.size("group_size", default=0, least=0)
    if weights.text("type") != "float":
        return "int4_g32" if (bits, group) == (4, 32) else _BITS.get(bits, "int8")
    if bits == 8:
        return "fp8_block" if weights.text("strategy") == "block" else "fp8"
    return "mxfp4" if "mxfp4" in section.text("format") or group == 32 else "nvfp4"

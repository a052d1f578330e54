"""Recurrent layers of a ``config.json``: gated delta rule, Kimi delta attention, Mamba."""

from __future__ import annotations

from lengthwise.domain.blocks import gated_delta, kimi_delta, mamba
from lengthwise.domain.layers import Gemm, Recurrence
from lengthwise.domain.model_config_values import Values

BITS = {"float32": 32, "bfloat16": 16, "float16": 16}


def recurrence(config: Values, hidden: int) -> Recurrence:
    """Write the recurrent mixer a configuration describes, whichever it is.

    >>> keys = {"linear_num_key_heads": 16, "linear_num_value_heads": 32,
    ...         "linear_key_head_dim": 128, "linear_value_head_dim": 128}
    >>> recurrence(Values(keys, "m"), 2048).state_values
    548864
    """
    linear = config.mapping("linear_attn_config")
    if linear is not None:
        return kimi_delta(
            hidden, linear.size("num_heads"), linear.size("head_dim"),
            linear.size("short_conv_kernel_size", default=4), linear.flag("use_full_rank_gate"),
        )  # fmt: skip
    if config.get("linear_num_value_heads") is not None:
        return gated_delta(
            hidden, config.size("linear_num_key_heads"), config.size("linear_num_value_heads"),
            config.size("linear_key_head_dim"), config.size("linear_value_head_dim"),
            config.size("linear_conv_kernel_dim", default=4), _bits(config, "float32"),
        )  # fmt: skip
    if config.get("attn_type_list") is not None:
        return _lightning(config, hidden)
    if config.get("time_step_rank") is not None and config.get("mamba_num_heads") is None:
        return _first_mamba(config, hidden)
    heads, size = _mamba_shape(config, hidden)
    return mamba(
        hidden, heads, size, config.size("ssm_state_size", "state_size", "mamba_d_state"),
        config.size("n_groups", "mamba_n_groups", default=1),
        config.size("conv_kernel", "mamba_d_conv", default=4), _bits(config, "bfloat16"),
    )  # fmt: skip


def _mamba_shape(config: Values, hidden: int) -> tuple[int, int]:
    size = config.size("mamba_head_dim", "mamba_d_head", "head_dim", default=64)
    inner = hidden * config.size("expand", "mamba_expand", default=2)
    heads = config.size("mamba_num_heads", "mamba_n_heads", "num_heads", default=inner // size)
    return heads, size


def _bits(config: Values, default: str) -> int:
    kind = config.text("mamba_ssm_cache_dtype", "mamba_ssm_dtype", default=default)
    return BITS.get(kind.removeprefix("torch."), 16)


def _first_mamba(config: Values, hidden: int) -> Recurrence:
    """Write the first Mamba (Gu and Dao 2023, arXiv 2312.00752): one state row per channel."""
    inner = config.size("intermediate_size", "d_inner", default=2 * hidden)
    state, rank = config.size("state_size"), config.size("time_step_rank")
    gemms = (
        Gemm(2 * inner, hidden, "columns"), Gemm(rank + 2 * state, inner, "rows"),
        Gemm(inner, rank, "columns"), Gemm(hidden, inner, "rows"),
    )  # fmt: skip
    kernel = config.size("conv_kernel", default=4)
    return Recurrence(inner, state, 1, inner * (state + kernel - 1), gemms, 16)


def _lightning(config: Values, hidden: int) -> Recurrence:
    """Write lightning attention (Qin et al. 2024, arXiv 2405.17381), as MiniMax-01 has it."""
    heads = config.size("num_attention_heads")
    size = config.size("head_dim", default=hidden // heads)
    gemms = Gemm(4 * heads * size, hidden, "columns"), Gemm(hidden, heads * size, "rows")
    return Recurrence(heads, size, size, heads * size * size, gemms, 32)

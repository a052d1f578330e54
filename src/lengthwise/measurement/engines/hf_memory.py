"""Refuse what cannot fit before it is allocated: a clear message instead of a killed process.

Counted are the KV cache, the widest activations of one layer, the attention matrix where one is
formed, the states of a scan where every step keeps its own, and the logits. It is an estimate,
meant to be right within a factor of about two for large shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lengthwise.errors import InputError
from lengthwise.measurement.engine import Shape

if TYPE_CHECKING:
    from transformers import PretrainedConfig

GIB = 2**30
FLOAT_BYTES = 4
SHARE = 0.9
"""Share of the free memory that may be used."""


@dataclass(frozen=True)
class Footprint:
    """What a step of this model takes, bytes.

    Attributes
    ----------
    kv_bytes
        Of keys and values of one token, all layers.
    activation_bytes
        Of one token in the widest layer.
    pair_bytes
        Of one query-key pair in one layer; 0 when attention is fused.
    mask_bytes
        Of one query-key pair in the mask that fused attention needs over a cache.
    scan_bytes
        Of the states of one token in one layer.
    logit_bytes
        Of one row of logits.
    all_logits
        Whether logits of all prompt tokens are formed.
    """

    kv_bytes: int
    activation_bytes: int
    pair_bytes: int
    mask_bytes: int
    scan_bytes: int
    logit_bytes: int
    all_logits: bool = False

    def step_bytes(self, shape: Shape, beams: int = 1, reserved: int = 0) -> int:
        """Bytes at the peak of a shape, weights not counted.

        Parameters
        ----------
        beams
            Sequences that each prompt becomes after the prefill.
        reserved
            Tokens per sequence that a static cache holds; 0 for one that grows.

        Examples
        --------
        >>> one = Footprint(4096, 5000, 0, 5, 0, 384000)
        >>> one.step_bytes(Shape(1024, batch_size=2)) // 1024
        19006
        """
        batch, new = shape.batch_size, shape.isl - shape.cached_tokens
        prefill = batch * new * (self.activation_bytes + self.scan_bytes)
        masked = reserved or shape.cached_tokens
        per_pair = self.pair_bytes or (self.mask_bytes if masked else 0)
        pairs = batch * new * max(shape.isl, reserved) * per_pair
        rows = batch * max(beams, new if self.all_logits else 1)
        cache = batch * beams * max(shape.longest, reserved) * self.kv_bytes
        return prefill + pairs + rows * self.logit_bytes + cache


def footprint_of(
    config: PretrainedConfig, item_bytes: int, fused: bool, all_logits: bool
) -> Footprint:
    """Read the footprint of a model from its configuration.

    Parameters
    ----------
    item_bytes
        Of one number in the cache and in activations.
    fused
        Whether attention never forms its matrix.
    all_logits
        Whether logits of all prompt tokens are formed.
    """
    text = config.get_text_config()
    hidden, heads = _number(text, "hidden_size"), _number(text, "num_attention_heads")
    ffn = _number(text, "intermediate_size") or 4 * hidden
    head_dim = _number(text, "head_dim") or (hidden // heads if heads else 0)
    kv_heads = _number(text, "num_key_value_heads") or heads
    return Footprint(
        kv_bytes=2 * _number(text, "num_hidden_layers") * kv_heads * head_dim * item_bytes,
        activation_bytes=(8 * hidden + 3 * ffn) * item_bytes,
        pair_bytes=0 if fused else heads * (2 * item_bytes + FLOAT_BYTES),
        mask_bytes=1 + item_bytes if heads else 0,
        scan_bytes=3 * FLOAT_BYTES * _scan_numbers(text),
        logit_bytes=3 * FLOAT_BYTES * _number(text, "vocab_size"),
        all_logits=all_logits,
    )


def _scan_numbers(config: Any) -> int:
    """Numbers that a scan keeps of one token: all states, or a row of a chunk for each head."""
    width = 2 * _number(config, "hidden_size")
    chunk = _number(config, "chunk_size") or _number(config, "mamba_chunk_size")
    heads = _number(config, "num_heads") or _number(config, "mamba_n_heads")
    return chunk * heads or width * _number(config, "state_size")


def _number(config: Any, name: str) -> int:
    value = getattr(config, name, None)
    return int(value) if isinstance(value, int) else 0


def check_weights(parameters: int, item_bytes: int, device: str) -> None:
    """Refuse weights that do not fit."""
    _check(parameters * item_bytes, device, f"{parameters / 1e9:.2f} billion parameters",
           "use a smaller model or bf16")  # fmt: skip


def check_shape(need: int, shape: Shape, device: str) -> None:
    """Refuse a shape that does not fit beside the weights."""
    _check(need, device, f"isl={shape.isl}, batch_size={shape.batch_size}",
           "measure fewer tokens or sequences, or use attention=sdpa")  # fmt: skip


def _check(need: int, device: str, what: str, remedy: str) -> None:
    free = free_bytes(device)
    if free is not None and need > SHARE * free:
        raise InputError("the memory must hold what is measured",
                         got=f"{what}: about {need / GIB:.1f} GiB, where {free / GIB:.1f} GiB "
                             "are free", remedy=remedy)  # fmt: skip


def free_bytes(device: str) -> int | None:
    """Give the free memory of the device; None when the system does not say."""
    if device == "cuda":
        import torch

        unused = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return int(torch.cuda.mem_get_info()[0] + unused)
    known = [free for free in (_system_free(), _group_free()) if free is not None]
    return min(known, default=None)


def _system_free(path: Path = Path("/proc/meminfo")) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _group_free(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Memory left to the control group of this process, as containers set it."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return int((folder / limit).read_text()) - int((folder / used).read_text())
        except (OSError, ValueError):
            continue
    return None

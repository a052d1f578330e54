"""Write a Llama-architecture GGUF with random weights: real shapes, no download, no torch.

Latency does not depend on the values of the weights, so a random model of a real shape is a fair
object to time. openvino-genai needs one merge and a chat template to build its tokenizer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np


@dataclass(frozen=True)
class Shape:
    """Dimensions of a Llama-like decoder."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int = 32000
    context: int = 65536

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads

    @property
    def parameters(self) -> int:
        kv = self.kv_heads * self.head_dim
        per_layer = 2 * self.hidden**2 + 2 * self.hidden * kv + 3 * self.hidden * self.ffn
        return self.layers * per_layer + 2 * self.vocab * self.hidden


SHAPES = {
    "random-llama-19m": Shape("random-llama-19m", 4, 256, 4, 2, 704),
    "random-llama-56m": Shape("random-llama-56m", 8, 512, 8, 4, 1408),
}


def _byte_symbols() -> list[str]:
    """Give the 256 printable stand-ins of byte-level BPE, in byte order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    chars = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}
    return [chars[b] for b in range(256)]


def write(shape: Shape, path: Path, seed: int = 0) -> Path:
    """Write ``shape`` with float16 weights to ``path``."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(shape.name)
    writer.add_vocab_size(shape.vocab)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_freq_base(10000.0)
    writer.add_file_type(1)
    tokens = ["<s>", "</s>", "<pad>", *_byte_symbols(), "ab"]
    tokens += [f"<extra_{i}>" for i in range(shape.vocab - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (shape.vocab - 3))
    writer.add_token_merges(["a b"])
    writer.add_chat_template("{{ messages[0].content }}")
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    _write_tensors(writer, shape, np.random.default_rng(seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_tensors(writer: gguf.GGUFWriter, s: Shape, rng: np.random.Generator) -> None:
    kv = s.kv_heads * s.head_dim

    def matrix(name: str, rows: int, cols: int) -> None:
        writer.add_tensor(name, (rng.standard_normal((rows, cols)) * 0.02).astype(np.float16))

    def ones(name: str) -> None:
        writer.add_tensor(name, np.ones(s.hidden, np.float32))

    matrix("token_embd.weight", s.vocab, s.hidden)
    ones("output_norm.weight")
    matrix("output.weight", s.vocab, s.hidden)
    for i in range(s.layers):
        block = f"blk.{i}."
        ones(block + "attn_norm.weight")
        ones(block + "ffn_norm.weight")
        for name, rows, cols in (
            ("attn_q", s.hidden, s.hidden), ("attn_k", kv, s.hidden), ("attn_v", kv, s.hidden),
            ("attn_output", s.hidden, s.hidden), ("ffn_gate", s.ffn, s.hidden),
            ("ffn_up", s.ffn, s.hidden), ("ffn_down", s.hidden, s.ffn),
        ):  # fmt: skip
            matrix(f"{block}{name}.weight", rows, cols)

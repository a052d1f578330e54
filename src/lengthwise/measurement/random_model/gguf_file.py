"""A Llama GGUF with random weights and a minimal tokenizer: no download, no torch.

The same file loads in llama.cpp and in openvino-genai (which needs at least one merge and a chat
template to build its tokenizer).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lengthwise.errors import InputError
from lengthwise.measurement.random_model.shape import DecoderShape

if TYPE_CHECKING:
    from gguf import GGUFWriter

FILE_TYPE = {"f16": 1, "q4_0": 2, "q8_0": 7}
"""Values of ``general.file_type`` by name of the quantisation."""
SPREAD = 0.02
BLOCK = 32


def write_gguf(
    shape: DecoderShape, path: Path, quantisation: str = "f16", seed: int = 0
) -> Path:  # fmt: skip
    """Write ``shape`` with random weights.

    Parameters
    ----------
    shape
        Dimensions.
    path
        File to write; replaced when it exists.
    quantisation
        ``f16``, ``q8_0`` or ``q4_0``, of the matrices; norms are float32.
    seed
        Of the weights.

    Returns
    -------
    ``path``.

    Raises
    ------
    InputError
        If the quantisation is not known or does not fit the shape.
    """
    if quantisation not in FILE_TYPE:
        raise InputError(f"the quantisation must be one of {', '.join(FILE_TYPE)}",
                         got=repr(quantisation), remedy="write f16")  # fmt: skip
    if quantisation != "f16" and (shape.hidden % BLOCK or shape.ffn % BLOCK):
        raise InputError(f"hidden size and FFN must be multiples of {BLOCK} for {quantisation}",
                         got=f"{shape.hidden} and {shape.ffn}", remedy="write f16")  # fmt: skip
    from gguf import GGUFWriter

    writer = GGUFWriter(str(path), "llama")
    _write_dimensions(writer, shape, FILE_TYPE[quantisation])
    _write_tokenizer(writer, shape.vocab)
    _write_tensors(writer, shape, quantisation, np.random.default_rng(seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_dimensions(writer: GGUFWriter, shape: DecoderShape, file_type: int) -> None:
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
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_file_type(file_type)


def _write_tokenizer(writer: GGUFWriter, vocab: int) -> None:
    """Byte-level BPE with a single merge; the rest of the vocabulary is fillers."""
    special = ["<s>", "</s>", "<pad>"]
    tokens = [*special, *_byte_symbols(), "ab"]
    tokens += [f"<extra_{i}>" for i in range(vocab - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(special) + [1] * (vocab - len(special)))
    writer.add_token_merges(["a b"])
    writer.add_chat_template("{{ messages[0].content }}")
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)


def _byte_symbols() -> list[str]:
    """Give the 256 printable stand-ins of byte-level BPE, in byte order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    symbols = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}
    return [symbols[byte] for byte in range(256)]


def _write_tensors(
    writer: GGUFWriter, s: DecoderShape, quantisation: str, rng: np.random.Generator
) -> None:
    q, kv = s.heads * s.head_dim, s.kv_heads * s.head_dim

    def matrix(name: str, rows: int, columns: int) -> None:
        values = rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(SPREAD)
        _add_matrix(writer, f"{name}.weight", values, quantisation)

    def ones(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(s.hidden, np.float32))

    matrix("token_embd", s.vocab, s.hidden)
    ones("output_norm")
    matrix("output", s.vocab, s.hidden)
    for layer in range(s.layers):
        block = f"blk.{layer}."
        ones(block + "attn_norm")
        ones(block + "ffn_norm")
        for name, rows, columns in (
            ("attn_q", q, s.hidden), ("attn_k", kv, s.hidden), ("attn_v", kv, s.hidden),
            ("attn_output", s.hidden, q), ("ffn_gate", s.ffn, s.hidden),
            ("ffn_up", s.ffn, s.hidden), ("ffn_down", s.hidden, s.ffn),
        ):  # fmt: skip
            matrix(block + name, rows, columns)


def _add_matrix(writer: Any, name: str, values: npt.NDArray[np.float32], quantisation: str) -> None:
    if quantisation == "f16":
        writer.add_tensor(name, values.astype(np.float16))
        return
    from gguf import GGMLQuantizationType
    from gguf.quants import quantize

    kind = GGMLQuantizationType[quantisation.upper()]
    writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)

"""Architecture facts of known decoder-only models.

``parameters`` counts the matrices of the blocks that one prompt token passes through:

    attention     2 h H d + 2 h H_kv d    h hidden size, H query and H_kv key-value heads of size d
    feed-forward  m h f                   m = 3 with a gate, 2 without; f inner size
    experts       k (3 h f) + h E         k active (routed and shared) of E experts

The embedding is a look-up and costs nothing; the output matrix is needed for the last prompt token
only. Both are left out. Where the two tables are below one percent, the published total is kept
(``tables``): llama2-70b, opt-66b and opt-175b. Norms and biases are negligible and left out.
``layers`` counts layers with full attention; sliding-window layers cost linear work only.
"""

from __future__ import annotations

from lengthwise.domain.model import ModelSpec

CONFIG = "config.json of the model"
PUBLISHED = "published architecture, not checked against a config.json"


def _dense(
    name: str, layers: int, hidden: int, heads: int, kv_heads: int, head_dim: int, ffn: int,
    *, gate: bool = True, full: int | None = None, tables: int = 0, source: str = PUBLISHED,
) -> ModelSpec:  # fmt: skip
    """Count a model whose layers are all alike, ``full`` of them with full attention."""
    attention = 2 * hidden * head_dim * (heads + kv_heads)
    block = attention + (3 if gate else 2) * hidden * ffn
    return ModelSpec(
        name, float(layers * block + tables), full or layers, heads, kv_heads, head_dim, source
    )


def _moe(
    name: str, layers: int, hidden: int, heads: int, kv_heads: int, head_dim: int, ffn: int,
    active: int, experts: int, *, full: int | None = None, source: str = CONFIG,
) -> ModelSpec:  # fmt: skip
    """Count a mixture of experts: ``active`` of ``experts`` per token, each of inner size ffn."""
    attention = 2 * hidden * head_dim * (heads + kv_heads)
    block = attention + 3 * hidden * ffn * active + hidden * experts
    return ModelSpec(name, float(layers * block), full or layers, heads, kv_heads, head_dim, source)


def _latent(
    name: str, layers: int, hidden: int, heads: int, ranks: tuple[int, int],
    dims: tuple[int, int, int], ffn: tuple[int, int, int], active: int, experts: int,
    *, kv_heads: int, source: str,
) -> ModelSpec:  # fmt: skip
    """Count a model with multi-head latent attention and a mixture of experts.

    ``ranks`` are those of queries and of keys and values; ``dims`` the position-free, rotary and
    value sizes of a head; ``ffn`` the dense layers, their inner size and that of an expert.
    ``head_dim`` is the mean of query and value size, which makes 4 L H d exact. The cache of
    rank + rotary values per layer is stood for by ``kv_heads``.
    """
    (q_rank, kv_rank), (plain, rotary, value), (dense_layers, inner, expert) = ranks, dims, ffn
    attention = (
        hidden * q_rank + q_rank * heads * (plain + rotary) + hidden * (kv_rank + rotary)
        + kv_rank * heads * (plain + value) + heads * value * hidden
    )  # fmt: skip
    routed = 3 * hidden * expert * active + hidden * experts
    parameters = layers * attention + dense_layers * 3 * hidden * inner
    parameters += (layers - dense_layers) * routed
    head_dim = (plain + rotary + value) // 2
    return ModelSpec(name, float(parameters), layers, heads, kv_heads, head_dim, source)


def _deepseek(name: str, source: str) -> ModelSpec:
    return _latent(
        name, 61, 7168, 128, (1536, 512), (128, 64, 128), (3, 18432, 2048), 9, 256,
        kv_heads=2, source=source,
    )  # fmt: skip


_LLAMA = (
    _dense("llama-7b", 32, 4096, 32, 32, 128, 11008),
    _dense("llama-13b", 40, 5120, 40, 40, 128, 13824),
    _dense("llama2-7b", 32, 4096, 32, 32, 128, 11008),
    _dense("llama2-13b", 40, 5120, 40, 40, 128, 13824),
    _dense("llama2-70b", 80, 8192, 64, 8, 128, 28672, tables=2 * 32000 * 8192),
    _dense("llama3-8b", 32, 4096, 32, 8, 128, 14336),
    _dense("llama3-70b", 80, 8192, 64, 8, 128, 28672),
    _dense("llama3.1-8b", 32, 4096, 32, 8, 128, 14336, source=CONFIG),
    _dense("llama3.1-70b", 80, 8192, 64, 8, 128, 28672, source=CONFIG),
    _dense("llama3.1-405b", 126, 16384, 128, 8, 128, 53248, source=CONFIG),
    _dense("llama3.2-1b", 16, 2048, 32, 8, 64, 8192),
    _dense("llama3.2-3b", 28, 3072, 24, 8, 128, 8192),
    _dense("llama3.3-70b", 80, 8192, 64, 8, 128, 28672),
)
_QWEN = (
    _dense("qwen1.5-7b", 32, 4096, 32, 32, 128, 11008),
    *(
        _dense(f"{family}-{size}", *shape)
        for family in ("qwen2", "qwen2.5")
        for size, shape in (
            ("0.5b", (24, 896, 14, 2, 64, 4864)),
            ("1.5b", (28, 1536, 12, 2, 128, 8960)),
            ("7b", (28, 3584, 28, 4, 128, 18944)),
            ("72b", (80, 8192, 64, 8, 128, 29568)),
        )
    ),
    _dense("qwen2.5-3b", 36, 2048, 16, 2, 128, 11008),
    _dense("qwen2.5-14b", 48, 5120, 40, 8, 128, 13824),
    _dense("qwen2.5-32b", 64, 5120, 40, 8, 128, 27648),
    _dense("qwen3-0.6b", 28, 1024, 16, 8, 128, 3072, source=CONFIG),
    _dense("qwen3-1.7b", 28, 2048, 16, 8, 128, 6144, source=CONFIG),
    _dense("qwen3-4b", 36, 2560, 32, 8, 128, 9728),
    _dense("qwen3-8b", 36, 4096, 32, 8, 128, 12288, source=CONFIG),
    _dense("qwen3-14b", 40, 5120, 40, 8, 128, 17408),
    _dense("qwen3-32b", 64, 5120, 64, 8, 128, 25600, source=CONFIG),
    _moe("qwen3-30b-a3b", 48, 2048, 32, 4, 128, 768, 8, 128),
    _moe("qwen3-235b-a22b", 94, 4096, 64, 4, 128, 1536, 8, 128),
    _moe("qwen3-coder-480b-a35b", 62, 6144, 96, 8, 128, 2560, 8, 160),
)
_DEEPSEEK = (
    _dense("deepseek-r1-distill-qwen-1.5b", 28, 1536, 12, 2, 128, 8960),
    _dense("deepseek-r1-distill-qwen-7b", 28, 3584, 28, 4, 128, 18944),
    _dense("deepseek-r1-distill-qwen-14b", 48, 5120, 40, 8, 128, 13824),
    _dense("deepseek-r1-distill-qwen-32b", 64, 5120, 40, 8, 128, 27648),
    _dense("deepseek-r1-distill-llama-8b", 32, 4096, 32, 8, 128, 14336),
    _dense("deepseek-r1-distill-llama-70b", 80, 8192, 64, 8, 128, 28672),
    _deepseek("deepseek-v3", CONFIG),
    _deepseek("deepseek-v3.1", PUBLISHED),
    _deepseek("deepseek-r1", CONFIG),
    _latent("glm-4.7-flash", 47, 2048, 20, (768, 512), (192, 64, 256), (1, 10240, 1536), 5, 64,
            kv_heads=1, source=PUBLISHED),
)  # fmt: skip
_MISTRAL = (
    _dense("mistral-7b", 32, 4096, 32, 8, 128, 14336),
    _dense("mistral-nemo-12b", 40, 5120, 32, 8, 128, 14336),
    _dense("mistral-small-24b", 40, 5120, 32, 8, 128, 32768),
    _moe("mixtral-8x7b", 32, 4096, 32, 8, 128, 14336, 2, 8),
    _moe("mixtral-8x22b", 56, 6144, 48, 8, 128, 16384, 2, 8),
)
_WINDOWED = (
    _moe("gpt-oss-20b", 24, 2880, 64, 8, 64, 2880, 4, 32, full=12),
    _moe("gpt-oss-120b", 36, 2880, 64, 8, 64, 2880, 4, 128, full=18),
    _dense("gemma-2-2b", 26, 2304, 8, 4, 256, 9216, full=13),
    _dense("gemma-2-9b", 42, 3584, 16, 8, 256, 14336, full=21),
    _dense("gemma-2-27b", 46, 4608, 32, 16, 128, 36864, full=23),
    _dense("gemma-3-1b", 26, 1152, 4, 1, 256, 6912, full=4),
    _dense("gemma-3-4b", 34, 2560, 8, 4, 256, 10240, full=5),
    _dense("gemma-3-12b", 48, 3840, 16, 8, 256, 15360, full=8),
    _dense("gemma-3-27b", 62, 5376, 32, 16, 128, 21504, full=10),
)
_OTHERS = (
    _dense("bloom-7b1", 30, 4096, 32, 32, 128, 16384, gate=False),
    _dense("bloom-176b", 70, 14336, 112, 112, 128, 57344, gate=False),
    _dense("opt-6.7b", 32, 4096, 32, 32, 128, 16384, gate=False),
    _dense("opt-13b", 40, 5120, 40, 40, 128, 20480, gate=False),
    _dense("opt-30b", 48, 7168, 56, 56, 128, 28672, gate=False),
    _dense("opt-66b", 64, 9216, 72, 72, 128, 36864, gate=False, tables=50272 * 9216),
    _dense("opt-175b", 96, 12288, 96, 96, 128, 49152, gate=False, tables=50272 * 12288),
    _dense("falcon-7b", 32, 4544, 71, 1, 64, 18176, gate=False),
    _dense("falcon-40b", 60, 8192, 128, 8, 64, 32768, gate=False),
    _dense("mpt-7b", 32, 4096, 32, 32, 128, 16384, gate=False),
    _dense("mpt-30b", 48, 7168, 64, 64, 112, 28672, gate=False),
    _dense("gpt-j-6b", 28, 4096, 16, 16, 256, 16384, gate=False),
    _dense("gpt-neox-20b", 44, 6144, 64, 64, 96, 24576, gate=False),
    _dense("codegen2-16b", 34, 6144, 24, 24, 256, 24576, gate=False),
    _dense("starcoder", 40, 6144, 48, 1, 128, 24576, gate=False),
    _dense("phi-2", 32, 2560, 32, 32, 80, 10240, gate=False),
    _dense("phi-3-mini", 32, 3072, 32, 32, 96, 8192),
    _dense("phi-4", 40, 5120, 40, 10, 128, 17920),
)
_OWN = (
    _dense("random-llama-19m", 4, 256, 4, 2, 64, 704, source="manifest of own-openvino-cpu"),
    _dense("random-llama-56m", 8, 512, 8, 4, 64, 1408, source="manifest of own-openvino-cpu"),
)

MODELS: tuple[ModelSpec, ...] = (
    *_LLAMA, *_QWEN, *_DEEPSEEK, *_MISTRAL, *_WINDOWED, *_OTHERS, *_OWN,
)  # fmt: skip
"""Every known model."""

ALIASES = {"bloom": "bloom-176b"}
"""Other names of the same model that no rule of spelling connects."""

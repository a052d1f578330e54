"""Less of the prompt to compute: what is cached, what is left out, how it is cut into steps."""

from __future__ import annotations

from lengthwise.formulations.step.knobs.base import Knob, setting
from lengthwise.formulations.step.knobs.request import CHUNK

COMPRESSION = (
    "LLMLingua, arXiv 2310.05736", "LLMLingua-2, arXiv 2403.12968",
)  # fmt: skip
CHUNKED = ("Sarathi-Serve, arXiv 2403.02310", "DeepSpeed-FastGen, arXiv 2401.08671")

KNOBS = (
    Knob(
        "prefix_hit_rate", "prefix cache",
        "Sets the share of the prompt whose keys and values are found in a cache.",
        setting("cached"), "share", default=0.0, most=1.0,
        sources=("Prompt Cache, arXiv 2311.04934", "SGLang, arXiv 2312.07104"),
    ),
    Knob(
        "prompt_kept", "prompt compression",
        "Sets the share of the prompt that a compressor leaves.",
        setting("prompt"), "share", default=1.0, least=0.01, most=1.0, sources=COMPRESSION,
    ),
    Knob(
        "compressor_ms", "prompt compression",
        "Adds the compressor's time per 1,000 tokens of the prompt as it came.",
        setting("compressor_s", 1e-6), "number", default=0.0, most=1e4, unit="ms",
        sources=COMPRESSION,
    ),
    Knob(
        "prefill_chunk", "chunked prefill",
        "Limits the prompt tokens of a step, so that a prompt takes several steps.",
        setting("chunk"), "count", default=int(CHUNK), least=16, most=1e7, unit="tokens",
        sources=CHUNKED,
    ),
    Knob(
        "mixed_steps", "chunked prefill",
        "Lets running requests decode in the steps of a prompt instead of waiting for them.",
        setting("mixed"), "switch", default=False, sources=CHUNKED,
    ),
)  # fmt: skip

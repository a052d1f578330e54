"""Older and smaller families, and the project's own models."""

from __future__ import annotations

from lengthwise.domain.catalog.builders import CONFIG, dense

OLDER = (
    dense("bloom-7b1", 30, 4096, 32, 32, 128, 16384, 250880, gate=False, tied=True),
    dense("bloom-176b", 70, 14336, 112, 112, 128, 57344, 250880, gate=False, tied=True),
    dense("opt-6.7b", 32, 4096, 32, 32, 128, 16384, 50272, gate=False, tied=True),
    dense("opt-13b", 40, 5120, 40, 40, 128, 20480, 50272, gate=False, tied=True),
    dense("opt-30b", 48, 7168, 56, 56, 128, 28672, 50272, gate=False, tied=True),
    dense("opt-66b", 64, 9216, 72, 72, 128, 36864, 50272, gate=False, tied=True, tables=True),
    dense("opt-175b", 96, 12288, 96, 96, 128, 49152, 50272, gate=False, tied=True, tables=True),
    dense("falcon-7b", 32, 4544, 71, 1, 64, 18176, 65024, gate=False, tied=True),
    dense("falcon-40b", 60, 8192, 128, 8, 64, 32768, 65024, gate=False, tied=True),
    dense("mpt-7b", 32, 4096, 32, 32, 128, 16384, 50432, gate=False, tied=True),
    dense("mpt-30b", 48, 7168, 64, 64, 112, 28672, 50432, gate=False, tied=True),
    dense("gpt-j-6b", 28, 4096, 16, 16, 256, 16384, 50400, gate=False),
    dense("gpt-neox-20b", 44, 6144, 64, 64, 96, 24576, 50432, gate=False),
    dense("codegen2-16b", 34, 6144, 24, 24, 256, 24576, 51200, gate=False),
    dense("starcoder", 40, 6144, 48, 1, 128, 24576, 49152, gate=False, tied=True),
    dense("phi-2", 32, 2560, 32, 32, 80, 10240, 51200, gate=False),
    dense("phi-3-mini", 32, 3072, 32, 32, 96, 8192, 32064),
    dense("phi-4-mini", 32, 3072, 24, 8, 128, 8192, 200064, tied=True, context=131072),
    dense("yi-34b", 60, 7168, 56, 8, 128, 20480, 64000, context=4096),
    dense("mimo-7b", 36, 4096, 32, 8, 128, 11008, 151680, context=32768, draft=1, source=CONFIG),
    dense("phi-4", 40, 5120, 40, 10, 128, 17920, 100352),
)
OWN = (
    dense("random-llama-19m", 4, 256, 4, 2, 64, 704, 32000, source="manifest of own-openvino-cpu"),
    dense("random-llama-56m", 8, 512, 8, 4, 64, 1408, 32000, source="manifest of own-openvino-cpu"),
)
MODELS = (*OLDER, *OWN)

"""Models that mix layers with a sliding window and layers with full attention."""

from __future__ import annotations

from lengthwise.domain.catalog.builders import dense, moe

_MXFP4 = (("attention", "bf16"),)
GPT_OSS = tuple(
    moe(f"gpt-oss-{size}", layers, 2880, 64, 8, 64, 2880, 4, experts, 201088, full=layers // 2,
        window=128, context=131072, weights="mxfp4", parts=_MXFP4)
    for size, layers, experts in (("20b", 24, 32), ("120b", 36, 128))
)  # fmt: skip
GEMMA = (
    *(
        dense(f"gemma-2-{size}", *shape, 256000, full=full, window=4096, tied=True, context=8192)
        for size, full, shape in (
            ("2b", 13, (26, 2304, 8, 4, 256, 9216)),
            ("9b", 21, (42, 3584, 16, 8, 256, 14336)),
            ("27b", 23, (46, 4608, 32, 16, 128, 36864)),
        )
    ),
    dense("gemma-3-1b", 26, 1152, 4, 1, 256, 6912, 262144, full=4, window=512, tied=True,
          context=32768),
    *(
        dense(f"gemma-3-{size}", *shape, 262208, full=full, window=1024, tied=True, context=131072)
        for size, full, shape in (
            ("4b", 5, (34, 2560, 8, 4, 256, 10240)),
            ("12b", 8, (48, 3840, 16, 8, 256, 15360)),
            ("27b", 10, (62, 5376, 32, 16, 128, 21504)),
        )
    ),
)  # fmt: skip
MODELS = (*GPT_OSS, *GEMMA)

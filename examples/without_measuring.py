"""Many requests at once from models and processors alone, nothing measured."""

import pandas as pd

from lengthwise import StepLaw

points = pd.DataFrame(
    {
        "model": ["llama3.1-8b", "llama3.1-8b", "llama3.1-70b", "my-own-model"],
        "hardware": ["h100_sxm", "h100_sxm", "h200_sxm", "h100_sxm"],
        "precision": ["bf16", "bf16", "fp8", "bf16"],
        "tp": [1, 1, 4, 1],
        "isl": [1024, 1024, 4096, 1024],
        "osl": 256,
        "concurrency": [1, 32, 16, 1],
    }
)
answers = StepLaw().predict_table(points)
for row in answers.itertuples():
    if row.problem:
        print(f"{row.model}: {row.problem}")
    else:
        print(
            f"{row.model}, {row.concurrency} in flight: TTFT {row.ttft_ms:.0f} ms, "
            f"TPOT {row.tpot_ms:.1f} ms ({row.tpot_lo_ms:.1f} to {row.tpot_hi_ms:.1f})"
        )

"""Fit your own timings and predict a length nobody measured."""

import pandas as pd

from lengthwise import LatencyLaw

timings = pd.DataFrame(
    {
        "phase": "prefill",
        "isl": [128, 256, 512, 1024, 2048, 4096, 8192],
        "latency_ms": [21.4, 22.1, 27.9, 45.2, 86.0, 177.5, 391.0],
    }
)

law = LatencyLaw().fit(timings)
print(law.summary())

for isl in (2048, 16384, 65536):
    answer = law.estimate(isl=isl)
    print(
        f"{isl:>6,} tokens: {answer.latency_ms:8,.0f} ms, 90 % within "
        f"{answer.lo_ms:,.0f} to {answer.hi_ms:,.0f} ms, "
        f"{answer.extrapolation_factor:g} times the longest measured, {answer.regime} bound"
    )

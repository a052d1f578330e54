"""Too far from the data there is no number, but the measurement that would help most."""

import pandas as pd

from lengthwise import LatencyLaw, RefusedError

short = pd.DataFrame(
    {
        "phase": "prefill",
        "isl": [128, 256, 512, 1024, 2048],
        "latency_ms": [21.0, 22.0, 28.0, 45.0, 86.0],
    }
)
law = LatencyLaw().fit(short)
try:
    law.estimate(isl=131072)
except RefusedError as error:
    print(error)

print("suggestion:", law.suggest(phase="prefill", isl=131072))
anchored = pd.concat(
    [short, pd.DataFrame({"phase": ["prefill"], "isl": 32768, "latency_ms": 2310.0})]
)
answer = LatencyLaw().fit(anchored).estimate(isl=131072)
print(
    f"with one measurement at 32,768: {answer.latency_ms / 1e3:.1f} s, "
    f"90 % within {answer.lo_ms / 1e3:.1f} to {answer.hi_ms / 1e3:.1f} s"
)

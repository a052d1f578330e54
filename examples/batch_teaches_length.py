"""A batch sweep of short prompts teaches long prompts: both are new tokens.

Four prompts of 512 tokens and one of 2,048 have the same new tokens; only the pairs that attention
looks at differ. Here the law sees one length at ten batch sizes, and is asked for long prompts.
"""

import numpy as np
import pandas as pd

from lengthwise import LatencyLaw


def truth_ms(isl: np.ndarray, batch: np.ndarray) -> np.ndarray:
    """Time of a made-up machine: a floor, a time per token, a time per attention pair."""
    return np.hypot(0.08 * isl * batch, 18.0) + 2.0e-6 * batch * isl**2


batch = np.array([1, 2, 4, 6, 8, 12, 16, 24, 32, 64.0])
isl = np.full(len(batch), 512.0)
sweep = pd.DataFrame(
    {"phase": "prefill", "isl": isl, "batch_size": batch, "latency_ms": truth_ms(isl, batch)}
)

law = LatencyLaw().fit(sweep)
asked = np.array([1024.0, 2048.0, 4096.0])
predicted = law.predict(pd.DataFrame({"phase": "prefill", "isl": asked}))
actual = truth_ms(asked, np.ones(3))
for n, guess, real in zip(asked, predicted, actual, strict=True):
    print(f"{n:>6,.0f} tokens: law {guess:6.1f} ms, true {real:6.1f} ms ({guess / real - 1:+.1%})")

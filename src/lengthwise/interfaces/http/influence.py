"""How much each field of a row moves a prediction: what llm-d calls importances.

The law has no trees to count splits of. The share of a field is how far the prediction moves (in
logarithm) when the field goes from its lowest to its typical high value, the others being typical.
"""

from __future__ import annotations

import numpy as np

from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.formulations.online.rows import RouterRows

SPAN: dict[str, tuple[str, float, float]] = {
    "kv_cache_percentage": ("kv_share", 0.5, 0.95),
    "input_token_length": ("input_tokens", 1024, 8192),
    "num_request_waiting": ("waiting", 0, 16),
    "num_request_running": ("running", 8, 64),
    "prefill_tokens_in_flight": ("prefill_in_flight", 0, 16384),
    "decode_tokens_in_flight": ("decode_in_flight", 0, 16384),
    "encoder_input_size": ("encoder_tokens", 0, 4096),
    "encoder_matched_size": ("encoder_matched", 0, 4096),
    "prefix_cache_score": ("cached_share", 0.2, 0.9),
    "num_tokens_generated": ("generated", 0, 512),
}
"""Field of llm-d to column, typical and high value; the low value is 0 (one token)."""


def influences(law: OnlineLaw, target: str) -> dict[str, float]:
    """Share of each field, together 1.

    >>> found = influences(OnlineLaw.cold(), "ttft")
    >>> round(sum(found.values()), 6), max(found, key=found.get)
    (1.0, 'input_token_length')
    """
    names = list(SPAN)
    columns = {
        column: np.full(2 * len(names), float(typical)) for column, typical, _ in SPAN.values()
    }
    for i, name in enumerate(names):
        column, _, high = SPAN[name]
        columns[column][2 * i] = 1.0 if column == "input_tokens" else 0.0
        columns[column][2 * i + 1] = high
    answer = law.predict(RouterRows.of(columns))
    logs = np.log(answer.ttft_s if target == "ttft" else answer.tpot_s)
    moved = np.abs(logs[1::2] - logs[::2])
    total = moved.sum()
    shares = moved / total if total > 0 else np.full(len(names), 1 / len(names))
    return dict(zip(names, shares.tolist(), strict=True))


def described(law: OnlineLaw, target: str, body: str) -> str:
    """Text that stands where llm-d expects a dump of trees: what the law is, and the law itself.

    >>> described(OnlineLaw.cold(), "ttft", "{}").splitlines()[0]
    '# Not a LightGBM model: the ttft law of lengthwise, physical terms learnt online.'
    """
    lines = [
        f"# Not a LightGBM model: the {target} law of lengthwise, physical terms learnt online.",
        f"# version {law.version}, {law.learnt.get(target, 0)} rows learnt",
        "# pod type, term, value, unit, standard deviation of its logarithm",
        *(
            f"{t['pod_type']}\t{t['name']}\t{t['value']:.6g}\t{t['unit']}\t{t['sd']:.3g}"
            for t in law.terms()
            if t["target"] == target
        ),
        "# the law as JSON:",
        body,
    ]
    return "\n".join(lines) + "\n"

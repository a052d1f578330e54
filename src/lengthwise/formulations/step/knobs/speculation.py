"""Several tokens per step: guesses checked by one step of the model.

With k guesses, each right with chance a as long as those before it were, a step yields

    E = 1 + a + ... + a^k = (1 - a^(k+1)) / (1 - a)    tokens (Leviathan et al., arXiv 2211.17192)

and costs one step over k + 1 tokens of each sequence, and k times the guessing.
"""

from __future__ import annotations

from lengthwise.formulations.step.knobs.base import Knob, setting

SPECULATION = (
    "Leviathan et al., arXiv 2211.17192", "Chen et al., arXiv 2302.01318",
    "DISCO, arXiv 2405.04304", "SmartSpec, arXiv 2406.14066",
)  # fmt: skip
OWN = ("Gloeckle et al., arXiv 2404.19737", "DeepSeek-V3, arXiv 2412.19437",
       "EAGLE, arXiv 2401.15077")  # fmt: skip


def expected_tokens(guesses: int, acceptance: float) -> float:
    """Tokens that a step yields on average.

    >>> round(expected_tokens(3, 0.7), 3), expected_tokens(4, 1.0), expected_tokens(0, 0.9)
    (2.533, 5.0, 1.0)
    """
    return float(sum(acceptance**i for i in range(guesses + 1)))


KNOBS = (
    Knob(
        "speculative_tokens", "speculation",
        "Sets how many tokens a small model guesses for each step.",
        setting("drafts"), "count", default=0, most=32, unit="tokens", sources=SPECULATION,
    ),
    Knob(
        "mtp_tokens", "speculation",
        "Sets how many tokens the model guesses itself, with one extra layer for each.",
        setting("own_heads"), "count", default=0, most=16, unit="tokens", sources=OWN,
    ),
    Knob(
        "acceptance", "speculation",
        "Sets the chance that a guess is right, given that those before it were.",
        setting("acceptance"), "share", default=0.7, most=1.0, sources=SPECULATION,
    ),
    Knob(
        "draft_cost", "speculation",
        "Sets the time of one guess as a share of a decode step.",
        setting("draft_cost"), "share", default=0.1, most=1.0, sources=SPECULATION[:1],
    ),
    Knob(
        "draft_model", "speculation",
        "Takes the time of a guess from this model on the same processors.",
        setting("draft"), "text", sources=SPECULATION[:2], unset="none",
    ),
)  # fmt: skip

"""How many words, signs and characters of scripts without spaces a text has: about its tokens."""

from __future__ import annotations

import re

PIECE = re.compile(
    r"[^\W\u2e80-\U0010ffff]{1,12}"  # letters and digits, a long run in parts
    r"|[\u2e80-\U0010ffff]"  # a character of a script without spaces, or an emoji
    r"|[^\w\s\u2e80-\U0010ffff]+"  # a run of punctuation
)


def pieces(text: str) -> int:
    r"""Return the number of pieces of a text, at least 1: most have one token, few have three.

    >>> pieces(" tok tok tok tok"), pieces(" understanding."), pieces("\n"), pieces("時間")
    (4, 3, 1, 2)
    """
    return max(1, len(PIECE.findall(text)))

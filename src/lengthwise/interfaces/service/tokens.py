"""Tokens of clients, as they are written in options, files and the environment.

An empty list is an error: whoever sets tokens means that some are asked for.
"""

from __future__ import annotations

import re

from lengthwise.errors import InputError

TOKEN_ROLES = ("read", "write")
_TOKEN = re.compile(r"[\x21-\x7e]+")


def is_token(text: str) -> bool:
    """Return whether a header can carry the text: visible ASCII, no space.

    >>> is_token("4f0c"), is_token("a b"), is_token("")
    (True, False, False)
    """
    return _TOKEN.fullmatch(text) is not None


def read_tokens(text: str, where: str) -> dict[str, str]:
    """Return tokens with their roles: one ``TOKEN:ROLE`` per line or comma, ``#`` for comments.

    Raises
    ------
    InputError
        If an entry is no token with a role, or if there is none.

    Examples
    --------
    >>> read_tokens("secret:write, other:read", "here")
    {'secret': 'write', 'other': 'read'}
    """
    found: dict[str, str] = {}
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for number, part in enumerate((p.strip() for line in lines for p in line.split(",")), 1):
        if not part:
            continue
        token, colon, role = part.rpartition(":")
        if not colon or not is_token(token) or role not in TOKEN_ROLES:
            raise InputError(f"a token must be TOKEN:ROLE with role {' or '.join(TOKEN_ROLES)}, "
                             "in visible characters without spaces",
                             got=f"entry {number} of {where}",
                             remedy="write for example 4f0c...:write")  # fmt: skip
        found[token] = role
    if not found:
        raise InputError("a list of tokens must hold a token", got=f"an empty {where}",
                         remedy="write one TOKEN:ROLE per line, or leave it out to ask for none",
                         )  # fmt: skip
    return found

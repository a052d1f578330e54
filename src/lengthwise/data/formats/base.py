"""What a module of this package offers, and what it is given.

Each module has

- ``NAME`` and ``TITLE``: the name for ``--format`` and the tool in words;
- ``matches(document) -> bool``: whether the content (never the file name) has this shape;
- ``read(document) -> Parsed``: rows for the measurement table.

The same word means different numbers in different tools. Readers make it mean one: TTFT runs from
send to first token, TPOT is (last - first token) / (osl - 1) and missing below two tokens, E2E runs
from send to last byte, queue time is apart; counts of the server win over those of the client.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from lengthwise.data.opening import read_bytes, read_head
from lengthwise.data.parsing import parse_json, parse_value
from lengthwise.data.report import Flag

HEAD_BYTES = 1 << 16

_SPACE = re.compile(r"\s*")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\n])")


@dataclass(frozen=True)
class Document:
    """A file and, parsed once, what it may be.

    ``json`` is the parsed object or None, ``rows`` the objects of JSON lines (or of concatenated
    JSON objects) or an empty list. A single JSON object is both: ``json`` and one row.
    """

    path: Path

    @cached_property
    def data(self) -> bytes:
        """The whole file, unpacked if it is gzip."""
        return read_bytes(self.path)

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB, unpacked if the file is gzip."""
        return read_head(self.path, HEAD_BYTES)

    @cached_property
    def text(self) -> str:
        """The whole file, UTF-8 or UTF-16 with its mark; undecodable bytes are replaced."""
        is_wide = self.data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        return self.data.decode("utf-16" if is_wide else "utf-8-sig", errors="replace")

    @cached_property
    def printed(self) -> str:
        """The text without colours and without what progress bars overwrote; empty for JSON."""
        if self.rows:
            return ""
        text = self.text
        if "\x1b" in text:
            text = _COLOUR.sub("", text)
        if "\r" in text:
            text = _OVERWRITTEN.sub("", text.replace("\r\n", "\n"))
        return text

    @cached_property
    def json(self) -> Any:
        """The file as one JSON value, None when it is not one."""
        if not self.text.lstrip().startswith(("{", "[")):
            return None
        try:
            return parse_json(self.text, self.path)
        except json.JSONDecodeError:
            return None

    @cached_property
    def rows(self) -> list[Any]:
        """The file as JSON lines or concatenated JSON values; empty when it is neither."""
        if self.json is not None:
            return [self.json]
        text, values = self.text, []
        at = _past_space(text, 0)
        if text[at : at + 1] not in ("{", "["):
            return []
        while at < len(text):
            try:
                value, end = parse_value(text, at, self.path)
            except json.JSONDecodeError:
                return []
            values.append(value)
            at = _past_space(text, end)
        return values

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        """JSON objects of the file, those inside a top-level list too."""
        values = self.json if isinstance(self.json, list) else self.rows
        return [value for value in values if isinstance(value, dict)]


def _past_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


@dataclass(frozen=True)
class Parsed:
    """Rows of a file before the rules of the table are applied.

    Attributes
    ----------
    frame
        Columns of the measurement table and extra ones.
    rows_read
        Records found in the file.
    dropped
        Records that are no measurement, by reason (failed requests, warm-up, summaries).
    assumptions
        What was taken for granted, in words.
    flags
        What looks wrong, for example token counts of client and server that differ.
    needs
        Columns without which the rows mislead and that the file does not hold: the user has to
        give them.
    """

    frame: pd.DataFrame
    rows_read: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()
    needs: tuple[str, ...] = ()


class Format(Protocol):
    """A module of this package."""

    NAME: str
    TITLE: str

    def matches(self, document: Document) -> bool:
        """Whether the content has the shape of this format."""

    def read(self, document: Document) -> Parsed:
        """Rows of the measurement table."""

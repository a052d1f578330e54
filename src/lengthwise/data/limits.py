"""Limits on what is read from disk, each a setting of the environment with a sane default.

A file is the work of somebody else, and a few kilobytes can unpack to gigabytes. What is beyond a
limit is refused with the name of the setting that raises it. The defaults keep a file of 1 MB under
1 GB of memory and 20 s, and let through any table or report that a tool is known to write.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NoReturn

from lengthwise.errors import FileFormatError, InputError

MIB = 1 << 20


@dataclass(frozen=True)
class Limit:
    """A limit: its setting, default, unit, and what it bounds, as in a sentence."""

    setting: str
    default: int
    unit: str
    what: str

    @property
    def value(self) -> int:
        """The limit in force.

        Raises
        ------
        InputError
            If the setting is not a whole number of at least 1.
        """
        text = os.environ.get(self.setting, "").strip()
        if not text:
            return self.default
        if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
            raise InputError(f"{self.setting} must be a whole number, 1 or more",
                             got=repr(text[:40]), remedy=f"unset it for {self.default}",
                             )  # fmt: skip
        return int(text)

    def refuse(self, path: object, got: str, remedy: str = "") -> NoReturn:
        """Refuse a file that is beyond the limit.

        Raises
        ------
        FileFormatError
            Always; it names the setting.
        """
        raise FileFormatError(
            f"{self.what} must be at most {self.value:,} {self.unit}".rstrip(),
            got=f"{got} in {path}",
            remedy=(f"{remedy}, or " if remedy else "") + f"set {self.setting} to allow more",
        )


TABLE = Limit("LENGTHWISE_MAX_TABLE_MB", 16_384, "MB", "a table, unpacked,")
DOCUMENT = Limit("LENGTHWISE_MAX_DOCUMENT_MB", 1024, "MB", "a result file of a tool, unpacked,")
LAW = Limit("LENGTHWISE_MAX_LAW_MB", 64, "MB", "a law file")
CONFIG = Limit("LENGTHWISE_MAX_CONFIG_MB", 16, "MB", "a config.json")
TOML = Limit("LENGTHWISE_MAX_TOML_KB", 1024, "kB", "a TOML file")
UNPACKED = Limit("LENGTHWISE_MAX_UNPACKED_RATIO", 40, "times its packed size",
                 "what a file of more than 16 MB unpacks to")  # fmt: skip
ROWS = Limit("LENGTHWISE_MAX_TABLE_ROWS", 100_000_000, "", "the number of rows")
COLUMNS = Limit("LENGTHWISE_MAX_COLUMNS", 1000, "", "the number of columns, or of distinct keys,")
FILL = Limit(
    "LENGTHWISE_MAX_EMPTY_CELLS", 20, "for each value", "the number of cells of JSON lines"
)
DENSITY = Limit("LENGTHWISE_MAX_CELLS_PER_BYTE", 16, "for each byte",
                "the number of cells of a Parquet file")  # fmt: skip
CELL = Limit("LENGTHWISE_MAX_CELL_KB", 1024, "kB", "a cell")
LINE = Limit("LENGTHWISE_MAX_LINE_KB", 8192, "kB", "a line of JSON")
NESTING = Limit("LENGTHWISE_MAX_NESTING", 64, "levels", "nesting")
DIGITS = Limit("LENGTHWISE_MAX_DIGITS", 400, "digits", "a number")
FILES = Limit("LENGTHWISE_MAX_FILES", 10_000, "", "the number of files in a folder")

LIMITS = (TABLE, DOCUMENT, LAW, CONFIG, TOML, UNPACKED, ROWS, COLUMNS, FILL, DENSITY, CELL, LINE,
          NESTING, DIGITS, FILES)  # fmt: skip
"""All limits, in the order in which they are documented."""

FREE_BYTES = 16 * MIB
"""What a packed file may unpack to whatever its size."""
FREE_CELLS = 3_000_000
"""Cells that a file may have whatever its size."""

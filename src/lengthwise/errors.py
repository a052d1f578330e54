"""Everything lengthwise raises or warns about.

::

    LengthwiseError                 base; carries a rule, what was found, and a remedy
    ├── InputError                  bad usage or bad data                      exit code 2
    │   ├── ColumnError             a column is missing, unknown or has bad values
    │   ├── FileFormatError         a file cannot be read as what it claims to be
    │   ├── ArtifactError           a law file is damaged, too new or too large
    │   └── MissingExtraError       an optional dependency is not installed
    ├── OutputError                 a result could not be written              exit code 1
    ├── NothingUsableError          every row was skipped, nothing to work on  exit code 1
    ├── RefusedError                the question is outside what data can answer   exit code 1
    └── GateError                   a threshold the caller set was not met     exit code 3
    DataWarning                     data were kept but look wrong
    FitWarning                      a law was fitted but something is weak
"""

from __future__ import annotations

import errno
import re

LONGEST_TEXT = 600
"""Characters of a value that an error shows."""

_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters, those that turn the direction of text, and halves of characters."""


class LengthwiseError(Exception):
    """Base of all errors: states the rule, what was found, and the remedy.

    Parameters
    ----------
    rule
        What must hold, as a sentence without a full stop.
    got
        The offending value, already formatted.
    remedy
        What to do about it.

    Examples
    --------
    >>> print(InputError("level must lie in (0, 1)", got="level=90", remedy="write 0.9"))
    level must lie in (0, 1), but got level=90. Remedy: write 0.9.
    """

    exit_code = 1

    def __init__(self, rule: str, *, got: str = "", remedy: str = "") -> None:
        self.rule, self.got, self.remedy = rule, got, remedy
        text = rule + (f", but got {shown(got)}" if got else "") + "."
        super().__init__(printable(text + (f" Remedy: {remedy}." if remedy else "")))

    @property
    def finding(self) -> str:
        """What was found, without the remedy and the full stop: for use inside another sentence.

        >>> InputError("level must lie in (0, 1)", got="level=90", remedy="write 0.9").finding
        'level must lie in (0, 1), but got level=90'
        """
        return self.rule + (f", but got {self.got}" if self.got else "")


class InputError(LengthwiseError, ValueError):
    """Bad usage or bad data."""

    exit_code = 2


class ColumnError(InputError):
    """A column is missing, unknown, or holds values it must not hold."""


class FileFormatError(InputError):
    """A file cannot be read as the format it claims or was said to be."""


class ArtifactError(InputError):
    """A law file is damaged, of an unknown schema version, or too large."""


class MissingExtraError(InputError, ImportError):
    """An optional dependency is needed and absent."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the optional package {package}",
            got="no such package in this environment",
            remedy=pip_install(extra),
        )

    @property
    def finding(self) -> str:
        """The package and how to get it, in one line."""
        return f"{self.rule}: {self.remedy}"


class OutputError(LengthwiseError):
    """A result could not be written: the disk is full, or the system refuses.

    Parameters
    ----------
    path
        What was written to.
    error
        What the system said.

    Examples
    --------
    >>> import errno
    >>> print(OutputError("law.json", OSError(errno.ENOSPC, "No space left on device")))
    law.json must be writable, but got No space left on device. Remedy: free space, or name another.
    """

    def __init__(self, path: object, error: OSError) -> None:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        super().__init__(
            f"{path} must be writable", got=error.strerror or str(error),
            remedy=f"{'free space' if full else 'check its rights'}, or name another",
        )  # fmt: skip


class NothingUsableError(LengthwiseError):
    """No row was left to work on."""


class RefusedError(LengthwiseError):
    """The data cannot answer this question; the remedy names the measurement that would."""


class GateError(LengthwiseError):
    """A gate the caller asked for was not met."""

    exit_code = 3


class DataWarning(UserWarning):
    """Rows were kept, but they look wrong; the message names them."""


class FitWarning(UserWarning):
    """A law was fitted, but part of it is weakly determined by the data."""


def printable(text: str) -> str:
    r"""Return text of others without what a terminal would obey; tabs and line ends stay.

    >>> printable("\x1b]0;owned\x07name")
    '\ufffd]0;owned\ufffdname'
    """
    return _UNSEEN.sub("\ufffd", text) if _UNSEEN.search(text) else text


def shown(value: object, most: int = LONGEST_TEXT) -> str:
    r"""Return a name or a cell of others in one line, printable and cut.

    >>> shown("a\nb"), shown("x" * 1000, 8)
    ('a b', 'xxxxx...')
    """
    text = printable(" ".join(str(value)[: 4 * most].split("\n")))
    return text if len(text) <= most else text[: most - 3] + "..."


def pip_install(extra: str) -> str:
    """Return the command that installs what an extra needs, wherever lengthwise came from.

    It names the packages themselves: pip would look for ``lengthwise[...]`` in an index, where the
    project of a checkout is not, or is another one.

    >>> pip_install("report")
    "pip install 'jinja2>=3.1' 'matplotlib>=3.9'"
    """
    import shlex
    from importlib.metadata import PackageNotFoundError, requires

    try:
        declared = [text.partition(";") for text in requires("lengthwise") or ()]
    except PackageNotFoundError:  # run from its source, without being installed
        return f"pip install '.[{extra}]' in the checkout"
    wanted = (f"extra == '{extra}'", f'extra == "{extra}"')
    needed = [name.strip() for name, _, marker in declared if marker.endswith(wanted)]
    return f"pip install {shlex.join(sorted(needed))}"

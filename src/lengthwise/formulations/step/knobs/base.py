"""What a knob is: a name, a range, a citation, and the physical quantity it changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from lengthwise.errors import InputError
from lengthwise.formulations.step.knobs.request import Request

Value = float | int | bool | str
Kind = Literal["share", "number", "count", "switch", "choice", "text"]
_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


@dataclass(frozen=True)
class Knob:
    """One setting of a technique.

    Attributes
    ----------
    name
        As in ``physics`` of the documentation and, with dashes, on the command line.
    family
        Technique it belongs to.
    changes
        The physical quantity it changes, one sentence.
    change
        Gives the request with that quantity changed to a value.
    kind
        ``share`` and ``number`` are decimal numbers, ``count`` a whole one, ``switch`` on or off,
        ``choice`` one of ``choices``, ``text`` a name.
    default
        Value that changes nothing; None: as deployed.
    least, most
        Allowed range of numbers, both ends included.
    unit
        Of the value; empty for shares, switches and names.
    sources
        Papers, with arXiv ids where they are known.
    unset
        What holds where the default is None, for people.

    Examples
    --------
    >>> from lengthwise.formulations.step.knobs.registry import find_knob
    >>> find_knob("prefix_hit_rate").parse("0.5")
    0.5
    """

    name: str
    family: str
    changes: str
    change: Callable[[Request, Any], Request]
    kind: Kind = "number"
    default: Value | None = None
    least: float = 0.0
    most: float = 1e9
    unit: str = ""
    choices: tuple[Value, ...] = ()
    sources: tuple[str, ...] = ()
    unset: str = "as deployed"

    @property
    def option(self) -> str:
        """Spelling on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def range(self) -> str:
        """Allowed values, for people."""
        if self.kind == "switch":
            return "on, off"
        if self.choices:
            return ", ".join(v if isinstance(v, str) else f"{v:g}" for v in self.choices)
        if self.kind == "text":
            return "a model"
        return f"{_plain(self.least)} to {_plain(self.most)}"

    def parse(self, value: Any) -> Value:
        """Read and check a value given as text or number.

        Raises
        ------
        InputError
            If it is not of the kind or outside the range.
        """
        if self.kind == "switch":
            return self._switch(value)
        if self.kind == "text":
            return str(value)
        if self.kind == "choice" and isinstance(self.choices[0], str):
            if str(value) not in self.choices:
                raise self._wrong(value)
            return str(value)
        return self._number(value)

    def _number(self, value: Any) -> Value:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise self._wrong(value) from None
        allowed = number in self.choices if self.choices else self.least <= number <= self.most
        whole = self.kind != "count" or number == int(number) if math.isfinite(number) else False
        if not (allowed and whole):
            raise self._wrong(value)
        return int(number) if self.kind == "count" else number

    def _switch(self, value: Any) -> bool:
        text = str(value).lower()
        if text not in _YES + _NO:
            raise self._wrong(value)
        return text in _YES

    def _wrong(self, value: Any) -> InputError:
        what = "a whole number, " if self.kind == "count" else ""
        sense = f"it {self.changes[0].lower()}{self.changes[1:].rstrip('.')}"
        return InputError(f"{self.option} must be {what}{self.range}", got=repr(value),
                          remedy=sense)  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"name": self.name, "option": self.option, "family": self.family, "kind": self.kind,
                "default": self.default, "range": self.range, "unit": self.unit,
                "changes": self.changes, "sources": list(self.sources)}  # fmt: skip


def _plain(value: float) -> str:
    """Write a number without an exponent.

    >>> _plain(1e7), _plain(0.005)
    ('10,000,000', '0.005')
    """
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def setting(field: str, scale: float = 1.0) -> Callable[[Request, Any], Request]:
    """Give a change that sets one physical quantity to ``scale`` times the value."""

    def change(request: Request, value: Any) -> Request:
        return request.having(**{field: value if scale == 1.0 else value * scale})

    return change

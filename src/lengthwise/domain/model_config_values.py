"""Reading single values of a ``config.json``, with errors for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from lengthwise.errors import InputError

LARGEST = 10**10
REMEDY = "give the config.json as published with the model, or a name from the catalogue"


class Values:
    """A view on one configuration that checks what it hands out.

    Parameters
    ----------
    data
        The configuration.
    name
        Name of the model, for messages.
    defaults
        What the architecture takes for keys that are missing.

    Examples
    --------
    >>> Values({"n_embd": 768}, "gpt2").size("hidden_size", "n_embd")
    768
    """

    def __init__(
        self, data: Mapping[str, Any], name: str, defaults: Mapping[str, Any] | None = None
    ) -> None:
        self.data, self.name, self.defaults = data, name, defaults or {}

    def get(self, *keys: str) -> Any:
        """Give the first value that is there and not null, else None."""
        for source in (self.data, self.defaults):
            for key in keys:
                if source.get(key) is not None:
                    return source[key]
        return None

    def size(self, *keys: str, default: int | None = None, least: int = 1) -> int:
        """Give a whole number under the first key that is there.

        Raises
        ------
        InputError
            If it is missing without a default, no whole number, or below ``least``.
        """
        value = self.get(*keys)
        if value is None:
            if default is None:
                raise self.error(f"must give {_or(keys)}", "none of these keys")
            return default
        return self.whole(value, keys[0], least)

    def whole(self, value: Any, key: str, least: int = 1) -> int:
        """Check one whole number; a list of equal ones stands for that number."""
        if isinstance(value, list) and value and all(entry == value[0] for entry in value):
            value = value[0]
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        good = number is not None and math.isfinite(number) and number == int(number)
        if not good or not least <= int(value) <= LARGEST:
            raise self.error(f"must give {key} as a whole number from {least}", f"{value!r:.80}")
        return int(value)

    def flag(self, key: str, default: bool = False) -> bool:
        """Give a yes or no."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(f"must give {key} as true or false", f"{value!r:.80}")
        return value

    def text(self, *keys: str, default: str = "") -> str:
        """Give a text."""
        value = self.get(*keys)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(f"must give {_or(keys)} as text", f"{value!r:.80}")
        return value

    def listing(self, *keys: str, length: int | None = None) -> list[Any] | None:
        """Give a list, cut to ``length`` (entries beyond it belong to prediction modules)."""
        value = self.get(*keys)
        if value is None:
            return None
        if not isinstance(value, list) or (length is not None and len(value) < length):
            expected = f"a list of {length} entries" if length else "a list"
            raise self.error(f"must give {_or(keys)} as {expected}", f"{value!r:.80}")
        return value[:length] if length is not None else value

    def mapping(self, *keys: str) -> Values | None:
        """Give a nested configuration."""
        value = self.get(*keys)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.error(f"must give {_or(keys)} as an object", f"{value!r:.80}")
        return Values(value, self.name)

    def error(self, rule: str, got: str) -> InputError:
        """Write an error about this configuration."""
        return InputError(f"the config.json of {self.name} {rule}", got=got, remedy=REMEDY)

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)


def _or(keys: tuple[str, ...]) -> str:
    return " or ".join(f'"{key}"' for key in keys)

"""Settings of an engine varied: every combination of their values, in as few loads as can be.

Settings of a request (beams, temperature) change between two prompts of one loaded engine, so their
combinations are shapes of one sweep, shuffled with the lengths and batches. The others (precision,
threads, attention) need a load each; loads follow one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from lengthwise.errors import InputError
from lengthwise.measurement.engine import EngineOptions, Shape
from lengthwise.measurement.engines.options import PER_REQUEST, SETTINGS, check_options
from lengthwise.measurement.plan import Plan

OPTIONS = ("precision", "threads")
"""What may vary of :class:`EngineOptions` beside an engine's own settings."""
ALIASES = {"quantisation": "precision", "quantization": "precision", "beam_width": "beams",
           "num_beams": "beams"}  # fmt: skip
BATCHES = ("batch", "batch_size")

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SetShape(Shape):
    """A shape that is run with settings of its own, as (name, text)."""

    settings: Pairs = ()


@dataclass(frozen=True)
class Load:
    """One engine to open, the values that made it so, and what it runs."""

    options: EngineOptions
    values: Pairs
    plan: Plan


@dataclass(frozen=True)
class Variation:
    """What is varied, and the loads that takes.

    Attributes
    ----------
    engine
        Name of the engine.
    varied
        Values by name.
    loads
        One entry per combination of what needs a load.
    """

    engine: str
    varied: Mapping[str, tuple[str, ...]]
    loads: tuple[Load, ...]

    @property
    def runs(self) -> int:
        """Runs of a shape, over all loads, warm-up included."""
        return sum(load.plan.count for load in self.loads)

    @property
    def prompts(self) -> int:
        """Prompts, over all loads, warm-up included."""
        return sum(v.shape.batch_size for load in self.loads for v in load.plan.visits())

    def value(self, name: str, text: str) -> float | str:
        """Give a value as its column holds it: a number where all values of its name are."""
        return _numbers(self.varied[name]).get(text, text)


def variation_of(
    engine: str, options: EngineOptions, plan: Plan, varied: Mapping[str, Sequence[str]]
) -> Variation:
    """Combine the values of some settings; nothing is loaded.

    Parameters
    ----------
    engine
        Name of the engine.
    options
        What all combinations share.
    plan
        What each of them runs.
    varied
        Values by name: a setting of the engine, ``precision`` (also ``quantisation``), ``threads``.

    Raises
    ------
    InputError
        If the engine does not know a name or a value, or two values do not go together.

    Examples
    --------
    >>> plan = Plan((Shape(64), Shape(128)), repeats=1)
    >>> ways = variation_of("transformers", EngineOptions(), plan,
    ...                     {"precision": ["f32", "bf16"], "beams": ["1", "2", "4"]})
    >>> len(ways.loads), len(ways.loads[0].plan.shapes), ways.runs
    (2, 6, 32)
    """
    known = _known(engine, options, varied)
    apart = [name for name in known if name not in PER_REQUEST[engine]]
    within = [name for name in known if name in PER_REQUEST[engine]]
    loads = []
    for values in _combinations(known, apart):
        opened = _with(options, values)
        for pairs in _combinations(known, within):
            check_options(engine, _with(opened, pairs))
        shapes = tuple(
            SetShape(**vars(shape), settings=pairs)
            for shape in plan.shapes
            for pairs in _combinations(known, within)
        )
        loads.append(Load(opened, values, replace(plan, shapes=shapes)))
    return Variation(engine, known, tuple(loads))


def _known(
    engine: str, options: EngineOptions, varied: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Check the names, by the engine's own words for them."""
    found: dict[str, tuple[str, ...]] = {}
    for given, values in varied.items():
        name = ALIASES.get(given, given)
        texts = f"{given}={','.join(values)}"
        if name in BATCHES:
            raise InputError("the prompts of a step vary by an option of their own", got=texts,
                             remedy=f"write --batch {','.join(values)}")  # fmt: skip
        if name not in OPTIONS and name not in SETTINGS[engine]:
            others = [other for other, settings in SETTINGS.items() if name in settings]
            raise InputError(
                f"{engine} can vary {', '.join([*OPTIONS, *SETTINGS[engine]])}", got=texts,
                remedy=f"measure {' or '.join(others)}" if others else "mend the name",
            )  # fmt: skip
        if name in found:
            raise InputError("a setting varies once", got=texts,
                             remedy=f"write all values in one, as {name}=A,B")  # fmt: skip
        if name in options.settings and name != "seed":
            raise InputError(f"{name} is either set or varied",
                             got=f"{name}={options.settings[name]} and {texts}",
                             remedy="leave one of them out")  # fmt: skip
        found[name] = tuple(dict.fromkeys(values))
    return found


def _combinations(known: Mapping[str, tuple[str, ...]], names: Sequence[str]) -> Iterator[Pairs]:
    for values in product(*(known[name] for name in names)):
        yield tuple(zip(names, values, strict=True))


def _with(options: EngineOptions, values: Pairs) -> EngineOptions:
    given = dict(values)
    precision = given.pop("precision", options.precision)
    threads = _threads(given.pop("threads", options.threads))
    settings = {**options.settings, **given}
    return replace(options, precision=precision, threads=threads, settings=settings)


def _threads(value: str | int) -> int:
    if str(value).isdecimal() and int(value) > 0:
        return int(value)
    raise InputError("threads must be whole numbers from 1", got=repr(value),
                     remedy="write threads=1,2")  # fmt: skip


def _numbers(texts: Sequence[str]) -> dict[str, float]:
    try:
        return {text: float(text) for text in texts}
    except ValueError:
        return {}

"""Settings of a learner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from lengthwise.errors import InputError


@dataclass(frozen=True)
class LearnerSettings:
    """How an online law learns; defaults are those of the published benchmark.

    Attributes
    ----------
    seed
        Of every random choice: same rows in, same law out.
    min_rows
        Rows after which a target may be called ready.
    block
        Rows learnt in one step of the filter.
    memory
        Rows kept to fit again.
    holdout_every
        One row in so many is never learnt: it judges promotions.
    holdout
        Rows kept for judging, the most recent.
    refit_first, refit_growth, refit_most
        The law is fitted again after ``refit_first`` rows, then whenever the rows since the last
        fit exceed ``refit_growth`` of all rows so far (0.3: whenever they are 1.4 times as many),
        ``refit_most`` at most.
    correction
        Whether boosted trees may correct the physics.
    drift
        Whether changes are looked for.
    """

    seed: int = 0
    min_rows: int = 100
    block: int = 32
    memory: int = 6000
    holdout_every: int = 10
    holdout: int = 600
    refit_first: int = 60
    refit_growth: float = 0.3
    refit_most: int = 20000
    correction: bool = True
    drift: bool = True

    def __post_init__(self) -> None:
        for name in ("min_rows", "block", "memory", "holdout", "refit_first", "refit_most"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1", got=f"{getattr(self, name)}")
        if not 0 < self.refit_growth < 1:
            raise InputError("refit_growth must lie in (0, 1)", got=f"{self.refit_growth}")
        if self.holdout_every < 2:
            raise InputError("holdout_every must be at least 2", got=f"{self.holdout_every}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LearnerSettings:
        """Read :meth:`to_dict` back; unknown names are refused.

        >>> LearnerSettings.from_dict({"memory": 100}).memory
        100
        """
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise InputError("settings of a learner must be known", got=f"{sorted(unknown)}")
        return cls(**data)

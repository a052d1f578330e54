"""Power of one processor as a function of how busy its parts are.

    z = idle + active * busy + compute * sqrt(MFU) + memory * MBU + waiting * (1 - busy) [gpus > 1]
    P = TDP * z / (1 + z^8)^(1/8)

busy is the share of the time in which kernels run, MFU and MBU the shares of peak arithmetic and
of bandwidth (:mod:`lengthwise.formulations.energy.footprint`). Processors that wait for each other
poll, which costs power too (``waiting``). The last line keeps the mean below the rated power, which
the driver enforces. The square root is what clocks under a power limit and partly filled tiles
leave of a linear rise; compare the utilisation models of Fan, Weber, Barroso 2007
(doi 10.1145/1250662.1250665) for servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from lengthwise.errors import InputError
from lengthwise.units import FloatArray

SHARPNESS = 8.0
"""How suddenly the power limit takes hold."""


@dataclass(frozen=True)
class Activity:
    """How busy a processor is, arrays of shape (n,).

    Attributes
    ----------
    busy
        Share of the time in which its kernels run, 0 to 1.
    compute, memory
        Shares of peak arithmetic (MFU) and of bandwidth (MBU), 0 to 1.
    alone
        Whether it works without others: 1, or 0 in a group.
    """

    busy: FloatArray
    compute: FloatArray
    memory: FloatArray
    alone: FloatArray

    @classmethod
    def of(cls, *, busy: Any, compute: Any, memory: Any, gpus: Any = 1) -> Activity:
        """Broadcast numbers and arrays; shares are kept between 0 and 1."""
        arrays = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(v, float)) for v in (busy, compute, memory, gpus))
        )
        if not all(np.isfinite(array).all() and (array >= 0).all() for array in arrays):
            raise InputError(
                "shares of a processor's time and peaks are finite, 0 or more",
                got=f"busy={busy!r}, compute={compute!r}, memory={memory!r}",
            )
        first, second, third = (np.clip(array, 0.0, 1.0) for array in arrays[:3])
        return cls(first, second, third, np.where(arrays[3] > 1, 0.0, 1.0))


@dataclass(frozen=True)
class PowerCurve:
    """Coefficients of the power of one kind of processor, as fractions of its rated power.

    Attributes
    ----------
    idle
        Powered, nothing running.
    active, compute, memory
        Added while kernels run, at peak arithmetic, and at full bandwidth.
    waiting
        Added while it waits for other processors of its group.

    Examples
    --------
    >>> curve = PowerCurve(idle=0.15, active=0.2, compute=0.9, memory=0.6, waiting=0.3)
    >>> at = Activity.of(busy=1.0, compute=[0.0, 0.04, 1.0], memory=[0.0, 0.4, 1.0])
    >>> (700 * curve.fraction(at)).round().tolist()
    [245.0, 531.0, 699.0]
    """

    idle: float
    active: float
    compute: float
    memory: float
    waiting: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (np.isfinite(value) and value >= 0):
                raise InputError(
                    "coefficients of a power curve are 0 or more", got=f"{name}={value!r}"
                )

    def fraction(self, activity: Activity) -> FloatArray:
        """Power over rated power, shape (n,); rises with every share except by waiting less."""
        z = design(activity) @ np.array(
            [self.idle, self.active, self.compute, self.memory, self.waiting]
        )
        return limited(z)

    def to_dict(self) -> dict[str, float]:
        """Give plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> Self:
        """Read plain values."""
        return cls(**{name: float(value) for name, value in values.items()})


def design(activity: Activity) -> FloatArray:
    """Give what each coefficient is multiplied with, shape (n, 5)."""
    waits = (1.0 - activity.busy) * (1.0 - activity.alone)
    return np.column_stack(
        [
            np.ones_like(activity.busy),
            activity.busy,
            np.sqrt(activity.compute),
            activity.memory,
            waits,
        ]
    )


def limited(z: FloatArray) -> FloatArray:
    """Keep a fraction of the rated power below 1, smoothly.

    >>> limited(np.array([0.5, 1.0, 3.0])).round(3).tolist()
    [0.5, 0.917, 1.0]
    """
    return np.asarray(z * (1.0 + z**SHARPNESS) ** (-1.0 / SHARPNESS))

"""How a model is spread over processors, and what they then have to tell each other.

tp   every matrix is cut over tp processors                    Megatron-LM, arXiv 1909.08053
pp   the layers are cut into pp stages, one after the other    GPipe, arXiv 1811.06965
ep   the experts are spread over ep processors                 DeepSeek-V3, arXiv 2412.19437
dp   dp copies of the attention part, each with sequences of its own
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from lengthwise.errors import InputError


@dataclass(frozen=True)
class Parallelism:
    """Degrees of parallelism, each 1 or more.

    Attributes
    ----------
    tp, pp, ep, dp
        Tensor, pipeline, expert and (attention) data parallelism.

    Examples
    --------
    >>> Parallelism(tp=4, pp=2).gpus
    8
    """

    tp: int = 1
    pp: int = 1
    ep: int = 1
    dp: int = 1

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(
                    f"{item.name} must be a whole number, 1 or more", got=f"{value!r}",
                    remedy=f"{item.name}=1 means not parallel",
                )  # fmt: skip

    @property
    def gpus(self) -> int:
        """Processors in all: tp * dp * pp."""
        return self.tp * self.dp * self.pp

"""What a step costs beside its kernels: scheduling, launches, small kernels, sampling.

    host = step * stages + layer * layers + sequence * sequences

Until it is fitted, these are the coefficients that BLIS published for vLLM on H100 (inference-sim,
Apache-2.0: 126 us a step, 32.1 us a layer, 4.42 us a sequence); its layer term also holds the
launch floors that kernel curves have on their own, so that half of it is taken here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.units import FloatArray


@dataclass(frozen=True)
class HostOverhead:
    """Seconds a step takes on the host and in kernels too small to be listed.

    Examples
    --------
    >>> parts = HostOverhead().seconds(np.array([8.0]), layers=32, stages=1)
    >>> float(sum(parts.values())[0].round(6))
    0.000673
    """

    step_s: float = 126e-6
    layer_s: float = 16e-6
    sequence_s: float = 4.42e-6

    def seconds(self, sequences: FloatArray, *, layers: int, stages: int) -> dict[str, FloatArray]:
        """Give the parts of the overhead of steps with so many sequences, each of shape (n,)."""
        one = np.ones_like(sequences)
        return {
            "host_step": self.step_s * stages * one, "host_layers": self.layer_s * layers * one,
            "host_sequences": self.sequence_s * sequences,
        }  # fmt: skip

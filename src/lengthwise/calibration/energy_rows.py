"""Measured serving runs with the work behind them: what a power curve is fitted to.

The ML.ENERGY table gives no prompt lengths. What its tasks bring is assumed here; the prompts are a
small part of the work of all but ``sourcegraph-fim``.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.domain.model import ModelSpec, find_model
from lengthwise.domain.model_config import parse_config
from lengthwise.domain.parallelism import Parallelism
from lengthwise.formulations.energy.power import Activity
from lengthwise.formulations.energy.steady import steady_steps
from lengthwise.formulations.step.step_model import StepModel
from lengthwise.units import FloatArray

if TYPE_CHECKING:
    import pandas as pd

PROMPTS = {"lm-arena-chat": 200.0, "gpqa": 250.0, "sourcegraph-fim": 1500.0}
"""Mean prompt tokens by task; an assumption."""
_PRECISIONS = {"bfloat16": "bf16", "mxfp4": "auto"}
_NANO = {
    "model_type": "nemotron_h", "vocab_size": 131072, "num_attention_heads": 40,
    "num_key_value_heads": 8, "head_dim": 128, "mamba_num_heads": 128, "mamba_head_dim": 80,
    "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4, "tie_word_embeddings": False,
    "torch_dtype": "bfloat16", "mlp_hidden_act": "relu2",
}  # fmt: skip
_NANOS = {
    "NVIDIA-Nemotron-Nano-9B-v2": (
        4480, 15680, "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"
    ),
    "NVIDIA-Nemotron-Nano-12B-v2": (5120, 20480, 6 * "M-M-M-M*-" + "M-M-M-M-"),
}  # fmt: skip
"""Shapes of the two models that the catalogue does not have: hidden, inner, layers."""


@dataclass(frozen=True, eq=False)
class EnergyRows:
    """n serving runs.

    Attributes
    ----------
    table
        The rows they came from, in order.
    activity, predicted_activity
        How busy each processor was at the measured rate, and at the step model's.
    watts, rated_w
        Measured and rated power of one processor, W, shape (n,).
    gpus, tokens_per_s, predicted_tokens_per_s
        Processors; output rate measured and by the step model, shape (n,).
    family
        Models that differ in tuning or weights' format only share a name.
    """

    table: pd.DataFrame
    activity: Activity
    predicted_activity: Activity
    watts: FloatArray
    rated_w: FloatArray
    gpus: FloatArray
    tokens_per_s: FloatArray
    predicted_tokens_per_s: FloatArray
    family: tuple[str, ...]

    @property
    def joules_per_token(self) -> FloatArray:
        """Measured energy of an output token over all processors, J."""
        return self.watts * self.gpus / self.tokens_per_s


def mlenergy_rows(table: pd.DataFrame) -> EnergyRows:
    """Work out what each run of the ML.ENERGY table computed and moved.

    Parameters
    ----------
    table
        As ``lengthwise data table mlenergy`` gives it.
    """
    loads = [_load(row) for row in table.to_dict("records")]
    at = [(busy, step_model) for busy, step_model, _, _ in loads]
    gpus = table["num_gpus"].to_numpy(float)
    return EnergyRows(
        table=table, activity=_joined([a for a, _ in at]),
        predicted_activity=_joined([b for _, b in at]),
        watts=table["power_w"].to_numpy(float) / gpus,
        rated_w=np.array([find_hardware(name).tdp_w for name in table["hardware"]], float),
        gpus=gpus, tokens_per_s=table["output_throughput_tokens_per_sec"].to_numpy(float),
        predicted_tokens_per_s=np.array([rate for _, _, rate, _ in loads]),
        family=tuple(family for _, _, _, family in loads),
    )  # fmt: skip


def model_of(name: str) -> ModelSpec:
    """Find a model of the table, those beside the catalogue too."""
    found = find_model(name)
    if found is not None:
        return found
    hidden, inner, layers = _NANOS[name.rsplit("/", 1)[-1]]
    sizes = {"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": len(layers)}
    return parse_config(_NANO | sizes | {"hybrid_override_pattern": layers}, name)


def _load(row: Mapping[Hashable, Any]) -> tuple[Activity, Activity, float, str]:
    model, gpus = model_of(str(row["model"])), int(str(row["num_gpus"]))
    dp = int(str(row["dp"]))
    layout = Parallelism(tp=gpus // dp, dp=dp, ep=int(str(row["ep"])))
    precision = _PRECISIONS.get(str(row["precision"]), str(row["precision"]))
    step = StepModel.of(model, find_hardware(str(row["hardware"])), layout, precision=precision)
    steady = steady_steps(step, isl=PROMPTS[str(row["task"])], osl=row["avg_output_len"],
                          running=row["avg_batch_size"])  # fmt: skip
    rate = float(str(row["output_throughput_tokens_per_sec"]))
    predicted = float(steady.tokens_per_s[0])
    return steady.activity(rate), steady.activity(), predicted, family_of(model.name)


def family_of(name: str) -> str:
    """Put models of the same shape under one name.

    >>> family_of("llama3.3-70b"), family_of("deepseek-r1")
    ('llama3.1-70b', 'deepseek-v3.1')
    """
    return {"llama3.3-70b": "llama3.1-70b", "deepseek-r1": "deepseek-v3.1"}.get(name, name)


def _joined(parts: list[Activity]) -> Activity:
    return Activity(*(np.concatenate([getattr(part, name) for part in parts])
                      for name in ("busy", "compute", "memory", "alone")))  # fmt: skip


def chosen(activity: Activity, rows: FloatArray) -> Activity:
    """Take some of the rows, by a mask."""
    return Activity(*(getattr(activity, name)[rows]
                      for name in ("busy", "compute", "memory", "alone")))  # fmt: skip

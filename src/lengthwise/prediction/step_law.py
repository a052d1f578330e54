"""The step law: any model on any hardware without a measurement, corrected by measurements."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lengthwise.calibration.step.coefficients import StepCoefficients
from lengthwise.calibration.step.columns import columns_of, one
from lengthwise.calibration.step.rows import Columns, Evaluated, evaluate
from lengthwise.errors import ColumnError, InputError, NothingUsableError
from lengthwise.prediction.step_answers import Answers, answer, physics_of
from lengthwise.prediction.step_deployment import only_deployment
from lengthwise.prediction.step_points import Points, load_points, mapping_of
from lengthwise.units import counted

if TYPE_CHECKING:
    import pandas as pd

    from lengthwise.calibration.step.heads import Head
    from lengthwise.domain.memory import MemoryUse
    from lengthwise.units import FloatArray

MEASURED = {"ttft": "ttft_ms", "tpot": "tpot_ms", "prefill": "latency_ms", "decode": "latency_ms"}


class StepLaw:
    """Times of requests and steps from what a deployment is made of.

    Without :meth:`fit` it answers from device profiles alone: operator curves fitted to kernel
    tables, published host overheads, a steady state of continuous batching. :meth:`fit` calibrates
    the physics on measured rows and learns what remains as a hierarchical process over deployments;
    :meth:`update` adds a few samples of one's own.

    Parameters
    ----------
    correction
        Whether :meth:`fit` learns a correction beside the factors of the physics.

    Attributes
    ----------
    coefficients_
        Factors on the operator groups and interference of requests.
    heads_
        Corrections by quantity: ``ttft``, ``tpot``, ``prefill``, ``decode``.
    training_
        Rows and deployments learnt, or None.

    Examples
    --------
    >>> law = StepLaw()
    >>> point = {"model": ["llama3.1-8b"], "hardware": ["h100_sxm"], "precision": ["bf16"],
    ...          "isl": [1024], "osl": [128], "concurrency": [1]}
    >>> answer = law.answer(point)
    >>> 5.0 < float(answer.columns["tpot_ms"][0]) < 9.0
    True
    """

    def __init__(self, correction: bool = True) -> None:
        self.correction = correction
        self.coefficients_ = StepCoefficients()
        self.heads_: dict[str, Head] = {}
        self.training_: dict[str, Any] | None = None

    def __repr__(self) -> str:
        learnt = self.training_
        if not learnt:
            return "StepLaw(device profiles, no measurement)"
        deployments = counted(len(learnt["deployments"]), "deployment")
        return f"StepLaw({learnt['rows']:,} rows of {deployments})"

    @property
    def measured_engines(self) -> set[str]:
        """Engines of the deployments that were learnt."""
        learnt = self.training_["deployments"] if self.training_ else []
        return {parts[2] for text in learnt if len(parts := text.split(" | ")) == 4}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Give the parameters of the constructor (scikit-learn)."""
        return {"correction": self.correction}

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters of the constructor (scikit-learn)."""
        for name, value in parameters.items():
            if name not in self.get_params():
                raise InputError("StepLaw has the parameter correction", got=name)
            setattr(self, name, value)
        return self

    def fit(self, table: Points, y: None = None) -> Self:
        """Calibrate on measured requests and steps.

        Parameters
        ----------
        table
            Measurement table with the columns of :meth:`predict_table` and ``ttft_ms``,
            ``tpot_ms`` (requests) or ``latency_ms`` (steps).
        y
            Not used: the table holds the times.

        Raises
        ------
        NothingUsableError
            If no row can be used.
        """
        from lengthwise.calibration.step.coefficients import fit_coefficients
        from lengthwise.calibration.step.heads import Head

        rows = _Rows.of(table)
        self.coefficients_, self.heads_ = StepCoefficients(), {}
        times = {name: rows.seconds(name) for name in MEASURED}
        self.coefficients_ = fit_coefficients(rows.evaluated, rows.columns, times)
        if self.correction:
            self.heads_ = {name: Head.fit(name, *pair) for name, pair in self._residuals(rows)}
        self.training_ = rows.summary()
        return self

    def update(self, table: Points) -> Self:
        """Learn further rows, such as three to five samples of one's own deployment.

        The factors of the physics and the scales of the correction stay as they are.
        """
        from lengthwise.calibration.step.heads import Head

        rows = _Rows.of(table)
        for name, (seen, corrections) in self._residuals(rows):
            self.heads_[name] = self.heads_.get(name, Head()).more(name, seen, corrections)
        self.training_ = rows.summary(self.training_)
        return self

    def predict(self, points: Points) -> FloatArray:
        """Predict times, shape (n,), milliseconds; of requests the E2E time. NaN: no answer."""
        found = self.answer(points).columns
        latency = found["latency_ms"]
        return np.asarray(np.where(np.isnan(latency), found["e2e_ms"], latency))

    def predict_interval(self, points: Points, level: float = 0.9) -> FloatArray:
        """Predict intervals of coverage ``level``, shape (n, 2), milliseconds; of requests E2E."""
        found = self.answer(points, level).columns
        step = ~np.isnan(found["latency_ms"])
        return np.column_stack([np.where(step, found[f"{end}_ms"], found[f"e2e_{end}_ms"])
                                for end in ("lo", "hi")])  # fmt: skip

    def predict_table(self, points: Points, level: float = 0.9) -> pd.DataFrame:
        """Append to points all that a prediction says.

        Returns
        -------
        DataFrame
            The points with ``ttft_ms``, ``ttft_lo_ms``, ``ttft_hi_ms``, the same of ``tpot`` and
            ``e2e`` (requests) and ``latency_ms``, ``lo_ms``, ``hi_ms`` (steps), ``regime``,
            ``in_domain``, ``extrapolation_factor``, ``fits_memory``, ``saturated``, ``provenance``
            and ``problem``. Columns of these names that the points already have are kept as
            ``measured_...``.
        """
        import pandas as pd

        frame: pd.DataFrame = (
            pd.DataFrame(points) if isinstance(points, Mapping) else load_points(points)
        )
        said = pd.DataFrame(self.answer(frame, level).columns, index=frame.index)
        empty = [c for c in said if str(c).endswith("_ms") and len(said) and said[c].isna().all()]
        said = said.drop(columns=empty)
        known = {name: f"measured_{name}" for name in frame if name in said}
        return pd.concat([frame.rename(columns=known), said], axis=1)

    def answer(self, points: Points, level: float = 0.9) -> Answers:
        """Answer points without pandas; see :meth:`predict_table` for the columns."""
        if not 0.0 < level < 1.0:
            raise InputError("level must lie in (0, 1)", got=f"{level:g}", remedy="write 0.9")
        columns = columns_of(mapping_of(points))
        evaluated = evaluate(columns)
        physics = physics_of(columns, evaluated, self.coefficients_)
        return answer(columns, evaluated, physics, self.heads_, self.coefficients_,
                      self.training_, level)  # fmt: skip

    def memory(self, point: Mapping[str, Any]) -> MemoryUse:
        """Say what one request or step keeps in memory and whether it fits.

        Parameters
        ----------
        point
            One value for each column of :meth:`predict_table`.
        """
        from lengthwise.calibration.step.rows import IDENTITY, step_model
        from lengthwise.domain.memory import memory_use

        columns = columns_of({k: [v] for k, v in point.items()})
        step = step_model({name: columns[name][0] for name in IDENTITY})
        request = columns["phase"][0] == "request"
        tokens = (columns["isl"][0] + columns["osl"][0] if request
                  else max(columns["isl"][0], columns["context_len"][0]))  # fmt: skip
        load = columns["concurrency" if request else "batch_size"][0]
        return memory_use(
            step.model, step.hardware, step.parallelism, precision=step.precision,
            kv_bits=step.formats.kv_bits, tokens_per_sequence=float(tokens),
            sequences=max(1, round(float(load))),
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write the law file: JSON, see :mod:`lengthwise.prediction.step_artifact`."""
        from lengthwise.prediction.step_artifact import write_step_law

        write_step_law(path, self)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a law file.

        Raises
        ------
        ArtifactError
            If it is not a step law, of another schema version, damaged or too large.
        """
        from lengthwise.prediction.step_artifact import read_step_law

        law = cls()
        read_step_law(path, law)
        return law

    def _residuals(self, rows: _Rows) -> list[tuple[str, tuple[Any, FloatArray]]]:
        """Give what the physics leaves over, by quantity."""
        from lengthwise.calibration.step.kin import seen_of

        physics = physics_of(rows.columns, rows.evaluated, self.coefficients_)
        seen = seen_of(rows.columns, rows.evaluated, self.coefficients_)
        found = []
        for name in MEASURED:
            measured = rows.seconds(name)
            at = np.isfinite(measured) & np.isfinite(physics.seconds[name])
            if at.any():
                left = np.log(measured[at] / physics.seconds[name][at])
                found.append((name, (seen.take(at), left)))
        return found


class _Rows:
    """Measured rows that can be used, with the physics evaluated on them."""

    def __init__(self, columns: Columns, evaluated: Evaluated, times: Mapping[str, Any]) -> None:
        self.columns, self.evaluated, self.times = columns, evaluated, times

    @classmethod
    def of(cls, table: Points) -> _Rows:
        """Evaluate the physics on a table and set aside what cannot be used."""
        data = mapping_of(table, measured=True)
        columns = columns_of(data)
        evaluated = evaluate(columns)
        n = len(columns["phase"])
        times = {k: _times(k, data.get(k), n) for k in ("ttft_ms", "tpot_ms", "latency_ms")}
        some = np.any([np.isfinite(v) for v in times.values()], axis=0)
        usable = some & (evaluated.problem == "")
        if not usable.any():
            reasons = [p for p in evaluated.problem.tolist() if p]
            raise NothingUsableError(
                "a fit needs rows with ttft_ms and tpot_ms, or latency_ms of a step",
                got=reasons[0] if reasons else "no positive time",
                remedy="check the columns model and hardware and the times",
            )
        return cls(columns, evaluated, times).take(usable)

    def take(self, index: Any) -> _Rows:
        return _Rows(one(self.columns, index), self.evaluated.take(index),
                     {k: v[index] for k, v in self.times.items()})  # fmt: skip

    def seconds(self, name: str) -> FloatArray:
        """Measured times of one quantity, NaN where a row has none."""
        phase = "request" if name in ("ttft", "tpot") else name
        at = self.columns["phase"] == phase
        return np.asarray(np.where(at, self.times[MEASURED[name]], np.nan) / 1e3)

    def summary(self, before: dict[str, Any] | None = None) -> dict[str, Any]:
        old = before or {"rows": 0, "deployments": [], "longest_isl": 0.0}
        names = zip(*(self.columns[k] for k in ("model", "hardware", "engine", "precision")),
                    strict=True)  # fmt: skip
        found = dict.fromkeys([*old["deployments"], *(" | ".join(map(str, x)) for x in names)])
        longest = max(float(old["longest_isl"]), float(self.columns["isl"].max()),
                      float(self.columns["context_len"].max()))  # fmt: skip
        own = only_deployment(self.columns)
        only = own if not before or before.get("only") == own else {}
        return {"rows": int(old["rows"]) + len(self.columns["phase"]),
                "deployments": list(found), "only": only, "longest_isl": longest}  # fmt: skip


def _times(name: str, values: Any, n: int) -> FloatArray:
    if values is None:
        return np.full(n, np.nan)
    if len(values) != n:
        raise ColumnError("all columns hold one value per point",
                          got=f"{n} in model, {len(values)} in {name}")  # fmt: skip
    try:
        numbers = np.array([np.nan if v is None else float(v) for v in values])
    except (TypeError, ValueError):
        bad = next((repr(v) for v in values if isinstance(v, str)), "something else")
        raise ColumnError(f"{name} must hold numbers", got=bad) from None
    return np.where(np.isfinite(numbers) & (numbers > 0), numbers, np.nan)

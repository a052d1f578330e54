"""The native API: predictions with intervals and quantiles, and observations."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.errors import InputError
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.interfaces.http import fields, schemas, wire
from lengthwise.interfaces.http.asking import LEVEL, Times, ask, listed, router_rows, times
from lengthwise.interfaces.http.bodies import INLINE_BYTES, Rows, RowsBody
from lengthwise.interfaces.http.columns import REQUEST_ID, Columns
from lengthwise.interfaces.http.context import Context
from lengthwise.interfaces.http.errors_seen import ErrorsSeen
from lengthwise.interfaces.http.examples import OBSERVATION, PREDICTED, ROW
from lengthwise.interfaces.http.exchange import Call, Pending, Reply, Route, reply
from lengthwise.interfaces.http.keeping import observed
from lengthwise.interfaces.http.words import cut
from lengthwise.interfaces.service.store import Receipt
from lengthwise.units import FloatArray

MOST_QUANTILES = 20
LEAST = 1e-6
"""Levels and quantiles closer to 0 or 1 are told from nothing that was ever measured."""


@dataclass(frozen=True)
class Table:
    """Answers as columns, shape (n,) each, and as rows where they are written.

    Attributes
    ----------
    columns
        By name.
    quantiles
        TTFT and TPOT by quantile.
    osl
        Tokens to generate; where it is 0 no time of a whole request is told.
    """

    columns: Columns
    quantiles: Mapping[str, tuple[FloatArray, FloatArray]]
    osl: FloatArray

    def answers(self, part: slice) -> list[dict[str, Any]]:
        """Write some of the rows."""
        names = list(self.columns)
        values = zip(*(listed(column[part]) for column in self.columns.values()), strict=True)
        found = [dict(zip(names, row, strict=True)) for row in values]
        if self.osl.any() and not self.osl.all():
            for row, asked in zip(found, listed(self.osl[part]), strict=True):
                if not asked:
                    row |= {"e2e_ms": None, "e2e_lo_ms": None, "e2e_hi_ms": None}
        for row in found if self.quantiles else ():
            row["quantiles"] = {"ttft_ms": {}, "tpot_ms": {}}
        for name, both in self.quantiles.items():
            for row, first, each in zip(found, *(listed(v[part]) for v in both), strict=True):
                row["quantiles"]["ttft_ms"][name] = first
                row["quantiles"]["tpot_ms"][name] = each
        return found


class NativePredict:
    """Handlers of `/v1/predict` and `/v1/observe`.

    Parameters
    ----------
    context
        Settings, store and law.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        most, most_bytes = context.settings.max_rows, context.settings.max_row_bytes
        self._asked = RowsBody(
            ("rows", "observations"), (*fields.NATIVE, fields.OSL), schemas.NativeRow, least=1,
            most=most, most_bytes=most_bytes, strict=True,
        )  # fmt: skip
        self._seen = RowsBody(
            ("observations", "rows"), (*fields.NATIVE, *fields.NATIVE_OBSERVED, fields.OSL),
            schemas.ObservationRow, most=most, most_bytes=most_bytes,
            texts=(*fields.LABELS, REQUEST_ID), timed="observed_at", strict=True,
        )  # fmt: skip
        self._errors = ErrorsSeen(context)

    def predict(self, call: Call) -> Reply:
        """Predict many rows (`rows`), or one (the row is the body)."""
        rows = self._asked.either(call.body)
        level, alphas = _wanted(call)
        self._context.require_ready()
        law = self._context.current.law
        table = self._table(law, rows, level, alphas)
        facts = {"law_version": law.version, "level": level}
        if rows.many:
            answers = wire.in_turns(rows.n, table.answers)
            return reply({**facts, "count": rows.n, "rows": answers}, rows=rows.n)
        return reply({**table.answers(slice(0, 1))[0], **facts}, rows=1)

    def _table(self, law: OnlineLaw, rows: Rows, level: float, alphas: list[float]) -> Table:
        asked = router_rows(rows.columns, rows.n)
        answer = ask(law, asked, level=level, alpha=None)
        self._context.counts.predicted(answer.ttft_s, answer.tpot_s, int(answer.in_domain.sum()))
        ttft, tpot = times(answer)
        columns = {**_named("ttft", ttft), **_named("tpot", tpot)}
        columns["in_domain"] = answer.in_domain
        columns["extrapolation_factor"] = answer.extrapolation_factor
        osl = rows.columns["osl"]
        if osl.any():
            columns |= _named("e2e", _end_to_end(ttft, tpot, osl))
        quantiles = {}
        for alpha in alphas:
            ttft, tpot = times(ask(law, asked, level=level, alpha=alpha))
            quantiles[f"{alpha:g}"] = (ttft.value, tpot.value)
        return Table(columns, quantiles, osl)

    def observe(self, call: Call) -> Reply | Pending:
        """Take many observations (`observations`), or one; the reply means they are on disk."""
        rows = self._seen.either(call.body)
        if rows.n == 0:
            return _receipt(Receipt(0, 0, 0))
        future: Future[Receipt] = self._context.kept.submit(observed(rows))
        self._errors.take(rows)
        return Pending(future, self._taken)

    def _taken(self, receipt: Receipt) -> Reply:
        counted = self._context.counts.observations
        counted.add(receipt.accepted, "accepted")
        counted.add(receipt.duplicates, "duplicate")
        return _receipt(receipt)

    def routes(self) -> list[Route]:
        """Both endpoints."""
        wanted = (
            _parameter("level", "level of the intervals, in (0, 1)", 0.9),
            _parameter("quantiles", "quantiles wanted, separated by commas", "0.5,0.99"),
        )
        answer = {"law_version": 7, "level": 0.9, "count": 1, "rows": [PREDICTED]}
        receipt = {"accepted": 1, "duplicates": 0, "sequence": 4711}
        return [
            Route("POST", "/v1/predict", self.predict, "Predict TTFT, TPOT and E2E", INLINE_BYTES,
                  body=self._asked, example={"rows": [ROW]}, parameters=wanted,
                  replies={200: ("Predictions in the order asked", answer)},
                  limit="max_body_bytes"),
            Route("POST", "/v1/observe", self.observe, "Tell what was measured", INLINE_BYTES,
                  "write", body=self._seen, example={"observations": [OBSERVATION]},
                  replies={202: ("On disk", receipt)}, limit="max_body_bytes"),
        ]  # fmt: skip


def _parameter(name: str, meaning: str, example: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "number", "minimum": LEAST, "maximum": 1 - LEAST}
    if isinstance(example, str):
        schema = {"type": "string", "pattern": r"^0?\.[0-9]*[1-9](,0?\.[0-9]*[1-9])*$"}
    return {"name": name, "in": "query", "required": False, "description": meaning,
            "schema": schema, "example": example}  # fmt: skip


def _receipt(receipt: Receipt) -> Reply:
    n = receipt.accepted + receipt.duplicates
    content = {"accepted": receipt.accepted, "duplicates": receipt.duplicates,
               "sequence": receipt.last_sequence}  # fmt: skip
    return reply(content, 202, rows=n)


def _wanted(call: Call) -> tuple[float, list[float]]:
    """Level and quantiles from the URL."""
    if not call.query_string:
        return LEVEL, []
    query = call.query
    for name in query:
        if name not in ("level", "quantiles"):
            raise InputError("a parameter must be level or quantiles", got=cut(name),
                             remedy="leave it out")  # fmt: skip
    level = _share(query["level"], "level") if "level" in query else LEVEL
    alphas = [_share(part, "quantiles") for part in query.get("quantiles", "").split(",") if part]
    if len(alphas) > MOST_QUANTILES:
        raise InputError(f"at most {MOST_QUANTILES} quantiles may be asked for at once",
                         got=str(len(alphas)), remedy="ask twice")  # fmt: skip
    return level, alphas


def _share(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not LEAST <= value <= 1 - LEAST:
        raise InputError(f"{name} must lie in (0, 1), from {LEAST:f} to {1 - LEAST:f}",
                         got=text[:80], remedy="write 0.9")  # fmt: skip
    return value


def _named(target: str, found: Times) -> dict[str, FloatArray]:
    return {f"{target}_ms": found.value, f"{target}_lo_ms": found.lo, f"{target}_hi_ms": found.hi}


def _end_to_end(ttft: Times, tpot: Times, osl: FloatArray) -> Times:
    """Time of a whole request; ends are added as if both parts were slow together."""
    steps = np.maximum(osl - 1, 0)
    return Times(ttft.value + steps * tpot.value, ttft.lo + steps * tpot.lo,
                 ttft.hi + steps * tpot.hi)  # fmt: skip

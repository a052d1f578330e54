"""The native API: predictions with intervals and quantiles, and observations."""

from __future__ import annotations

from concurrent.futures import Future
from time import time
from typing import Any

import numpy as np

from lengthwise.errors import InputError
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.interfaces.http import fields, schemas, wire
from lengthwise.interfaces.http.asking import LEVEL, Times, ask, listed, router_rows, times
from lengthwise.interfaces.http.bodies import INLINE_BYTES, Rows, RowsBody
from lengthwise.interfaces.http.columns import Columns
from lengthwise.interfaces.http.context import Context
from lengthwise.interfaces.http.errors_seen import ErrorsSeen
from lengthwise.interfaces.http.examples import OBSERVATION, PREDICTED, ROW
from lengthwise.interfaces.http.exchange import Call, Pending, Reply, Route, reply
from lengthwise.interfaces.service.store import Observed, Receipt
from lengthwise.units import FloatArray

MOST_QUANTILES = 20


class NativePredict:
    """Handlers of `/v1/predict` and `/v1/observe`.

    Parameters
    ----------
    context
        Settings, store and law.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        most = context.settings.max_rows
        self._asked = RowsBody(
            "rows", (*fields.NATIVE, fields.OSL), schemas.NativeRow, least=1, most=most
        )
        self._seen = RowsBody(
            "observations", (*fields.NATIVE, *fields.NATIVE_OBSERVED), schemas.ObservationRow,
            most=most, timed="observed_at", keep=True,
        )  # fmt: skip
        self._errors = ErrorsSeen(context)

    def predict(self, call: Call) -> Reply:
        """Predict many rows (`rows`), or one (the row is the body)."""
        many = _has_key(call.body, b'"rows"')
        rows = self._asked.read(call.body) if many else self._asked.one(call.body)
        level, alphas = _wanted(call)
        self._context.require_ready()
        law = self._context.current.law
        answers = self._answers(law, rows, level, alphas)
        facts = {"law_version": law.version, "level": level}
        if many:
            return reply({**facts, "count": rows.n, "rows": wire.in_turns(answers)}, rows=rows.n)
        return reply({**answers[0], **facts}, rows=1)

    def _answers(
        self, law: OnlineLaw, rows: Rows, level: float, alphas: list[float]
    ) -> list[dict[str, Any]]:
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
        names = list(columns)
        found = [
            dict(zip(names, values, strict=True))
            for values in zip(*(listed(column) for column in columns.values()), strict=True)
        ]
        if osl.any() and not osl.all():
            for row, asked_osl in zip(found, listed(osl), strict=True):
                if not asked_osl:
                    row |= {"e2e_ms": None, "e2e_lo_ms": None, "e2e_hi_ms": None}
        for alpha in alphas:
            ttft, tpot = times(ask(law, asked, level=level, alpha=alpha))
            pairs = zip(listed(ttft.value), listed(tpot.value), strict=True)
            for row, (first, each) in zip(found, pairs, strict=True):
                quantiles = row.setdefault("quantiles", {"ttft_ms": {}, "tpot_ms": {}})
                quantiles["ttft_ms"][f"{alpha:g}"] = first
                quantiles["tpot_ms"][f"{alpha:g}"] = each
        return found

    def observe(self, call: Call) -> Reply | Pending:
        """Take many observations (`observations`), or one; the reply means they are on disk."""
        if _has_key(call.body, b'"observations"'):
            rows = self._seen.read(call.body)
        else:
            rows = self._seen.one(call.body)
        if rows.n == 0:
            return _receipt(Receipt(0, 0, 0))
        ids = [_id_of(row) for row in rows.raw]
        future: Future[Receipt] = self._context.kept.submit(
            Observed(
                wire.dump({"entries": _entries(rows.columns, rows.n, ids)}), rows.n,
                ids if any(ids) else (),
                int(np.count_nonzero(rows.columns["ttft_ms"])),
                int(np.count_nonzero(rows.columns["tpot_ms"])), time(),
            )
        )  # fmt: skip
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
                  replies={200: ("Predictions in the order asked", answer)}),
            Route("POST", "/v1/observe", self.observe, "Tell what was measured", INLINE_BYTES,
                  "write", body=self._seen, example={"observations": [OBSERVATION]},
                  replies={202: ("On disk", receipt)}),
        ]  # fmt: skip


def _parameter(name: str, meaning: str, example: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    if isinstance(example, str):
        schema = {"type": "string", "pattern": r"^0?\.[0-9]*[1-9](,0?\.[0-9]*[1-9])*$"}
    return {"name": name, "in": "query", "required": False, "description": meaning,
            "schema": schema, "example": example}  # fmt: skip


def _receipt(receipt: Receipt) -> Reply:
    n = receipt.accepted + receipt.duplicates
    content = {"accepted": receipt.accepted, "duplicates": receipt.duplicates,
               "sequence": receipt.last_sequence}  # fmt: skip
    return reply(content, 202, rows=n)


def _has_key(body: bytes, key: bytes) -> bool:
    """Whether a key may stand at the top: cheap, and wrong only for bodies refused either way."""
    return key in body[:4096] or key in body[-4096:]


def _wanted(call: Call) -> tuple[float, list[float]]:
    """Level and quantiles from the URL."""
    if not call.query_string:
        return LEVEL, []
    query = call.query
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
    if not 0 < value < 1:
        raise InputError(f"{name} must lie in (0, 1)", got=text[:80], remedy="write 0.9")
    return value


def _named(target: str, found: Times) -> dict[str, FloatArray]:
    return {f"{target}_ms": found.value, f"{target}_lo_ms": found.lo, f"{target}_hi_ms": found.hi}


def _end_to_end(ttft: Times, tpot: Times, osl: FloatArray) -> Times:
    """Time of a whole request; ends are added as if both parts were slow together."""
    steps = np.maximum(osl - 1, 0)
    return Times(ttft.value + steps * tpot.value, ttft.lo + steps * tpot.lo,
                 ttft.hi + steps * tpot.hi)  # fmt: skip


def _id_of(row: Any) -> str:
    value = row.get("request_id")
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _entries(columns: Columns, n: int, ids: list[str]) -> list[dict[str, Any]]:
    """Rows in llm-d's words, as the store keeps them; times beyond a float become its largest."""
    largest = np.finfo(np.float64).max
    table = {
        name: listed(np.minimum(columns[column], largest))
        for column, name in fields.TO_LLM_D.items()
    }
    table |= {name: listed(columns[name]) for name in ("pod_type", "pod")}
    if any(ids):
        table["id"] = [i or None for i in ids]
    return [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]

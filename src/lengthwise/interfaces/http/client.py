"""A client of the service: typed, synchronous, over one keep-alive connection.

    with Client("http://127.0.0.1:8000") as client:
        answer = client.predict(input_tokens=8192, running=12, osl=256)
        client.observe([{"request_id": "a1", "input_tokens": 8192, "ttft_ms": 410.0}])

Needs nothing beyond the standard library. One client serves one thread at a time. A request that
met a connection the server had closed is sent once more where that is harmless: predictions, and
observations of which each has a `request_id`.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

from lengthwise.errors import ArtifactError, InputError, LengthwiseError, RefusedError
from lengthwise.interfaces.http.client_types import Law, Prediction, Taken

CHECKSUM = "X-Checksum-SHA256"


class ServiceError(LengthwiseError):
    """The service could not be asked, or refused; `status` is 0 where it did not answer."""

    def __init__(self, rule: str, *, got: str = "", remedy: str = "", status: int = 0) -> None:
        super().__init__(rule, got=got, remedy=remedy)
        self.status = status


class BadRequestError(ServiceError, InputError):
    """The request broke a rule of the service."""


class UnavailableError(ServiceError, RefusedError):
    """The service lacks something it needs now, or is asked too often; try again later."""


class Client:
    """See the module.

    Parameters
    ----------
    url
        Of the service, e.g. `http://127.0.0.1:8000`.
    token
        Bearer token, "" for none.
    timeout_s
        Longest wait for an answer.
    """

    def __init__(self, url: str, *, token: str = "", timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError("the URL of a service must begin with http:// or https://",
                             got=repr(url[:80]), remedy="write http://127.0.0.1:8000")  # fmt: skip
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._prefix = parts.path.rstrip("/")
        self._where = parts.netloc.rpartition("@")[2]
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(
                self._where, timeout=timeout_s, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(self._where, timeout=timeout_s)

    def predict(
        self, *, level: float = 0.9, quantiles: Sequence[float] = (), **row: Any
    ) -> Prediction:
        """Predict one request; `row` holds `input_tokens` and what else is known."""
        found = self._json("POST", "/v1/predict" + _query(level, quantiles), row)
        return Prediction.of(found, found)

    def predict_many(
        self, rows: Sequence[Mapping[str, Any]], *, level: float = 0.9,
        quantiles: Sequence[float] = (),
    ) -> list[Prediction]:  # fmt: skip
        """Predict many requests; answers come in the order of the rows."""
        asked = {"rows": [dict(row) for row in rows]}
        found = self._json("POST", "/v1/predict" + _query(level, quantiles), asked)
        return [Prediction.of(row, found) for row in found["rows"]]

    def observe(self, observations: Iterable[Mapping[str, Any]]) -> Taken:
        """Tell what was measured; on disk when this returns."""
        rows = [dict(row) for row in observations]
        harmless = all(row.get("request_id") for row in rows)
        found = self._json("POST", "/v1/observe", {"observations": rows}, again=harmless)
        return Taken(found["accepted"], found["duplicates"], found["sequence"])

    def laws(self) -> list[Law]:
        """List the versions of the law, newest first."""
        return [Law(**law) for law in self._json("GET", "/v1/laws")["laws"]]

    def export_law(self, version: int | None = None) -> bytes:
        """Fetch a version (None: the one in use) as JSON; its checksum is compared."""
        path = "/v1/laws/active" if version is None else f"/v1/laws/{version}/export"
        body, headers = self._request("GET", path)
        if sha256(body).hexdigest() != headers.get(CHECKSUM.lower()):
            raise ArtifactError("the checksum of a law must fit", got="another one",
                                remedy="fetch it again")  # fmt: skip
        return body

    def import_law(self, body: bytes) -> int:
        """Give the service a law exported elsewhere; gives its version there."""
        digest = {CHECKSUM: sha256(body).hexdigest()}
        found, _ = self._request("POST", "/v1/laws/import", body, headers=digest, again=False)
        return int(json.loads(found)["version"])

    def promote(self, version: int) -> int:
        """Use one version until told otherwise; gives the version in use."""
        return int(self._json("POST", f"/v1/laws/{version}/promote")["active"])

    def roll_back(self) -> int:
        """Use the version before the one in use; gives the version in use."""
        return int(self._json("POST", "/v1/laws/rollback", again=False)["active"])

    def follow(self) -> int:
        """Use the newest version again; gives the version in use."""
        return int(self._json("POST", "/v1/laws/follow")["active"])

    def events(self) -> list[dict[str, Any]]:
        """List what changed lately: drift, repairs, promotions."""
        return list(self._json("GET", "/v1/drift")["events"])

    def status(self) -> dict[str, Any]:
        """Tell how the service is."""
        return dict(self._json("GET", "/v1/status"))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def _json(self, method: str, path: str, content: Any = None, *, again: bool = True) -> Any:
        try:
            body = None if content is None else json.dumps(content, default=float).encode()
        except (TypeError, ValueError) as error:
            raise InputError("rows must hold numbers and text", got=str(error)) from None
        found, _ = self._request(method, path, body, again=again)
        return json.loads(found)

    def _request(
        self, method: str, path: str, body: bytes | None = None, *, again: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[bytes, dict[str, str]]:  # fmt: skip
        sent = {**self._headers, **(headers or {})}
        for attempt in (0, 1):
            try:
                self._connection.request(method, self._prefix + path, body, sent)
                response = self._connection.getresponse()
                found = response.read()
                break
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                closed = isinstance(error, (http.client.RemoteDisconnected, ConnectionError))
                if attempt or not again or not closed or isinstance(error, ConnectionRefusedError):
                    raise UnavailableError(
                        f"the service at {self._where} must answer",
                        got=str(error) or type(error).__name__, remedy="start it, or try again",
                    ) from None  # fmt: skip
        if response.status >= 400:
            raise _error(response.status, found)
        return found, {name.lower(): value for name, value in response.getheaders()}


def _query(level: float, quantiles: Sequence[float]) -> str:
    asked: dict[str, Any] = {"level": level} if level != 0.9 else {}
    if quantiles:
        asked["quantiles"] = ",".join(f"{alpha:g}" for alpha in quantiles)
    return "?" + urlencode(asked) if asked else ""


def _error(status: int, body: bytes) -> ServiceError:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    told = told if isinstance(told, dict) else {}
    rule = str(told.get("rule") or told.get("detail") or f"the service answered {status}")
    got, remedy = str(told.get("value") or ""), str(told.get("remedy") or "")
    if status in (413, 422):
        where = told.get("detail")
        rule = str(where) if isinstance(where, str) and told.get("errors") else rule
        return BadRequestError(rule, got=got, remedy=remedy, status=status)
    kind = UnavailableError if status in (408, 429, 503) else ServiceError
    return kind(rule, got=got, remedy=remedy, status=status)

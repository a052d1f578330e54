"""The native API: versions of the law, which is in use, moving them between services."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from lengthwise.errors import InputError, LengthwiseError
from lengthwise.formulations.online.law import SCHEMA_VERSION, OnlineLaw
from lengthwise.interfaces.http import wire
from lengthwise.interfaces.http.bodies import parsed
from lengthwise.interfaces.http.context import Context, when
from lengthwise.interfaces.http.examples import LAW_INFO
from lengthwise.interfaces.http.exchange import IN_THREAD, Call, Reply, Route, reply
from lengthwise.interfaces.http.problems import HttpError
from lengthwise.interfaces.service.store import LawInfo

CHECKSUM = "x-checksum-sha256"
LARGEST_VERSION = 10**18
MOST_VALUES = 200_000
"""Values in a law: some 60 for each pod; reading more would hold up others."""
LAW_SCHEMA = {
    "type": "object",
    "description": "A law as it was exported.",
    "required": [
        "kind", "schema_version", "version", "ready", "learnt", "error", "frame", "targets",
    ],
    "properties": {
        "kind": {"const": "online"},
        "schema_version": {"const": SCHEMA_VERSION},
        "version": {"type": "integer"},
        **{name: {"type": "object"} for name in ("ready", "learnt", "error", "frame", "targets")},
    },
}  # fmt: skip


class NativeLaws:
    """Handlers of `/v1/laws`.

    Parameters
    ----------
    context
        Settings, store and law.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def listed(self, call: Call) -> Reply:
        """List the versions kept, newest first."""
        store = self._context.kept
        return reply({"laws": [_info(law) for law in store.laws()], "pinned": store.pinned()})

    def active(self, call: Call) -> Reply:
        """Give the law in use; 304 when the caller has it."""
        known = call.header("if-none-match").removeprefix("W/").strip('"')
        found = self._context.kept.active(known)
        if found is None:
            raise HttpError(404, "a law must have been published", got="none so far",
                            remedy="observe, or import one")  # fmt: skip
        version, digest, body = found
        if body is None:
            return Reply(b"", 304, headers=((b"etag", f'"{digest}"'.encode()),))
        return _law(version, digest, body)

    def one(self, call: Call) -> Reply:
        """Give one version."""
        version = _version(call)
        body = self._context.kept.law(version)
        if body is None:
            raise _unknown(version)
        return _law(version, sha256(body.encode()).hexdigest(), body)

    def export(self, call: Call) -> Reply:
        """Give one version as a file, its checksum beside it."""
        found = self.one(call)
        name = f'attachment; filename="law-{_version(call)}.json"'.encode()
        return Reply(found.body, 200, found.content_type,
                     (*found.headers, (b"content-disposition", name)))  # fmt: skip

    def promote(self, call: Call) -> Reply:
        """Use one version until told otherwise."""
        version = _version(call)
        if self._context.kept.law(version) is None:
            raise _unknown(version)
        return self._activate(version)

    def rollback(self, call: Call) -> Reply:
        """Use the version before the one in use, until told otherwise."""
        laws = self._context.kept.laws()
        active = next((law.version for law in laws if law.active), None)
        older = [law.version for law in laws if active is not None and law.version < active]
        if not older:
            raise HttpError(409, "a law before the one in use must be kept",
                            got=f"version {active}", remedy="promote another version")  # fmt: skip
        return self._activate(older[0])

    def follow(self, call: Call) -> Reply:
        """Use the newest version again."""
        return self._activate(None)

    def _activate(self, version: int | None) -> Reply:
        store = self._context.kept
        store.activate(version)
        self._context.current.refresh()
        found = store.active()
        return reply({"active": found[0] if found else None, "pinned": store.pinned()})

    def take(self, call: Call) -> Reply:
        """Take a law made elsewhere; `X-Checksum-SHA256` is compared when it is sent."""
        told, real = call.header(CHECKSUM).lower(), sha256(call.body).hexdigest()
        if told and told != real:
            raise InputError("the checksum of a law must fit", got=f"{told[:64]}, not {real}",
                             remedy="send the file as it was exported")  # fmt: skip
        check_values(call.body)
        data = parsed(call.body)
        if not isinstance(data, dict):
            raise InputError("a law must be a JSON object", got=type(data).__name__)
        try:
            law = OnlineLaw.from_dict(data)
        except LengthwiseError:
            raise
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise InputError("a law must be whole", got=f"{type(error).__name__}: {error}"[:120],
                             remedy="export it again") from None  # fmt: skip
        if not 0 <= law.version <= LARGEST_VERSION:
            raise InputError(f"a version must lie from 0 to {LARGEST_VERSION}",
                             got=f"{law.version:.3g}" if abs(law.version) < 1e300 else "beyond",
                             remedy="export it again")  # fmt: skip
        version = self._context.kept.publish(law.to_dict(), "imported")
        self._context.current.refresh()
        return reply({"version": version, "imported_version": law.version}, 201)

    def routes(self) -> list[Route]:
        """All endpoints here."""
        law = {"kind": "online", "schema_version": 1, "version": 7}
        bounds = {"type": "integer", "minimum": 0, "maximum": LARGEST_VERSION - 1}
        number = ({"name": "version", "in": "path", "required": True, "example": 7,
                   "schema": bounds},)  # fmt: skip
        switched = {200: ("Which law is in use now", {"active": 7, "pinned": 7})}
        missing = {404: ("No such version", None)}
        return [
            Route("GET", "/v1/laws", self.listed, "Versions of the law", IN_THREAD,
                  replies={200: ("Newest first", {"laws": [LAW_INFO], "pinned": None})}),
            Route("GET", "/v1/laws/active", self.active, "The law in use; ETag is its SHA-256",
                  IN_THREAD,
                  replies={200: ("The law", law), 304: ("Known already", None), **missing}),
            Route("POST", "/v1/laws/rollback", self.rollback, "Use the version before", IN_THREAD,
                  "write", replies={**switched, 409: ("None before it", None)}),
            Route("POST", "/v1/laws/follow", self.follow, "Use the newest again", IN_THREAD,
                  "write", replies=switched),
            Route("POST", "/v1/laws/import", self.take, "Take a law made elsewhere", IN_THREAD,
                  "write", body=LAW_SCHEMA, example=OnlineLaw.cold().to_dict(),
                  replies={201: ("Kept as a new version", {"version": 8, "imported_version": 7})},
                  limit="max_law_bytes"),
            Route("GET", "/v1/laws/{version}", self.one, "One version", IN_THREAD,
                  parameters=number, replies={200: ("The law", law), **missing}),
            Route("GET", "/v1/laws/{version}/export", self.export, "One version as a file",
                  IN_THREAD, parameters=number, replies={200: ("The law", law), **missing}),
            Route("POST", "/v1/laws/{version}/promote", self.promote, "Use one version", IN_THREAD,
                  "write", parameters=number, replies={**switched, **missing}),
        ]  # fmt: skip


def check_values(body: bytes | bytearray) -> None:
    """Raise an `InputError` where JSON holds more values than a law has.

    >>> check_values(b'{"kind": "online"}')
    """
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise InputError(f"a law must hold at most {MOST_VALUES:,} values", got="more",
                         remedy="export it again")  # fmt: skip


def _law(version: int, digest: str, body: str) -> Reply:
    headers = (
        (b"etag", f'"{digest}"'.encode()),
        (b"x-law-version", str(version).encode()),
        (CHECKSUM.encode(), digest.encode()),
    )
    return Reply(body.encode(), 200, wire.JSON_TYPE, headers)


def _info(law: LawInfo) -> dict[str, Any]:
    return {
        "version": law.version, "sha256": law.sha256, "created_at": when(law.created_s),
        "note": law.note, "size_bytes": law.size_bytes, "active": law.active,
    }  # fmt: skip


def _version(call: Call) -> int:
    text = call.names["version"]
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InputError("a version must be a whole number", got=text[:80],
                         remedy="list them with GET /v1/laws")  # fmt: skip
    return int(text)


def _unknown(version: int) -> HttpError:
    return HttpError(404, "a law of this version must be kept", got=f"version {version}",
                     remedy="list them with GET /v1/laws")  # fmt: skip

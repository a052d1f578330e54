"""What errors become on the wire."""

from __future__ import annotations

import json

import pytest

from lengthwise.errors import InputError, RefusedError
from lengthwise.interfaces.http.problems import HttpError, problem
from lengthwise.interfaces.service.store import ServiceUnavailable


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("n must be positive", got="-1", remedy="send 1"), 422),
        (HttpError(409, "only one at a time"), 409),
        (RefusedError("the data must know this"), 503),
        (ServiceUnavailable("the disk is full"), 503),
        (OSError(28, "No space left on device", "/secret/state.db"), 503),
        (MemoryError(), 503),
        (RuntimeError("/secret/thing"), 500),
    ],
)
def test_errors_have_a_status_and_tell_nothing_of_the_inside(error: Exception, status: int) -> None:
    for native in (True, False):
        found = problem(error, "/x", native=native)
        told = json.loads(found.body)
        assert (found.status, "/secret" in found.body.decode()) == (status, False)
        assert told["detail"]
        assert (b"retry-after", b"1") in found.headers or status != 503
        assert (found.content_type == b"application/problem+json") is native
    told = json.loads(problem(error, "/x", native=True).body)
    assert (told["status"], told["instance"]) == (status, "/x")

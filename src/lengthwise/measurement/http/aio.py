"""The same exchanges over aiohttp: for proxies, and to check one client by another."""

from __future__ import annotations

import asyncio
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lengthwise.errors import MissingExtraError
from lengthwise.measurement.http.exchange import Exchange, WireError

if TYPE_CHECKING:
    import aiohttp


def need_aiohttp() -> None:
    """Raise :class:`MissingExtraError` with the command to type if aiohttp is absent."""
    if find_spec("aiohttp") is None:
        raise MissingExtraError("aiohttp", "measure")


class AiohttpTransport:
    """Connections of aiohttp; settings of proxies are taken from the environment.

    Parameters
    ----------
    origin
        For example ``http://127.0.0.1:8000``.
    """

    clock = "process"

    def __init__(self, origin: str) -> None:
        need_aiohttp()
        import aiohttp

        self._origin = origin
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), trace_configs=[trace], trust_env=True,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            auto_decompress=False, headers={"Accept-Encoding": "identity"},
        )  # fmt: skip

    async def send(self, exchange: Exchange, timeout_s: float) -> None:
        """Send a request and read its answer to the end.

        Raises
        ------
        WireError
            If there is no connection, no answer in time, or only part of one.
        """
        import aiohttp

        try:
            async with asyncio.timeout(timeout_s):
                await self._send(exchange)
        except TimeoutError:
            raise WireError("timeout", f"no complete answer within {timeout_s:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise WireError("connect", str(error)) from None
        except (aiohttp.ClientPayloadError, aiohttp.ClientOSError) as error:
            raise WireError("disconnect", str(error) or type(error).__name__) from None
        except aiohttp.ServerDisconnectedError as error:
            raise WireError("disconnect", str(error)) from None
        except aiohttp.ClientError as error:
            raise WireError("malformed", str(error) or type(error).__name__) from None

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _send(self, exchange: Exchange) -> None:
        called = time.perf_counter_ns()
        async with self._session.request(
            exchange.method, self._origin + exchange.path, data=exchange.payload or None,
            headers=dict(exchange.headers), allow_redirects=False, trace_request_ctx=exchange,
        ) as answer:  # fmt: skip
            exchange.connect_ns = max(exchange.sent_ns - called, 0)
            names = {name.lower(): value for name, value in answer.headers.items()}
            exchange.answered(answer.status, names)
            async for data in answer.content.iter_any():
                exchange.received(time.perf_counter_ns(), data)
            exchange.last_ns = time.perf_counter_ns()


async def _note_sent(
    session: aiohttp.ClientSession, context: Any, params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    context.trace_request_ctx.sent_ns = time.perf_counter_ns()

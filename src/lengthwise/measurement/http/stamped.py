"""Sockets whose bytes carry the time at which the kernel received them.

A process that had to wait for a core reads its bytes late, but the kernel (Linux) wrote down when
they came. Bytes that wait together are read together and share the time of the last.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time

SO_TIMESTAMPNS = 35
"""Also the kind of the message that brings the time (asm-generic/socket.h)."""

_TIMESPEC = struct.Struct("@qq")
_ROOM = socket.CMSG_SPACE(_TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 0
NS_PER_S = 1_000_000_000
MAX_WAIT_NS = 60 * NS_PER_S
CLOSE_NS = 10_000
SUPPORTED = _ROOM > 0 and hasattr(socket, "MSG_ERRQUEUE")
"""Whether this is a kernel that stamps (Linux)."""


class StampedSocket(socket.socket):
    """A socket that notes when the bytes of its last ``recv`` arrived.

    Attributes
    ----------
    stamp_ns
        Arrival by the clock of ``time.perf_counter_ns``.
    """

    stamp_ns = 0

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Read bytes and note when the last of them arrived."""
        if not SUPPORTED:
            data = super().recv(size, flags)
            self.stamp_ns = time.perf_counter_ns()
            return data
        data, messages, _, _ = self.recvmsg(size, _ROOM, flags)
        self.stamp_ns, day_ns = _both_clocks()
        for level, kind, value in messages:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                seconds, rest = _TIMESPEC.unpack(value[: _TIMESPEC.size])
                waited = day_ns - (seconds * NS_PER_S + rest)
                if 0 <= waited < MAX_WAIT_NS:  # else somebody set the clock of the day
                    self.stamp_ns -= waited
        return data


def _both_clocks() -> tuple[int, int]:
    """Read ``perf_counter`` and the clock of the day at one instant, nanoseconds.

    Read again if this process was put aside in between.
    """
    for _ in range(5):
        before = time.perf_counter_ns()
        day = time.time_ns()
        after = time.perf_counter_ns()
        if after - before < CLOSE_NS:
            break
    return (before + after) // 2, day


def keep_stamping() -> socket.socket | None:
    """Keep the kernel stamping until the socket given is closed; None where it cannot.

    It stamps while any socket asks for it, and begins a moment after the first one does.
    """
    if not SUPPORTED:
        return None
    holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    holder.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return holder


async def connect(host: str, port: int) -> StampedSocket | None:
    """Open a connection that stamps its bytes; None where the system cannot.

    Raises
    ------
    OSError
        If no address of the host accepts a connection.
    """
    if not SUPPORTED:
        return None
    loop = asyncio.get_running_loop()
    failed: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        opened = StampedSocket(family, kind, protocol)
        opened.setblocking(False)
        try:
            opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(opened, address)
        except OSError as error:
            opened.close()
            failed = error
        except BaseException:
            opened.close()
            raise
        else:
            return opened
    raise failed or OSError(f"{host} has no address")


class StampedListener(socket.socket):
    """A listening socket whose connections are stamped where the system can do so.

    Attributes
    ----------
    accepted
        The latest connection by file descriptor.
    """

    accepted: dict[int, StampedSocket]

    @classmethod
    def on_loopback(cls, port: int, backlog: int = 1024) -> StampedListener:
        """Listen on a port of this machine only, any free one for 0."""
        made = cls(socket.AF_INET, socket.SOCK_STREAM)
        made.accepted = {}
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if SUPPORTED:  # from now on, so that bytes that come before accept() are stamped too
            made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        made.bind(("127.0.0.1", port))
        made.listen(backlog)
        made.setblocking(False)
        return made

    def accept(self) -> tuple[socket.socket, object]:
        """Accept a connection."""
        plain, address = super().accept()
        stamped = StampedSocket(fileno=plain.detach())
        if SUPPORTED:
            stamped.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.accepted[stamped.fileno()] = stamped
        return stamped, address

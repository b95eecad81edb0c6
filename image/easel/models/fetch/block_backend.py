"""Connections that hand out large blocks, whatever crumbs the bytes come in.

A TLS socket gives 16 kB at a time, a plain one what has just come; each crumb costs the HTTP library, the
file and the journal about as much work as a megabyte does. Two gigabytes in crumbs kept two cores busy for
longer than a fast line takes for them.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import httpcore

BLOCK = 1 << 20
"""Bytes that are handed out at once, at most."""
_CRUMB = 16384
"""Less than this at once is a header or an end: nobody waits for more of it. TLS has records of this size."""
_ENOUGH = BLOCK // 4
_LEAST = 2.0
"""Seconds that an address has to answer, where so many are left at all."""
_NAP = 0.02
"""Seconds in which more of a fast answer gathers in the system's buffer, which holds some megabytes."""


class BlockBackend(httpcore.SyncBackend):
    """Connects as httpcore does, and within `timeout` whatever a name stands for.

    Python's own way gives each address of a name that time: fifty that nobody answers at held a thread for
    twelve minutes, which no caller can end.
    """

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any
    ) -> httpcore.NetworkStream:
        """A connection that is read in blocks, to the first of the host's addresses that answers."""
        return self.connect_first(addresses_of(host, port), port, timeout, *args, **kwargs)

    def connect_first(
        self, addresses: Sequence[str], port: int, timeout: float | None, *args: Any, **kwargs: Any
    ) -> httpcore.NetworkStream:
        """The same of these addresses, which share the time: each has its part of what is left."""
        end = None if timeout is None else time.monotonic() + timeout
        trouble: Exception = httpcore.ConnectError("the host has no address")
        for tried, address in enumerate(addresses):
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            part = None if left is None else max(left / (len(addresses) - tried), min(left, _LEAST))
            try:
                return _Stream(super().connect_tcp(address, port, part, *args, **kwargs))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
        raise trouble


def addresses_of(host: str, port: int) -> list[str]:
    """What a host's name stands for. Raises httpcore.ConnectError."""
    try:
        # The resolver also understands 2130706433 and 0x7f.1, as connect would.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(f"{host} cannot be resolved ({error.strerror})") from error
    except UnicodeError as error:
        raise httpcore.ConnectError("the host's name cannot be resolved") from error
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        found = [self._stream.read(BLOCK, timeout)]
        size = len(found[0])
        if size < _CRUMB:
            return found[0]
        napped = False
        while size < BLOCK:
            try:
                more = self._stream.read(BLOCK - size, 0)
            except httpcore.ReadError:
                # Nothing is there; or the connection broke, which the next to ask is told.
                if napped or size >= _ENOUGH:
                    break
                time.sleep(_NAP)
                napped = True
                continue
            if not more:
                break
            found.append(more)
            size += len(more)
        return b"".join(found)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        # A thread that reads is not woken by a socket that is closed, but by one that is shut.
        socket_ = self.get_extra_info("socket")
        if isinstance(socket_, socket.socket):
            with suppress(OSError):
                socket_.shutdown(socket.SHUT_RDWR)
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

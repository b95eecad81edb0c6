"""Connections that hand out large blocks, whatever crumbs the bytes come in.

A TLS socket gives 16 kB at a time, a plain one what has just come; each crumb costs the HTTP library, the
file and the journal about as much work as a megabyte does. Two gigabytes in crumbs kept two cores busy for
longer than a fast line takes for them.
"""

from __future__ import annotations

import ssl
import time
from typing import Any

import httpcore

BLOCK = 1 << 20
"""Bytes that are handed out at once, at most."""
_CRUMB = 16384
"""Less than this at once is a header or an end: nobody waits for more of it. TLS has records of this size."""
_ENOUGH = BLOCK // 4
_NAP = 0.02
"""Seconds in which more of a fast answer gathers in the system's buffer, which holds some megabytes."""


class BlockBackend(httpcore.SyncBackend):
    """Connects as httpcore does."""

    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        """A connection that is read in blocks."""
        return _Stream(super().connect_tcp(*args, **kwargs))


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
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

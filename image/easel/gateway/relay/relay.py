"""Carries each request that passed the door to its replica, and ends it when its right ends.

Caddy cannot be told to end one request of many, so it speaks to a socket of the gateway's, one connection for
each request, and the gateway to the replica. What runs through is bytes: an answer, an event stream, a
WebSocket, gigabytes of a model. Here a request's beginning, outcome and end are seen, whatever the replica is
(docs/decisions/0020-requests-go-through-the-gateways-relay.md).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import resource
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import structlog

from easel.gateway.access import Right, Rights
from easel.gateway.counts import Counts
from easel.gateway.replicas import OpenRequests

_log = structlog.get_logger("easel.gateway")
HEADER = "X-Easel-Pass"
_NUMBER = re.compile(rb"\r\nX-Easel-Pass: ([0-9]+)(?=\r\n)", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
# Caddy bears headers of 1 MiB.
_LONGEST_HEAD = 2 << 20
# Seconds for a replica to take a connection, and for Caddy to come with a request that was let through.
_DIAL = 3.0
_TO_COME = 60.0
# Bytes that may wait for a side that reads slower than the other writes.
_WAITING = 1 << 20
# Requests without an answer that are remembered; Caddy asks at once.
_REMEMBERED = 1000


@dataclass
class AdmittedRequest:
    """One request that was let through."""

    right: Right
    address: str
    at: float = field(default_factory=time.monotonic)
    # Hears the status that the replica answered with, 0 if it never did.
    over: Callable[[int], None] | None = None
    counted: str | None = None
    # Whether the receiver is this gateway itself, which knows the caller by the number.
    own: bool = False
    # Whether it only looks: it may stay open as long as a tab does, and its end is not waited for.
    looks: bool = False
    status: int = 0
    near: _CaddySide | None = None


class Relay:
    """Listens for Caddy on a socket that nobody else can open."""

    def __init__(self, path: Path, rights: Rights, open_requests: OpenRequests, counts: Counts) -> None:
        self.path = path
        self._rights = rights
        self._open_requests = open_requests
        self.counts = counts
        self._numbers = itertools.count(1)
        self._requests: dict[str, AdmittedRequest] = {}
        # Where nobody answered the request of a number: Caddy asks for another replica by it.
        self._unanswered: OrderedDict[str, str] = OrderedDict()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        _allow_connections()
        self.path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _CaddySide(self), str(self.path), backlog=1024)
        self.path.chmod(0o600)

    async def stop(self) -> None:
        """End every request and listen no more."""
        if self._server is not None:
            self._server.close()
        for request in list(self._requests.values()):
            if request.near is not None:
                request.near.abort()
        self.path.unlink(missing_ok=True)

    def admit(
        self, right: Right, address: str, *, counted: str | None = None, own: bool = False,
        looks: bool = False, over: Callable[[int], None] | None = None,
    ) -> str:  # fmt: skip
        """Let one request through to `address`; the number that Caddy brings it with. `counted` is its number
        at `OpenRequests`; `over` hears its status when it has ended."""
        number = str(next(self._numbers))
        self._requests[number] = AdmittedRequest(
            right, address, over=over, counted=counted, own=own, looks=looks
        )
        return number

    @property
    def busy(self) -> bool:
        """Whether a replica works for somebody."""
        return any(not (request.own or request.looks) for request in self._requests.values())

    def right_of(self, number: str) -> Right | None:
        """What the request of this number was let in by, while it is open."""
        request = self._requests.get(number)
        return request.right if request else None

    def unanswered(self, number: str) -> str | None:
        """The address at which nobody answered the request of this number, once."""
        return self._unanswered.pop(number, None)

    def look(self) -> int:
        """End what has no right any more; how many requests that were."""
        now, ended = time.monotonic(), 0
        good: dict[Right, bool] = {}
        for number, request in list(self._requests.items()):
            if request.near is None and now - request.at > _TO_COME:
                self.close(number)  # the caller hung up before Caddy asked
                continue
            if request.right not in good:
                good[request.right] = self._rights.hold(request.right)
            if not good[request.right]:
                ended += 1
                near = request.near
                self.close(number)
                if near is not None:
                    near.refuse()
        if ended:
            _log.info("requests were ended with their right", count=ended)
        return ended

    def take(self, number: str, near: _CaddySide) -> AdmittedRequest | None:
        """The request that Caddy brings, once."""
        request = self._requests.get(number)
        if request is None or request.near is not None:
            return None
        request.near = near
        self.counts.begun(request.right.endpoint)
        return request

    def close(self, number: str) -> None:
        """The request is over."""
        request = self._requests.pop(number, None)
        if request is None:
            return
        if request.counted:
            self._open_requests.end(request.counted)
        if request.near is not None:
            self.counts.ended(request.right.endpoint, request.status)
        if request.status == 0:
            self._unanswered[number] = request.address
            if len(self._unanswered) > _REMEMBERED:
                self._unanswered.popitem(last=False)
        if request.over is not None:
            request.over(request.status)


class _Side(asyncio.Protocol):
    """One of the two connections of a request."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(_WAITING)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def abort(self) -> None:
        """Drop both connections, and what waits to be written."""
        for side in (self, self.other):
            if side is not None and side.transport is not None:
                side.transport.abort()


class _CaddySide(_Side):
    """Caddy's connection: the head of the request says which it is; after that, bytes."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay
        self._head = bytearray()
        self._number = self._endpoint = ""
        self._dialling: asyncio.Task[None] | None = None
        self.answered = False

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
            self._count(len(data))
            return
        self._head += data
        if self._dialling is None and (b"\r\n\r\n" in data or b"\r\n\r\n" in self._head):
            self._begin()
        elif len(self._head) > _LONGEST_HEAD:
            self.abort()

    def _begin(self) -> None:
        found = _NUMBER.search(self._head, 0, self._head.index(b"\r\n\r\n") + 2)
        number = found[1].decode() if found else ""
        request = self._relay.take(number, self)
        if request is None or found is None:
            self.refuse()  # its right ended between the question and now
            return
        self._number = number
        if not request.own:
            # The replica has no use for it.
            del self._head[found.start() : found.end()]
        if self.transport is not None:
            self.transport.pause_reading()
        self._dialling = asyncio.get_running_loop().create_task(self._dial(request))

    async def _dial(self, request: AdmittedRequest) -> None:
        host, _, port = request.address.rpartition(":")
        far = _ReplicaSide(self, request, self._relay.counts)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_DIAL):
                await loop.create_connection(lambda: far, host.strip("[]"), int(port))
        except (OSError, ValueError, TimeoutError):
            # Without a word: Caddy then says in its own that nobody answers.
            self.abort()
            return
        if self.transport is None or self.transport.is_closing() or far.transport is None:
            far.abort()
            return
        self.other = far
        far.transport.write(bytes(self._head))
        self._endpoint = request.right.endpoint
        self._count(len(self._head))
        self._head.clear()
        self.transport.resume_reading()

    def _count(self, size: int) -> None:
        self._relay.counts.passed(self._endpoint, "replica", size)

    def refuse(self) -> None:
        """End the request because its right has ended: in words, where the answer has not begun."""
        if self.transport is None:
            return
        if not self.answered:
            self.transport.write(_OVER)
            self.transport.close()
            if self.other is not None and self.other.transport is not None:
                self.other.transport.abort()
        else:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
        if self.other is not None and self.other.transport is not None:
            # The replica hears that its caller has gone.
            self.other.transport.abort()
        self._relay.close(self._number)


class _ReplicaSide(_Side):
    """The replica's connection."""

    def __init__(self, near: _CaddySide, request: AdmittedRequest, counts: Counts) -> None:
        super().__init__()
        self._counts = counts
        self.other: _CaddySide = near
        self._request = request
        self._begun = b""

    def data_received(self, data: bytes) -> None:
        near = self.other.transport
        if near is None or near.is_closing():
            return
        self.other.answered = True
        near.write(data)
        self._counts.passed(self._request.right.endpoint, "caller", len(data))
        if self._request.status == 0:
            self._note(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other.transport is not None:
            self.other.transport.close()

    def _note(self, data: bytes) -> None:
        """The status of the answer; `100 Continue` and its kin are none yet."""
        self._begun += data
        while found := _STATUS.match(self._begun):
            status = int(found[1])
            if status >= 200 or status == 101:
                self._request.status = status
            _, end, rest = self._begun.partition(b"\r\n\r\n")
            if self._request.status or not end:
                break
            self._begun = rest
        if self._request.status or len(self._begun) > _LONGEST_HEAD:
            self._begun = b""


def _allow_connections() -> None:
    """Two for each request that is open: some systems start us with 1,024 in all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1 << 16 if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError) as error:
            _log.warning("open files are limited", limit=soft, why=str(error))


def _answer() -> bytes:
    detail = "what let you in has ended: it was revoked, expired, or signed out of; sign in again"
    body = json.dumps({"error": "Unauthorized", "detail": detail, "body": "", "errors": detail}).encode()
    head = (
        "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


_OVER = _answer()

"""A request's body as it comes in, held to limits: its size, what it makes of memory, how long it takes."""

from __future__ import annotations

import asyncio
import re

from fastapi import HTTPException
from starlette.types import Message, Receive

from easel.remark import remark
from easel.studio.api.held_bodies import HeldBodies

MAX_VALUES = 25_000
"""Of a JSON body. Each is an object of Python's, looked at again and again: 6 MB of `{}` were two million,
and nobody was answered for twenty seconds."""
STALL = 60.0
"""Seconds that its sender may say nothing."""
# A body over a limit is read and thrown away, so that a client which reads its answer only after it sent
# everything gets one; but not for ever.
_MAX_DRAIN = 1024 * 1024 * 1024
_MAX_DRAIN_SECONDS = 60.0
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


class LimitedBody:
    """Of one request: `receive` in the place of the server's own. `close` when the request is over."""

    def __init__(self, receive: Receive, most: int, *, stall: float | None = STALL) -> None:
        self._receive, self._most, self._stall = receive, most, stall
        self._seen = self._held = 0
        self._ended = False
        self._pieces: list[bytes] | None = None
        self._holder: tuple[HeldBodies, str] | None = None

    def is_json(self) -> None:
        """Its values count."""
        self._pieces = []

    def held_by(self, held: HeldBodies, owner: str) -> None:
        """It stays in memory until the request is over."""
        self._holder = (held, owner)

    async def receive(self) -> Message:
        """The next message. Raises HTTPException where a limit is passed."""
        if self._ended:  # what comes then is that the caller hung up
            return await self._receive()
        try:
            async with asyncio.timeout(self._stall):
                message = await self._receive()
        except TimeoutError:
            words = "nothing came of the request for {seconds} seconds: send it again"
            raise HTTPException(
                408, remark("body_stalled", words, seconds=round(self._stall or 0)), {"Connection": "close"}
            ) from None
        self._ended = not message.get("more_body", False)
        await self._look_at(message.get("body", b""))
        return message

    def close(self) -> None:
        """The request is over."""
        if self._holder is not None:
            held, owner = self._holder
            held.give(owner, self._held)
        self._held = 0

    async def _look_at(self, piece: bytes) -> None:
        self._seen += len(piece)
        if self._seen > self._most:
            raise await self._refusal(413, too_large(self._most))
        if self._pieces is not None:
            self._pieces.append(piece)
            if self._ended:
                # Who asked has them by now, and as long as its pictures take.
                pieces, self._pieces = self._pieces, None
                if _has_many(pieces):
                    words = "the body has more than {most} values, which no request has"
                    raise await self._refusal(413, remark("body_values", words, most=MAX_VALUES))
        if self._holder is not None:
            held, owner = self._holder
            if not held.take(owner, len(piece)):
                words = "too much is waiting here: wait for the answers to some requests, and send it again"
                raise await self._refusal(429, remark("bodies_held", words))
            self._held += len(piece)

    async def _refusal(self, status: int, words: str) -> HTTPException:
        self.close()
        if not self._ended:
            await drain(self._receive)
        return HTTPException(status, words, {"Retry-After": "10"} if status == 429 else None)


def _has_many(pieces: list[bytes]) -> bool:
    """Whether a JSON text has more values than any request, told without reading it: commas and opening
    brackets, where there are too many those outside of strings."""
    if sum(map(_signs, pieces)) <= MAX_VALUES:
        return False
    whole = b"".join(pieces)
    return whole.count(b'"') > 8 * MAX_VALUES or _signs(_STRING.sub(b"", whole)) > MAX_VALUES


def _signs(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def too_large(most: int) -> str:
    """What is said of a body of more than `most` bytes."""
    words = "the body is larger than the {most} MB that this server takes"
    return remark("body_too_large", words, most=most // 2**20)


async def drain(receive: Receive) -> None:
    """Throw away what is left of a body."""
    left = _MAX_DRAIN
    try:
        async with asyncio.timeout(_MAX_DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
    except TimeoutError:
        return

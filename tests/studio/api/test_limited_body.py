"""Bodies: how many values they have, how long they take, and how much of them waits at once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from easel.studio.api.held_bodies import HeldBodies
from easel.studio.api.limited_body import MAX_VALUES
from easel.studio.api.middleware import ApiMiddleware


class Caller:
    """One request, sent piece by piece."""

    def __init__(
        self, app: Any, owner: str = "ada", path: str = "/studio/x", kind: str = "application/json"
    ) -> None:
        headers = [(b"content-type", kind.encode()), (b"x-easel-user", owner.encode())]
        self._scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": headers,
            "query_string": b"",
        }
        self._app = app
        self._pieces: asyncio.Queue[Message] = asyncio.Queue()
        self.status = 0
        self.answer = b""
        self.task = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        async def send(message: Message) -> None:
            self.status = message.get("status", self.status)
            self.answer += message.get("body", b"")

        await self._app(self._scope, self._pieces.get, send)

    def send(self, piece: bytes, *, more: bool = False) -> None:
        self._pieces.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    async def ended(self) -> int:
        await asyncio.wait_for(self.task, 10)
        return self.status


def studio(**limits: Any) -> tuple[Any, asyncio.Event]:
    """What waits with its body until the event."""
    app, go = FastAPI(), asyncio.Event()

    @app.post("/studio/x")
    async def wait(request: Request) -> int:
        size = len(await request.body())
        await go.wait()
        return size

    @app.post("/studio/json")
    async def read(asked: dict[str, Any]) -> int:
        return len(asked)

    return ApiMiddleware(app, **limits), go


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))  # type: ignore[arg-type]


def test_what_one_person_has_waiting() -> None:
    """More than their share is refused to them and not to others, and counts no more once it is answered."""

    async def test() -> None:
        app, go = studio(held=HeldBodies(most_of_person=1000, most_of_all=1500))
        first, second = Caller(app), Caller(app)
        first.send(b"x" * 600)
        second.send(b"x" * 300, more=True)
        await asyncio.sleep(0.05)
        third = Caller(app)
        third.send(b"x" * 200)
        assert await third.ended() == 429
        assert b"wait for the answers" in third.answer
        other = Caller(app, "grace")
        other.send(b"x" * 500)
        late = Caller(app, "hedy")  # all together have their share, too
        late.send(b"x" * 200)
        assert await late.ended() == 429
        second.send(b"")
        go.set()
        assert [await one.ended() for one in (first, second, other)] == [200] * 3
        again = Caller(app)
        again.send(b"x" * 1000)
        assert await again.ended() == 200

    run(test)


def test_who_begins_and_says_no_more() -> None:
    """A body that stops coming ends its request, and is held no longer; one that came waits as long as it
    takes."""

    async def test() -> None:
        app, go = studio(held=HeldBodies(most_of_person=1000), stall=0.2)
        came = Caller(app)
        came.send(b"x" * 100)
        stalled = Caller(app)
        stalled.send(b"x" * 900, more=True)
        assert await stalled.ended() == 408
        assert not came.task.done()
        after = Caller(app)
        after.send(b"x" * 900)
        go.set()
        assert await after.ended() == await came.ended() == 200

    run(test)


@pytest.mark.parametrize(
    "body",
    [
        b'{"x":[' + b"{}," * 500_000 + b"1]}",
        b'{"x":[' + b"1," * 1_000_000 + b"1]}",
        b"[" * 1_000_000,
        b'{"x":[' + b'"",' * 1_000_000 + b"1]}",
        b'{"x":"' + b'\\","' * 500_000 + b'"}',
        b'{"a":[' + b'"[",' * (MAX_VALUES + 1) + b"1]}",
    ],
)
def test_values_without_measure(body: bytes) -> None:
    """A few megabytes of small values: seen without reading them."""

    async def test() -> None:
        app, _ = studio()
        caller = Caller(app, path="/studio/json")
        for at in range(0, len(body), 65_536):
            caller.send(body[at : at + 65_536], more=at + 65_536 < len(body))
        began = time.thread_time()
        assert await caller.ended() == 413
        assert b"values" in caller.answer
        assert time.thread_time() - began < 1

    run(test)


def test_what_is_long_and_no_many_values() -> None:
    """Commas and brackets of a text are none, wherever it is cut; nor are the bytes of a picture."""
    said = {"text": 'a, [b], {c} "quoted\\", ' * 60_000, "ids": [str(one) for one in range(10_000)]}
    body = json.dumps(said).encode()

    async def test() -> None:
        app, go = studio()
        go.set()
        caller = Caller(app, path="/studio/json")
        for at in range(0, len(body), 1000):
            caller.send(body[at : at + 1000], more=at + 1000 < len(body))
        assert await caller.ended() == 200
        assert caller.answer == b"2"
        picture = Caller(app, kind="multipart/form-data; boundary=x")
        picture.send(b",[{" * 100_000)
        assert await picture.ended() == 200

    run(test)


def test_many_wrong_things_are_told_by_the_first(ada) -> None:
    """The answer to a list of wrong values is no longer than anybody reads."""
    answer = ada.post("/sdapi/v1/txt2img", json={"styles": [{}] * 5000})
    assert answer.status_code == 422
    assert len(answer.json()["detail"]) == 20

"""What a gateway makes of a replica that means it ill: it runs files of strangers."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from easel.gateway.config import Container, Endpoint
from easel.gateway.replicas.container_probe import ContainerProbe
from easel.gateway.replicas.open_requests import OpenRequests
from easel.gateway.replicas.probe import Probe

TIMEOUT = 0.5
GOOD = '{"phase": "ready", "running": 1, "queued": 2, "idle_seconds": 3}'


def head(kind: str = "application/json", *more: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", f"Content-Type: {kind}", *more, "", "")).encode()


async def without_end(_: str) -> AsyncIterator[bytes]:
    yield head()
    while True:
        yield b" " * 65536


async def by_drops(_: str) -> AsyncIterator[bytes]:
    yield head()
    while True:
        yield b" "
        await asyncio.sleep(TIMEOUT / 4)


BOMB = gzip.compress(b" " * (100 << 20), 1)


async def a_bomb(_: str) -> AsyncIterator[bytes]:
    body = BOMB
    yield head("application/json", "Content-Encoding: gzip", f"Content-Length: {len(body)}") + body


def saying(body: str, kind: str = "application/json", *more: str) -> Callable[[str], AsyncIterator[bytes]]:
    async def says(_: str) -> AsyncIterator[bytes]:
        yield head(kind, f"Content-Length: {len(body)}", *more) + body.encode()

    return says


def asked(says: Callable[[str], AsyncIterator[bytes]], ask: Callable[[str], Awaitable[Any]]) -> Any:
    """What `ask` gives of a replica that answers so; in time, and in little memory."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).decode()
        try:
            async for part in says(line):
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    async def whole() -> Any:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            began = time.monotonic()
            found = await ask(f"{host}:{port}")
            assert time.monotonic() - began < TIMEOUT * 5
            return found

    return asyncio.run(whole())


async def load(address: str) -> Any:
    probe = Probe(TIMEOUT)
    try:
        return await probe.ask("studio", address)
    finally:
        await probe.close()


async def metrics(address: str) -> Any:
    probe = Probe(TIMEOUT)
    try:
        return await probe.metrics("studio", address, "text/plain")
    finally:
        await probe.close()


async def a1111(address: str) -> Any:
    probe = ContainerProbe(OpenRequests(), TIMEOUT)
    try:
        return await probe.ask(endpoint("a1111"), address)
    finally:
        await probe.close()


def endpoint(load: Any) -> Endpoint:
    return Endpoint(name="studio", port=7860, container=Container(port=7860, load=load))


def test_a_good_word_counts() -> None:
    """Else the rest of this file would hold of a probe that hears nothing."""
    report = asked(saying(GOOD), load)
    assert (report.phase, report.work.running, report.work.queued, report.work.idle_seconds) == (
        "ready",
        1,
        2,
        3.0,
    )
    progress = asked(saying('{"state": {"job_count": 1}}'), a1111)
    assert progress.work.running == 1


@pytest.mark.parametrize("says", [without_end, by_drops, a_bomb])
@pytest.mark.parametrize("ask", [load, metrics, a1111])
def test_an_answer_without_measure_holds_nobody_up(
    says: Callable[[str], AsyncIterator[bytes]], ask: Callable[[str], Awaitable[Any]]
) -> None:
    """One replica that never ends its word must not keep the gateway from the others, nor take its memory."""
    tracemalloc.start()
    try:
        assert asked(says, ask) is None
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        "[" * 50_000, '{"phase":' * 7_000, "[]", "7", "null", '{"phase": ["ready"]}',
        '{"phase": "ready", "running": NaN}', '{"phase": "ready", "running": []}',
        '{"phase": "ready", "idle_seconds": NaN}', '{"phase": "ready", "queued": "x"}',
        f'{{"phase": "ready", "running": {"9" * 400}}}',
    ],
)  # fmt: skip
def test_nonsense_is_no_answer(body: str) -> None:
    """And no error that ends the look at all the others."""
    assert asked(saying(body), load) is None
    assert asked(saying(body), a1111) is None


def test_numbers_stay_such_as_a_replica_can_have() -> None:
    """An endless queue would have every replica started that may be, and nothing added up."""
    report = asked(
        saying('{"phase": "ready", "running": Infinity, "queued": -1e308, "idle_seconds": 1e308}'), load
    )
    assert (report.work.running, report.work.queued, report.work.idle_seconds) == (10**6, 0, 10.0**6)
    assert asked(saying('{"state": {"job_count": Infinity}}'), a1111) is None


@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=utf-8", "image/svg+xml", ""])
def test_no_page_comes_in_the_place_of_metrics(kind: str) -> None:
    """The console shows them under its own address: a page of the replica's would act as the operator."""
    assert asked(saying("<script>alert(1)</script>", kind), metrics) is None
    plain = "text/plain; version=0.0.4"
    assert asked(saying("easel_jobs 1\n", plain), metrics) == (b"easel_jobs 1\n", plain)


def test_nobody_is_led_elsewhere() -> None:
    """A replica's word is not where the gateway goes: metadata of its host is one hop away."""

    async def leads(line: str) -> AsyncIterator[bytes]:
        if "/easel/load" in line:
            yield b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
        else:
            yield head("application/json", f"Content-Length: {len(GOOD)}") + GOOD.encode()

    assert asked(leads, load) is None

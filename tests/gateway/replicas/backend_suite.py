"""What every backend must do, whatever it starts: subclass `BackendSuite` and give it a `stage`.

    class TestLocalBackend(BackendSuite):
        @pytest.fixture
        async def stage(self, tmp_path): ...

A stage sets a backend up with one endpoint named `studio` and can make its replicas slow, crash or fail.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import httpx
import pytest

from easel.gateway.config import Endpoint
from easel.gateway.replicas import Backend, Fleet, NotNow, Replica

# Long enough for what must not happen: many times what a stage's backend takes to see that nobody draws.
A_WHILE = 0.3


class Stage(Protocol):
    """How a test plays with what a backend runs on."""

    backend: Backend
    endpoint: Endpoint

    async def slow(self, seconds: float) -> None:
        """Replicas started from now on import and load for so long."""

    async def crash(self, words: str | None) -> None:
        """Replicas started from now on say `words` and end at once; None: they start well again."""

    async def alive(self) -> int:
        """How many replicas really run, as the machine sees it."""


async def until(
    stage: Stage, true: Callable[[list[Replica]], object], seconds: float = 20.0
) -> list[Replica]:
    """Polls as the fleet does, until `true(replicas)`."""
    deadline = time.monotonic() + seconds
    while not true(replicas := await stage.backend.replicas("studio")):
        assert time.monotonic() < deadline, f"not within {seconds} s; replicas: {replicas}"
        await asyncio.sleep(0.03)
    return replicas


def are(*states: str) -> Callable[[list[Replica]], bool]:
    return lambda replicas: sorted(replica.state for replica in replicas) == sorted(states)


async def post(replica: Replica, **said: object) -> None:
    """Tell a test replica what to report."""
    async with httpx.AsyncClient() as client:
        try:
            await client.post(f"http://{replica.address}/test/set", json=said)
        except httpx.RemoteProtocolError:
            assert said.get("crash")


class BackendSuite:
    """The tests."""

    pytestmark = pytest.mark.anyio

    async def test_asleep_to_ready_to_asleep(self, stage: Stage) -> None:
        """asleep → starting → loading → ready → draining → asleep, each with words and a time."""
        await stage.slow(1.0)
        assert await stage.backend.replicas("studio") == []
        began = time.time()
        await stage.backend.set_capacity("studio", 1)
        seen: list[str] = []

        def note(replicas: list[Replica]) -> bool:
            (replica,) = replicas
            if replica.state not in seen[-1:]:
                seen.append(replica.state)
            assert replica.detail
            assert began - 1 < replica.since <= time.time()
            return replica.state == "ready"

        (replica,) = await until(stage, note)
        assert seen == ["starting", "loading", "ready"]
        assert replica.address
        assert replica.work is not None
        assert replica.work.demand == 0
        await stage.backend.drain("studio", replica.id)
        assert [one.state for one in await stage.backend.replicas("studio")] == ["draining"]
        await until(stage, are())
        assert await stage.alive() == 0
        kinds = [event.kind for event in stage.backend.events.of("studio")]
        assert [kind for kind in kinds if kind in ("starting", "loading", "ready", "draining")][-3:] == [
            "loading", "ready", "draining",
        ]  # fmt: skip

    async def test_capacity_only_grows(self, stage: Stage) -> None:
        """`set_capacity` starts what is missing, once, and never takes one away."""
        await stage.backend.set_capacity("studio", 2)
        await stage.backend.set_capacity("studio", 2)
        await stage.backend.set_capacity("studio", 1)
        replicas = await until(stage, are("ready", "ready"))
        assert len({replica.id for replica in replicas}) == 2
        assert len({replica.address for replica in replicas}) == 2
        assert await stage.alive() == 2

    async def test_draining_finishes_its_pictures(self, stage: Stage) -> None:
        """A replica that draws is not ended before it is done."""
        await stage.backend.set_capacity("studio", 2)
        first, second = await until(stage, are("ready", "ready"))
        await post(first, running=1)
        await until(stage, lambda replicas: replicas[0].work and replicas[0].work.running)
        await stage.backend.drain("studio", first.id)
        await until(stage, are("draining", "ready"))
        await asyncio.sleep(A_WHILE)
        assert await stage.alive() == 2
        await post(first, running=0)
        (other,) = await until(stage, are("ready"))
        assert other.id == second.id

    @pytest.mark.parametrize("phase", ["importing", "loading"])
    async def test_who_is_silent_while_it_starts_is_not_ready(self, stage: Stage, phase: str) -> None:
        """Importing torch on a busy machine, it misses looks: who waits is not sent to it."""
        await stage.backend.set_capacity("studio", 1)
        (replica,) = await until(stage, are("ready"))
        await post(replica, phase=phase)
        await until(stage, lambda replicas: replicas[0].state in ("starting", "loading"))
        await post(replica, mute=True)
        ends = time.monotonic() + A_WHILE
        while time.monotonic() < ends:
            (silent,) = await stage.backend.replicas("studio")
            assert silent.state in ("starting", "loading"), silent
        await post(replica, mute=False, phase="ready")
        await until(stage, are("ready"))

    async def test_who_drains_is_taken_back_before_another_starts(self, stage: Stage) -> None:
        """Wanted again while the last one drains: it stays, and nobody waits for a second one. Of what is
        still lacking then, as much is started."""
        await stage.backend.set_capacity("studio", 1)
        (replica,) = await until(stage, are("ready"))
        await post(replica, running=1)
        await until(stage, lambda replicas: replicas[0].work and replicas[0].work.running)
        await stage.backend.drain("studio", replica.id)
        await until(stage, are("draining"))
        await stage.backend.set_capacity("studio", 1)
        (again,) = await until(stage, are("ready"))
        assert (again.id, again.address) == (replica.id, replica.address)
        assert await stage.alive() == 1
        assert "kept: it is wanted again" in [event.text for event in stage.backend.events.of("studio")]
        await post(replica, running=0)
        await asyncio.sleep(A_WHILE)
        assert [one.state for one in await stage.backend.replicas("studio")] == ["ready"]
        await post(replica, running=1)
        await until(stage, lambda replicas: replicas[0].work and replicas[0].work.running)
        await stage.backend.drain("studio", replica.id)
        await until(stage, are("draining"))
        await stage.backend.set_capacity("studio", 2)
        both = await until(stage, are("ready", "ready"))
        assert replica.id in {one.id for one in both}
        assert await stage.alive() == 2

    async def test_stop_ends_at_once(self, stage: Stage) -> None:
        """`stop` asks nobody whether they draw."""
        await stage.backend.set_capacity("studio", 1)
        (replica,) = await until(stage, are("ready"))
        await post(replica, running=1)
        await stage.backend.stop("studio", replica.id)
        await until(stage, are())
        assert await stage.alive() == 0

    async def test_stop_while_starting(self, stage: Stage) -> None:
        """Whoever changes their mind before it is ready gets no replica that starts for nobody."""
        await stage.slow(30)
        await stage.backend.set_capacity("studio", 1)
        (replica,) = await stage.backend.replicas("studio")
        await stage.backend.stop("studio", replica.id)
        await until(stage, are())
        await asyncio.sleep(A_WHILE)
        assert await stage.alive() == 0
        await stage.backend.set_capacity("studio", 1)
        (replica,) = await until(stage, lambda replicas: replicas and replicas[0].address)
        await stage.backend.drain("studio", replica.id)
        await until(stage, are())
        assert await stage.alive() == 0

    async def test_a_crash_is_told_and_mended(self, stage: Stage) -> None:
        """A crash shows as `failed` with the last words of the log, and the replica comes back by itself."""
        await stage.backend.set_capacity("studio", 1)
        (replica,) = await until(stage, are("ready"))
        await post(replica, crash=True)
        (failed,) = await until(stage, are("failed"))
        assert "out of colours" in failed.detail
        assert not failed.given_up
        await until(stage, are("ready"))
        texts = [event.text for event in stage.backend.events.of("studio")]
        assert any("out of colours" in text for text in texts)

    async def test_a_crash_loop_gives_up(self, stage: Stage) -> None:
        """What cannot start is tried a few times, ever slower, then left alone. By hand it is tried again:
        who asks next, before anything is seen of that, waits, and is not refused for what had been."""
        fleet = Fleet(stage.endpoint, stage.backend)
        await stage.crash("the checkpoint is cut short")
        await stage.backend.set_capacity("studio", 1)
        (replica,) = await until(stage, lambda replicas: replicas and replicas[0].given_up)
        assert replica.state == "failed"
        assert "the checkpoint is cut short" in replica.detail
        assert "gave up" in replica.detail
        # It counts as the one wanted: no second loop starts beside it.
        await stage.backend.set_capacity("studio", 1)
        assert len(await stage.backend.replicas("studio")) == 1
        assert await stage.alive() == 0
        fleet.ask("a test")
        await fleet.look()
        refused = await fleet.hold("ada", strict=False, gone=asyncio.Future(), why="a test")
        assert isinstance(refused, NotNow)
        assert refused.final
        await stage.crash(None)
        await fleet.wake()
        asked = asyncio.create_task(fleet.hold("ada", strict=False, gone=asyncio.Future(), why="a test"))
        await asyncio.sleep(0)
        assert not asked.done()
        looking = asyncio.create_task(fleet.run())
        try:
            assert isinstance(await asyncio.wait_for(asked, 20), Replica)
        finally:
            looking.cancel()

    async def test_a_failed_one_can_be_drained(self, stage: Stage) -> None:
        """Going to sleep includes what failed."""
        await stage.crash("no paint")
        await stage.backend.set_capacity("studio", 1)
        (replica,) = await until(stage, are("failed"))
        await stage.backend.drain("studio", replica.id)
        await until(stage, are())

    async def test_logs(self, stage: Stage) -> None:
        """The log's last lines; nothing for what never ran or is no replica."""
        await stage.backend.set_capacity("studio", 1)
        (replica,) = await until(stage, are("ready"))
        assert "replica" in await stage.backend.logs("studio", replica.id, 10)
        assert await stage.backend.logs("studio", replica.id, 0) == ""
        for strange in ("99", "../gateway", "/etc/passwd", ""):
            assert await stage.backend.logs("studio", strange, 10) == ""
        assert await stage.backend.logs("nobody", "1", 10) == ""

    async def test_strangers_are_nobody(self, stage: Stage) -> None:
        """Verbs about what is not there do nothing."""
        assert await stage.backend.replicas("nobody") == []
        for verb in (stage.backend.drain, stage.backend.stop):
            await verb("studio", "99")
            await verb("nobody", "1")
        await stage.backend.revive("nobody")
        await stage.backend.forget("nobody")

    async def test_forget_stops_all(self, stage: Stage) -> None:
        """An endpoint that is gone leaves nothing running."""
        await stage.backend.set_capacity("studio", 2)
        await until(stage, are("ready", "ready"))
        await stage.backend.forget("studio")
        await until(stage, are())
        assert await stage.alive() == 0
        # And may come again.
        await stage.backend.follow(stage.endpoint)
        await stage.backend.set_capacity("studio", 1)
        await until(stage, are("ready"))

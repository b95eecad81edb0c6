"""Local replicas: the suite for all backends, and what only processes do."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil
import pytest

from easel.gateway.config import Endpoint, Replicas, Timeouts
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.replicas import ReplicaTimeouts
from easel.gateway.replicas.local.backend import LocalBackend, studio
from tests.gateway.conftest import REPLICA
from tests.gateway.replicas.backend_suite import BackendSuite, are, until

QUICK = ReplicaTimeouts(
    backoff_limit=3, backoff=0.1, termination_grace=1.0, unresponsive=1.5, drain_poll=0.04, probe=1.0
)


class LocalStage:
    """Replica processes of this machine."""

    def __init__(self, root: Path, timeouts: ReplicaTimeouts) -> None:
        self.home = Home(root)
        self.home.prepare()
        self.endpoint = Endpoint(
            name="studio", port=1, replicas=Replicas(min=0, max=2), timeouts=Timeouts(wake=60, request=60)
        )
        self.backend = LocalBackend(self.home, Events(), command=self._command, timeouts=timeouts)
        self.env: dict[str, str] = {}

    def _command(self, endpoint: Endpoint, port: int) -> Sequence[str]:
        return [sys.executable, "-S", str(REPLICA), "--port", str(port)]

    async def slow(self, seconds: float) -> None:
        await self._set(EASEL_TEST_SLOW=str(seconds))

    async def crash(self, words: str | None) -> None:
        await self._set(EASEL_TEST_CRASH=words or "")

    async def _set(self, **env: str) -> None:
        self.env |= env
        self.endpoint = self.endpoint.model_copy(update={"env": self.env})
        await self.backend.follow(self.endpoint)

    async def alive(self) -> int:
        return len(self.processes())

    def processes(self) -> list[psutil.Process]:
        # The watchdog is our child, the replica its child; other tests' gateways have their own.
        watchdogs = [
            one for one in psutil.Process().children() if any("watchdog.py" in word for word in words(one))
        ]
        return [one for watchdog in watchdogs for one in watchdog.children() if str(REPLICA) in words(one)]


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []  # gone between two looks


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[LocalStage]:
    stage = LocalStage(tmp_path, QUICK)
    await stage.backend.follow(stage.endpoint)
    yield stage
    await stage.backend.close()
    assert stage.processes() == []


class TestLocalBackend(BackendSuite):
    """The suite, with processes."""

    async def test_a_deaf_process_is_killed(self, stage: LocalStage) -> None:
        """SIGTERM is a wish; after the grace it is an order."""
        await stage._set(EASEL_TEST_DEAF="1")
        await stage.backend.set_capacity("studio", 1)
        (replica,) = await until(stage, are("ready"))
        began = time.monotonic()
        await stage.backend.stop("studio", replica.id)
        await until(stage, are())
        assert 0.9 < time.monotonic() - began < 4
        assert await stage.alive() == 0

    async def test_a_hanging_process_is_started_again(self, stage: LocalStage) -> None:
        """What answered and then answers no more is ended and comes back."""
        await stage.backend.set_capacity("studio", 1)
        await until(stage, are("ready"))
        (process,) = stage.processes()
        process.suspend()
        await until(stage, lambda replicas: stage.processes() not in ([process], []), 30)
        await until(stage, are("ready"))
        assert "hangs" in [event.kind for event in stage.backend.events.of("studio")]

    async def test_killed_for_memory_is_said(self, stage: LocalStage) -> None:
        """SIGKILL from nobody we know is nearly always the machine's memory."""
        await stage.backend.set_capacity("studio", 1)
        await until(stage, are("ready"))
        stage.processes()[0].kill()
        (failed,) = await until(stage, are("failed"))
        assert "ran out of memory" in failed.detail

    async def test_a_killed_watchdog_takes_its_program_along(self, stage: LocalStage) -> None:
        """Not even the watchdog's own death leaves an orphan (Linux)."""
        await stage.backend.set_capacity("studio", 1)
        await until(stage, are("ready"))
        (process,) = stage.processes()
        process.parent().kill()
        process.wait(5)
        await until(stage, are("ready"))

    async def test_replicas_see_no_key_of_the_door(
        self, stage: LocalStage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A replica's environment has the endpoint's settings and nothing that opens the door."""
        secret = ("EASEL_DOOR_KEY", "EASEL_TOKEN", "EASEL_CONSOLE", "EASEL_ASSERTION_KEYS")
        for name in secret:
            monkeypatch.setenv(name, "x")
        await stage._set(EASEL_TEST_MARK="here")
        await stage.backend.set_capacity("studio", 1)
        await until(stage, are("ready"))
        environment = stage.processes()[0].environ()
        assert environment["EASEL_TEST_MARK"] == "here"
        assert not set(secret) & set(environment)

    async def test_a_changed_environment_waits_for_the_next_start(self, stage: LocalStage) -> None:
        """Nobody's picture is lost to a changed setting; the change is said."""
        await stage.backend.set_capacity("studio", 1)
        await until(stage, are("ready"))
        await stage._set(EASEL_TEST_MARK="new")
        await until(stage, are("ready"))
        assert "EASEL_TEST_MARK" not in stage.processes()[0].environ()
        assert stage.backend.events.of("studio")[-1].kind == "changed"

    async def test_a_program_that_is_not_there(self, stage: LocalStage) -> None:
        """A missing program is a reason in words like any other."""
        stage.backend._command = lambda endpoint, port: ["/nowhere/studio"]
        await stage.backend.set_capacity("studio", 1)
        (failed,) = await until(stage, lambda replicas: replicas and replicas[0].given_up)
        assert "cannot start /nowhere/studio" in failed.detail

    async def test_an_environment_that_cannot_be(self, stage: LocalStage) -> None:
        """A setting that no process can have is a reason in words, and mended when the setting is."""
        await stage._set(EASEL_TEST_MARK="a\0b")
        await stage.backend.set_capacity("studio", 1)
        (failed,) = await until(stage, lambda replicas: replicas and replicas[0].given_up)
        assert "cannot be started" in failed.detail
        await stage._set(EASEL_TEST_MARK="ab")
        await stage.backend.revive("studio")
        await until(stage, are("ready"))


def test_the_studio_is_the_default(tmp_path: Path) -> None:
    """The command line of the contract."""
    words = studio(Home(tmp_path))(Endpoint(name="studio", port=1), 7)
    assert words[1:] == ["-m", "easel.studio", "--port", "7", "--home", str(tmp_path), "--endpoint", "studio"]

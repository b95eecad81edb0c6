"""One local replica: a studio process that is started again when it crashes, until that is hopeless."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from easel.gateway import replica_words
from easel.gateway.config import Endpoint
from easel.gateway.events import Events
from easel.gateway.process import Process, exit_words, find_port, inherited, rotate
from easel.gateway.replicas import Probe, Replica, ReplicaStatus, ReplicaTimeouts, Report, Work, last_words
from easel.remark import figure, remark

Command = Callable[[Endpoint, int], Sequence[str]]
_STARTING = remark("process_starting", "starting the process")


class ProcessSupervisor:
    """Supervises one replica from its first start until it is stopped."""

    def __init__(
        self, replica: str, endpoint: Endpoint, *,
        command: Command, log: Path, events: Events, probe: Probe, timeouts: ReplicaTimeouts,
        keys: Path | None = None,
    ) -> None:  # fmt: skip
        self.id = replica
        self.endpoint = endpoint
        self.log = log
        self._command = command
        self._probe = probe
        self._timeouts = timeouts
        self._known_by = _known_by(keys, endpoint.name) if keys else {}
        self._status = ReplicaStatus(endpoint.name, replica, events, _STARTING)
        self._address: str | None = None
        self._work: Work | None = None
        self._process: Process | None = None
        self._started = self._answered = time.monotonic()
        self._spoke = False
        self._steady_from: float | None = None
        self._failures = 0
        self._given_up = False
        self._ending = False
        self._revived = asyncio.Event()
        self._drain: asyncio.Task[None] | None = None
        self.task = asyncio.create_task(self._live(), name=f"{endpoint.name}-{replica}")

    def replica(self) -> Replica:
        """What it is now."""
        now = self._status
        return Replica(
            self.id, now.state, now.since, now.detail, self._address, self._work, self._given_up,
            self._answered,
        )  # fmt: skip

    async def poll(self) -> None:
        """Ask the process how it does and take its word."""
        address = self._address
        if address is None:
            return
        rotate(self.log)
        report = await self._probe.ask(self.endpoint.name, address)
        if self._address != address or self._ending:
            return  # it ended while we asked
        if report is None:
            await self._silent()
            return
        self._answered, self._spoke = time.monotonic(), True
        self._work = report.work
        if self._status.state != "draining":
            self._follow(report)

    def drain(self) -> None:
        """End it once it has nothing to do, at the latest after the endpoint's request timeout."""
        if self._ending or self._drain is not None:
            return
        busy = self._status.state == "ready"
        self._status.say("draining", replica_words.FINISHING if busy else replica_words.STOPPING)
        self._drain = asyncio.create_task(self._finish() if busy else self.stop())

    def recall(self) -> bool:
        """Take it back from draining: it is wanted again. False once it is being ended."""
        if self._ending or self._drain is None:
            return False
        self._drain.cancel()
        self._drain = None
        self._status.say("ready", replica_words.READY, text=replica_words.KEPT)
        return True

    async def stop(self) -> None:
        """End it now and wait until it is gone."""
        if not self._ending:
            self._ending = True
            self._status.say("draining", replica_words.STOPPING)
            self._revived.set()
        if self._process is not None:
            await self._process.stop()
        await self.task

    def revive(self) -> None:
        """Start again at once what waits for its next attempt or was given up."""
        if self._status.state == "failed" and self._address is None:
            self._failures, self._given_up = 0, False
            self._revived.set()

    # ── the life of the process ──────────────────────────────────────────────────────────────────

    async def _live(self) -> None:
        while not self._ending:
            self._status.say("starting", _STARTING)
            offset = self._log_size()
            port = find_port()
            try:
                self._process = await Process.start(
                    self._command(self.endpoint, port),
                    log=self.log,
                    env={**inherited(), "PYTHONUNBUFFERED": "1", **self.endpoint.env, **self._known_by},
                    grace=self._timeouts.termination_grace,
                )
            except (OSError, ValueError) as error:  # a full disk, or an env no process can have
                await self._crashed(remark("process_no_start", "cannot be started: {why}", why=error))
                continue
            if self._ending:
                await self._process.stop()
                return
            self._started = self._answered = time.monotonic()
            self._spoke, self._steady_from = False, None
            self._address = f"127.0.0.1:{port}"
            code = await self._process.wait()
            self._address = self._work = self._process = None
            if self._ending or self._status.state == "draining":
                return
            await self._crashed(_ended(code, self.log, offset))

    async def _crashed(self, reason: str) -> None:
        timeouts = self._timeouts
        steady = self._steady_from is not None and time.monotonic() - self._steady_from >= timeouts.min_ready
        self._failures = 1 if steady else self._failures + 1
        self._revived.clear()
        if self._failures >= timeouts.backoff_limit:
            self._given_up = True
            words = "gave up after {n} starts; the last one {why}"
            text = remark("process_given_up", words, n=self._failures, why=reason)
            self._status.say("failed", text, "gave-up")
            await self._revived.wait()
            return
        delay = min(timeouts.max_backoff, timeouts.backoff * 2 ** (self._failures - 1))
        words = "{why}; starts again in {n} s"
        text = remark("process_again", words, why=reason, n=figure(delay, ".0f"))
        self._status.say("failed", text, "crashed")
        try:
            await asyncio.wait_for(self._revived.wait(), delay)
        except TimeoutError:
            return

    async def _silent(self) -> None:
        quiet = time.monotonic() - self._answered
        limit = (
            self._timeouts.unresponsive
            if self._spoke
            else max(self._timeouts.unresponsive, self.endpoint.timeouts.wake)
        )
        if quiet > limit and self._process is not None:
            words = "has not answered for {n} s; stopping it"
            self._status.event("hangs", remark("process_hangs", words, n=figure(quiet, ".0f")))
            await self._process.stop()
        elif self._status.state == "ready":
            self._status.detail = replica_words.silent(quiet, self._status.detail)

    async def _finish(self) -> None:
        deadline = time.monotonic() + self.endpoint.timeouts.request
        # Twice nothing: a request that passed the door a moment ago may not have arrived yet.
        still = 0
        while still < 2 and time.monotonic() < deadline and self._address is not None:
            await asyncio.sleep(self._timeouts.drain_poll)
            await self.poll()
            still = still + 1 if self._work is None or self._work.demand == 0 else 0
        await self.stop()

    def _follow(self, report: Report) -> None:
        say = self._status.say
        if report.phase == "ready":
            if self._steady_from is None:
                self._steady_from = time.monotonic()
            took = time.monotonic() - self._started
            say("ready", report.detail or replica_words.READY, text=replica_words.ready_after(took))
        elif report.phase == "failed":
            say("failed", report.detail or replica_words.STUDIO_FAILED)
        elif report.phase == "loading":
            say("loading", report.detail or replica_words.LOADING)
        else:
            say("starting", report.detail or replica_words.IMPORTING)

    def _log_size(self) -> int:
        try:
            return self.log.stat().st_size
        except FileNotFoundError:
            return 0


def _known_by(keys: Path, endpoint: str) -> dict[str, str]:
    """How a studio knows what its gateway vouches for."""
    # Only here: it takes a while to import, and the door opens meanwhile.
    from easel.assertion import AUDIENCE_VARIABLE, KEYS_VARIABLE, OPEN_VARIABLE

    return {KEYS_VARIABLE: str(keys), AUDIENCE_VARIABLE: endpoint, OPEN_VARIABLE: ""}


def _ended(code: int, log: Path, offset: int) -> str:
    """How a process ended, and what it said last."""
    how = exit_words(code)
    if said := _last_words(log, offset):
        return remark("ended_saying", "{how}: {said}", how=how, said=said)
    return remark("ended_silent", "{how}, without a word in its log", how=how)


def _last_words(log: Path, offset: int) -> str:
    """What a crashed process said last, in a few words: log lines as JSON are read for their message."""
    try:
        with log.open("rb") as file:
            file.seek(offset if log.stat().st_size >= offset else 0)
            written = file.read()[-65536:].decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return last_words(written)

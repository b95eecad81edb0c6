"""`easel up`: every endpoint of the stack file on this machine, in the foreground."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import click

from scripts.local import configuration, folders, ports
from scripts.local.configuration import Configuration
from scripts.local.gateway_process import GatewayProcess, StopSignals, why_ended
from scripts.settings import CommandRefused, Settings, settings, shown

_BEAT = 0.1
_STATUS_EVERY = 0.3
# A gateway that dies more often than this within these seconds is not started again.
_DEATHS, _DEATHS_WITHIN = 3, 60.0


@click.command("up")
def command() -> None:
    """Start every endpoint of the stack file on this machine and stay until Ctrl-C.

    Prints a line with the link of each endpoint as soon as it answers. Changes of the stack file are
    followed while it runs.
    """
    began = time.monotonic() - _seconds_since_exec()
    # All that it writes is below EASEL_HOME, and for its owner alone.
    os.umask(0o077)
    here = settings()
    folders.make(here.home)
    lock = folders.hold(here.home)
    version = configuration.version(here)  # before reading, so that no change is missed
    configured = configuration.prepare(here)
    signals = StopSignals()
    gateway = GatewayProcess(here.home)
    # The gateway has half a second to go before a studio could look for it.
    notes = folders.place_starters(here.home)
    if configured.unused:
        notes.append(f"not used on this machine: {', '.join(configured.unused)}")
    UpSession(here, configured, version, gateway, signals, began).until_stopped(notes, lock)


def _seconds_since_exec() -> float:
    """How long this process has run already: its imports count too."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0  # not Linux


class UpSession:
    """One `easel up`, from the start of the gateway to its end."""

    def __init__(
        self,
        here: Settings,
        configured: Configuration,
        version: int,
        gateway: GatewayProcess,
        signals: StopSignals,
        began: float,
    ) -> None:
        # After the gateway's start, so that its imports and these take the same time.
        from scripts.local.display import detail_of, display
        from scripts.logs.tail import LogTail

        self._here, self._now, self._stack_version = here, configured, version
        self._gateway, self._signals, self._began = gateway, signals, began
        self._display, self._detail_of = display(), detail_of
        self._tail = LogTail(here.home / "logs")
        self._client: Any = None
        self._open = False
        self._deaths: list[float] = []
        self._states: dict[str, str] = {}
        self._models: dict[str, str] = {}
        self._linked: set[str] = set()
        self._next_status = 0.0

    def until_stopped(self, notes: list[str], lock: IO[str]) -> None:
        """Follow what happens until somebody asks to stop or the gateway ends."""
        try:
            for note in notes:
                self._display.say(note)
            while not self._signals.once:
                if self._gateway.ended is not None:
                    self._show_logs()
                    self._start_again()
                self._beat()
                self._signals.wait(_BEAT)
            self._display.settled()
            self._display.say("stopping")
        finally:
            self._display.settled()
            self._gateway.stop()
            clean = self._gateway.wait(self._signals, self._show_logs)
            self._show_logs()
            lock.close()
        self._display.say("stopped" if clean else "stopped by force: it took too long, or Ctrl-C came twice")

    def _start_again(self) -> None:
        """A gateway that died is started again, with all as it was: ports, links, sessions, who is awake.
        One that never opened, refused to start, or dies again and again has a reason to be told."""
        now = time.monotonic()
        self._deaths = [at for at in self._deaths if now - at < _DEATHS_WITHIN] + [now]
        if not self._open or self._gateway.ended == 2 or len(self._deaths) > _DEATHS:
            raise why_ended(self._gateway)
        self._display.settled()
        self._display.say(f"the gateway died ({self._gateway.ended}); starting it again")
        self._began = now
        self._gateway = GatewayProcess(self._here.home)
        self._client, self._open = None, False
        self._states.clear()

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _beat(self) -> None:
        self._show_logs()
        if not self._open:
            self._open = all(
                ports.answers(port) for port in (self._here.console_port, *self._now.ports.values())
            )
            if self._open:
                self._display.say(f"the door answers after {self._seconds:.1f} s")
                self._next_status = 0
        if time.monotonic() >= self._next_status:
            self._next_status = time.monotonic() + _STATUS_EVERY
            self._follow_stack()
            self._show_status()

    def _show_logs(self) -> None:
        from scripts.logs.lines import by_time, is_news, readable

        for source, line in by_time(self._tail.lines()):
            if is_news(line, source):
                self._display.log(readable(line, source))

    def _show_status(self) -> None:
        from scripts.remote.operator_api import OperatorClient
        from scripts.remote.transport import LocalTransport

        if not self._open:
            return
        try:
            self._client = self._client or OperatorClient(LocalTransport(self._here.home, timeout=2))
            status = self._client.status()
        except (
            CommandRefused
        ):  # whether the gateway is still there is seen elsewhere; the next beat asks again
            self._client = None
            return
        self._say_links(status)
        moving = False
        for endpoint in status["endpoints"]:
            self._say_models(endpoint)
            self._say_state(endpoint)
            moving = moving or not self._is_settled(endpoint)
        if moving:
            self._display.progress(status["endpoints"], self._seconds)
        else:
            self._display.settled()

    def _say_links(self, status: Mapping[str, Any]) -> None:
        for endpoint in status["endpoints"]:
            if endpoint["name"] not in self._linked:
                self._linked.add(endpoint["name"])
                self._display.say(f"{endpoint['name']}  {endpoint['link'] or endpoint['url']}")
        if "console" not in self._linked:
            self._linked.add("console")
            self._display.say(f"console  {status['console'].get('link') or status['console']['url']}")

    def _say_state(self, endpoint: Mapping[str, Any]) -> None:
        name, state = endpoint["name"], endpoint["state"]
        before, self._states[name] = self._states.get(name), state
        if state == before:
            return
        detail = self._detail_of(endpoint)
        if state == "ready" and before in (None, "starting", "loading"):
            self._display.say(f"{name} is ready after {self._seconds:.1f} s")
        elif before is not None or state != "asleep":
            self._display.say(f"{name} is {state}{f': {detail}' if detail else ''}")

    def _say_models(self, endpoint: Mapping[str, Any]) -> None:
        """A line for each turn that the fetching of models takes; how far it is, the table shows."""
        name, models = endpoint["name"], endpoint.get("models")
        phase = models["phase"] if models else ""
        before, self._models[name] = self._models.get(name, ""), phase
        # Models that were there from the beginning are no news.
        if models and phase != before and (phase != "whole" or before):
            self._display.say(f"{name}  models  {models['detail']}")

    def _is_settled(self, endpoint: Mapping[str, Any]) -> bool:
        if (endpoint.get("models") or {}).get("phase") == "fetching":
            return False
        may_sleep = self._now.least.get(endpoint["name"], 0) == 0
        return endpoint["state"] in ("ready", "failed") or (endpoint["state"] == "asleep" and may_sleep)

    def _follow_stack(self) -> None:
        """A changed stack file counts at once; a broken one is told of and changes nothing."""
        version = configuration.version(self._here)
        if version in (0, self._stack_version):
            return
        self._stack_version = version
        stack = shown(self._here.stack)
        try:
            self._now = configuration.follow(self._here, self._now)
        except CommandRefused as refusal:
            self._display.say(
                f"{refusal.message}\n{stack} has changed and cannot be used; all goes on as before"
            )
            return
        self._linked &= {"console", *self._now.ports}
        self._display.say(f"{stack} has changed: {', '.join(self._now.ports)}")

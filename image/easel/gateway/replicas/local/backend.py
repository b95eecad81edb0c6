"""Replicas as processes of this machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from easel.gateway.config import Endpoint
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.process import last_lines
from easel.gateway.replicas import Probe, Replica, Vouch
from easel.gateway.replicas.local.supervisor import Command, Patience, ProcessSupervisor


def studio(home: Home) -> Command:
    """The command line of a studio replica."""

    def command(endpoint: Endpoint, port: int) -> Sequence[str]:
        return [
            sys.executable, "-m", "easel.studio",
            "--port", str(port), "--home", str(home.root), "--endpoint", endpoint.name,
        ]  # fmt: skip

    return command


class LocalBackend:
    """Starts and stops studio processes; see `Backend` for what its verbs promise."""

    def __init__(
        self,
        home: Home,
        events: Events,
        *,
        command: Command | None = None,
        patience: Patience | None = None,
        vouch: Vouch | None = None,
    ) -> None:
        self._home = home
        self._events = events
        self._command = command or studio(home)
        self._patience = patience or Patience()
        # Everybody on this machine can reach a replica's port: it answers what its gateway vouches for.
        self._keys = home.keys if vouch else None
        self._probe = Probe(vouch=vouch)
        self._endpoints: dict[str, Endpoint] = {}
        self._slots: dict[str, dict[str, ProcessSupervisor]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def events(self) -> Events:
        """What happened to the processes."""
        return self._events

    async def follow(self, endpoint: Endpoint) -> None:
        """Know the endpoint; a changed environment takes effect when a process starts next."""
        before = self._endpoints.get(endpoint.name)
        self._endpoints[endpoint.name] = endpoint
        slots = self._slots.setdefault(endpoint.name, {})
        for slot in slots.values():
            slot.endpoint = endpoint
        if before and slots and before.env != endpoint.env:
            self._events.add(
                endpoint.name, None, "changed", "env changed: it takes effect when a replica starts next"
            )  # fmt: skip

    async def forget(self, endpoint: str) -> None:
        """Stop its processes."""
        self._endpoints.pop(endpoint, None)
        for slot in self._slots.get(endpoint, {}).values():
            self._end(slot)

    async def replicas(self, endpoint: str) -> list[Replica]:
        """The processes of an endpoint, each asked just now."""
        slots = self._slots.get(endpoint, {})
        for name, slot in list(slots.items()):
            if slot.task.done():
                del slots[name]
        await asyncio.gather(*(slot.poll() for slot in slots.values()))
        return [slot.replica() for slot in slots.values() if not slot.task.done()]

    async def set_capacity(self, endpoint: str, count: int) -> None:
        """Take back what drains, then start processes, until `count` are there that are not draining."""
        spec = self._endpoints[endpoint]
        slots = self._slots[endpoint]
        running = [slot for slot in slots.values() if not slot.task.done()]
        lacking = count - sum(1 for slot in running if slot.replica().state != "draining")
        for slot in running:
            if lacking > 0 and slot.recall():
                lacking -= 1
        for _ in range(lacking):
            name = next(
                str(n) for n in range(1, len(slots) + 2) if str(n) not in slots or slots[str(n)].task.done()
            )
            slots.pop(name, None)
            slots[name] = ProcessSupervisor(
                name, spec,
                command=self._command, log=self._home.replica_log(endpoint, name),
                events=self._events, probe=self._probe, patience=self._patience, keys=self._keys,
            )  # fmt: skip

    async def drain(self, endpoint: str, replica: str) -> None:
        """Stop the process when its pictures are finished."""
        if slot := self._slots.get(endpoint, {}).get(replica):
            slot.drain()

    async def stop(self, endpoint: str, replica: str) -> None:
        """Stop the process: SIGTERM, then SIGKILL."""
        if slot := self._slots.get(endpoint, {}).get(replica):
            self._end(slot)

    async def revive(self, endpoint: str) -> None:
        """Start crashed processes again now."""
        for slot in self._slots.get(endpoint, {}).values():
            slot.revive()

    async def logs(self, endpoint: str, replica: str, tail: int) -> str:
        """The last lines of `logs/<endpoint>-<replica>.log`."""
        # A name from a URL becomes a path only if it is one we gave.
        if endpoint not in self._endpoints or not replica.isdecimal():
            return ""
        return await asyncio.to_thread(last_lines, self._home.replica_log(endpoint, replica), tail)

    async def close(self) -> None:
        """Stop every process and wait for it."""
        slots = [slot for slots in self._slots.values() for slot in slots.values()]
        await asyncio.gather(*(slot.stop() for slot in slots if not slot.task.done()), *self._ending)
        await self._probe.close()

    def _end(self, slot: ProcessSupervisor) -> None:
        task = asyncio.create_task(slot.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

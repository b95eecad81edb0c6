"""Replicas as processes of this machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from easel.gateway.config import Endpoint
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.process import last_lines
from easel.gateway.replicas import Probe, Replica, ReplicaTimeouts, Vouch
from easel.gateway.replicas.local.supervisor import Command, ProcessSupervisor
from easel.remark import remark


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

    autoscaler = None

    def __init__(
        self,
        home: Home,
        events: Events,
        *,
        command: Command | None = None,
        timeouts: ReplicaTimeouts | None = None,
        vouch: Vouch | None = None,
    ) -> None:
        self._home = home
        self.events = events
        self._command = command or studio(home)
        self._timeouts = timeouts or ReplicaTimeouts()
        # Everybody on this machine can reach a replica's port: it answers what its gateway vouches for.
        self._keys = home.keys if vouch else None
        self._probe = Probe(self._timeouts.probe, vouch)
        self._endpoints: dict[str, Endpoint] = {}
        self._processes: dict[str, dict[str, ProcessSupervisor]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def follow(self, endpoint: Endpoint) -> None:
        """Know the endpoint; a changed environment takes effect when a process starts next."""
        before = self._endpoints.get(endpoint.name)
        self._endpoints[endpoint.name] = endpoint
        processes = self._processes.setdefault(endpoint.name, {})
        for process in processes.values():
            process.endpoint = endpoint
        if before and processes and before.env != endpoint.env:
            text = remark("env_changed", "env changed: it takes effect when a replica starts next")
            self.events.add(endpoint.name, None, "changed", text)

    async def forget(self, endpoint: str) -> None:
        """Stop its processes."""
        self._endpoints.pop(endpoint, None)
        for process in self._processes.get(endpoint, {}).values():
            self._end(process)

    async def replicas(self, endpoint: str) -> list[Replica]:
        """The processes of an endpoint, each asked just now."""
        processes = self._processes.get(endpoint, {})
        for name, process in list(processes.items()):
            if process.task.done():
                del processes[name]
        await asyncio.gather(*(process.poll() for process in processes.values()))
        return [process.replica() for process in processes.values() if not process.task.done()]

    async def set_capacity(self, endpoint: str, count: int) -> None:
        """Take back what drains, then start processes, until `count` are there that are not draining."""
        spec = self._endpoints[endpoint]
        processes = self._processes[endpoint]
        running = [process for process in processes.values() if not process.task.done()]
        lacking = count - sum(1 for process in running if process.replica().state != "draining")
        for process in running:
            if lacking > 0 and process.recall():
                lacking -= 1
        for _ in range(lacking):
            name = next(
                str(n)
                for n in range(1, len(processes) + 2)
                if str(n) not in processes or processes[str(n)].task.done()
            )
            processes.pop(name, None)
            processes[name] = ProcessSupervisor(
                name, spec,
                command=self._command, log=self._home.replica_log(endpoint, name),
                events=self.events, probe=self._probe, timeouts=self._timeouts, keys=self._keys,
            )  # fmt: skip

    async def drain(self, endpoint: str, replica: str) -> None:
        """Stop the process when its pictures are finished."""
        if process := self._processes.get(endpoint, {}).get(replica):
            process.drain()

    async def stop(self, endpoint: str, replica: str) -> None:
        """Stop the process: SIGTERM, then SIGKILL."""
        if process := self._processes.get(endpoint, {}).get(replica):
            self._end(process)

    async def revive(self, endpoint: str) -> None:
        """Start crashed processes again now."""
        for process in self._processes.get(endpoint, {}).values():
            process.revive()

    async def logs(self, endpoint: str, replica: str, tail: int) -> str:
        """The last lines of `logs/<endpoint>-<replica>.log`."""
        # A name from a URL becomes a path only if it is one we gave.
        if endpoint not in self._endpoints or not replica.isdecimal():
            return ""
        return await asyncio.to_thread(last_lines, self._home.replica_log(endpoint, replica), tail)

    async def close(self) -> None:
        """Stop every process and wait for it."""
        processes = [process for processes in self._processes.values() for process in processes.values()]
        await asyncio.gather(
            *(process.stop() for process in processes if not process.task.done()), *self._ending
        )
        await self._probe.close()

    def _end(self, process: ProcessSupervisor) -> None:
        task = asyncio.create_task(process.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

"""Hosts of a group's instances: what the scripts on a real one do, with a small real program as container.

Each host answers on a loopback address of its own. It tags its phases, completes the launch hook, starts the
container and starts it again when it ends, and ships its log.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from moto.logs.models import logs_backends

from tests.gateway.conftest import REPLICA
from tests.gateway.replicas.aws.region import REGION, Region
from tests.ports import free_port

_hosts = itertools.count(10)
_ACCOUNT = "123456789012"


class Hosts:
    """All hosts of one group. `env` is the containers' environment from now on."""

    def __init__(self, region: Region, group: str, folder: Path, command: list[str] | None = None) -> None:
        self.port = free_port()
        self.env: dict[str, str] = {}
        # How long a host boots and pulls, in seconds.
        self.boots = 0.05
        self.log_group = f"/easel/{group}"
        # A host that does not get as far as its container.
        self.broken: str | None = None
        # The image that the configuration names, which a host brings onto its disk; "" leaves no word of it.
        self.image = ""
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._command = command
        self._region = region
        self._group = group
        self._folder = folder
        self._over: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []
        self._logs = logs_backends[_ACCOUNT][REGION]
        self._logs.create_log_group(self.log_group, {})
        region.boot[group], region.halt[group] = self.boot, self.halt

    def alive(self) -> int:
        return sum(1 for one in self.processes.values() if one.poll() is None)

    def boot(self, state: Any) -> None:
        """EC2 starts the instance."""
        instance = state.instance.id
        number = next(_hosts)
        address = f"127.0.{number // 250 + 1}.{number % 250 + 1}"
        for nic in state.instance.nics.values():
            nic.private_ip_address = address
        self._over[instance] = threading.Event()
        prepared = state.lifecycle_state.startswith("Warmed")
        thread = threading.Thread(target=self._run, args=(instance, address, prepared), daemon=True)
        self._threads.append(thread)
        thread.start()

    def halt(self, instance: str) -> None:
        """EC2 ends it."""
        if instance in self._over:
            self._over[instance].set()
        if process := self.processes.get(instance):
            process.terminate()
            process.wait(5)

    def close(self) -> None:
        del self._region.boot[self._group], self._region.halt[self._group]
        for instance in list(self._over):
            self._over[instance].set()
            if process := self.processes.get(instance):
                process.terminate()
        for instance in list(self._over):
            self.halt(instance)
        for thread in self._threads:
            thread.join(5)

    def _run(self, instance: str, address: str, prepared: bool) -> None:
        over = self._over[instance]
        self._phase(instance, "booting", "")
        if over.wait(self.boots):
            return
        self._phase(instance, "pulling", "")
        if self.broken is not None:
            self._phase(instance, "failed", self.broken)
            return
        if self.image:
            self._region.ec2.create_tags([instance], {"easel:image": self.image})
        with self._region.lock:
            if self._group not in self._region.rules:
                return  # the test is over
            self._region.rules[self._group].completed.append(("ready", instance))
        if prepared:
            return
        log = self._folder / f"{instance}.log"
        while not over.is_set():
            self._phase(instance, "loading", "")
            with log.open("ab") as file:
                command = self._command or [sys.executable, "-S", str(REPLICA)]
                process = subprocess.Popen(
                    [*command, "--port", str(self.port), "--host", address],
                    stdout=file, stderr=file, env={"PYTHONUNBUFFERED": "1", **self.env},
                )  # fmt: skip
            self.processes[instance] = process
            if over.is_set():
                process.kill()
            shipped = 0
            while process.poll() is None:
                shipped = self._ship(instance, log, shipped)
                over.wait(0.05) if not over.is_set() else time.sleep(0.01)
            self._ship(instance, log, shipped)
            if process.returncode == 0 or over.is_set():
                return
            said = _last(log)
            self._phase(instance, "failed", f"the container ended with code {process.returncode}: {said}")
            over.wait(0.25)

    def _ship(self, instance: str, log: Path, shipped: int) -> int:
        lines = log.read_text().splitlines()
        if len(lines) > shipped:
            self._logs.ensure_log_stream(self.log_group, instance)
            now = int(time.time() * 1000)
            events = [{"timestamp": now, "message": line} for line in lines[shipped:]]
            self._logs.put_log_events(self.log_group, instance, events)
        return len(lines)

    def _phase(self, instance: str, phase: str, why: str) -> None:
        self._region.ec2.create_tags([instance], {"easel:phase": phase, "easel:why": why})


def _last(log: Path) -> str:
    lines = log.read_text().splitlines()
    try:
        return str(json.loads(lines[-1])["event"])
    except (ValueError, KeyError, IndexError):
        return lines[-1] if lines else ""

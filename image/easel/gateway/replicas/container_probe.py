"""Asks a container how it does, in the language that its configuration says it speaks.

* `easel`: the studio's own `/easel/load`;
* `a1111`: `/sdapi/v1/progress`, which tells of the one job it has;
* `requests`: nothing of the kind; it is up when its health path answers (or its port opens), and its work is
  what the door passes to it.
"""

from __future__ import annotations

import asyncio
import time

from easel.gateway.config import Container, Endpoint
from easel.gateway.replicas.backend import Work
from easel.gateway.replicas.open_requests import OpenRequests
from easel.gateway.replicas.probe import Probe, Report, Vouch
from easel.gateway.replicas.replica_http import REPORT


class ContainerProbe:
    """Polls containers. One per backend: it keeps the connections."""

    def __init__(self, open_requests: OpenRequests, timeout: float, vouch: Vouch | None = None) -> None:
        self._open_requests = open_requests
        self._timeout = timeout
        self._probe = Probe(timeout, vouch)
        # When an A1111 was last seen at work, by address, on the monotonic clock.
        self._worked: dict[str, float] = {}

    async def ask(self, endpoint: Endpoint, address: str) -> Report | None:
        """What the endpoint's container at `host:port` says, or None if it does not answer."""
        container = endpoint.container or Container(port=7860)
        if container.load == "easel":
            return await self._probe.ask(endpoint.name, address)
        if container.load == "a1111":
            return await self._a1111(address)
        up = await self._up(container.health, address)
        return Report("ready", "", self._open_requests.work(address)) if up else None

    def forget(self, address: str) -> None:
        """What was at this address is gone; another may get it."""
        self._worked.pop(address, None)
        self._open_requests.forget(address)

    async def close(self) -> None:
        """Drop the connections."""
        await self._probe.close()

    async def _a1111(self, address: str) -> Report | None:
        url = f"http://{address}/sdapi/v1/progress?skip_current_image=true"
        answer = await self._probe.http.get(url, REPORT)
        if answer is None or answer.status != 200:
            return None
        try:
            state = answer.json()["state"]
            busy = int(state.get("job_count") or 0) > 0
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return None
        now = time.monotonic()
        began = self._worked.setdefault(address, now)
        if busy:
            self._worked[address] = began = now
        # It knows of its own job only; what else the door let through waits behind that one.
        open_requests = self._open_requests.work(address)
        queued = max(0, open_requests.running - int(busy))
        idle = min(now - began, open_requests.idle_seconds or now - began)
        return Report("ready", "", Work(int(busy), queued, 0.0 if busy or queued else idle))

    async def _up(self, path: str | None, address: str) -> bool:
        if path is not None:
            # Only the head is of interest: a health page may stream for ever.
            answer = await self._probe.http.head(f"http://{address}{path}")
            # As kubelets and hosts have it (docs/reference/instances.md): a redirect is an answer.
            return answer is not None and 200 <= answer.status < 400
        host, _, port = address.rpartition(":")
        try:
            _, writer = await asyncio.wait_for(
                asyncio.open_connection(host.strip("[]"), int(port)), self._timeout
            )
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

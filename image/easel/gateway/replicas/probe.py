"""Asks a replica how it does: `GET /easel/load`."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from easel.gateway.replicas.backend import Work

if TYPE_CHECKING:
    import httpx

# What the gateway calls itself. No token can be called so: their names begin with a letter or a digit.
GATEWAY = "@gateway"
Phase = Literal["importing", "loading", "ready", "failed"]
# Signs that a user asks something of an endpoint (`Keyring.vouch`).
Vouch = Callable[[str, str], str]


@dataclass(frozen=True)
class Report:
    """A replica's own words about itself."""

    phase: Phase
    detail: str
    work: Work


class Probe:
    """Polls replicas. One per backend: it keeps the connections."""

    def __init__(self, timeout: float, vouch: Vouch | None = None) -> None:
        self._timeout = timeout
        self._vouch = vouch
        self._client: httpx.AsyncClient | None = None

    async def ask(self, endpoint: str, address: str) -> Report | None:
        """What the endpoint's replica at `host:port` says; None if it does not answer, or not so."""
        client = await self.client()
        import httpx

        try:
            answer = await client.get(f"http://{address}/easel/load", headers=self._own(endpoint))
            body = answer.json()
            phase = body["phase"]
            if phase not in ("importing", "loading", "ready", "failed"):
                return None
            work = Work(
                running=max(0, int(body.get("running", 0))),
                queued=max(0, int(body.get("queued", 0))),
                idle_seconds=max(0.0, float(body.get("idle_seconds", 0.0))),
            )
            return Report(phase, str(body.get("detail") or "")[:500], work)
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
            return None

    async def metrics(self, endpoint: str, address: str, accept: str) -> tuple[bytes, str] | None:
        """What the endpoint's replica at `host:port` tells Prometheus, and its media type; None if it does
        not."""
        client = await self.client()
        import httpx

        try:
            answer = await client.get(
                f"http://{address}/metrics", headers={**self._own(endpoint), "Accept": accept}
            )
        except httpx.HTTPError:
            return None
        return (answer.content, answer.headers.get("content-type", "")) if answer.is_success else None

    def _own(self, endpoint: str) -> dict[str, str]:
        """By this a replica knows the gateway."""
        return {"X-Easel-Assertion": self._vouch(GATEWAY, endpoint)} if self._vouch else {}

    async def client(self) -> httpx.AsyncClient:
        """What keeps the connections."""
        if self._client is None:
            # Only now, when the door is open, and beside the loop: on a busy machine it takes a while.
            await asyncio.to_thread(importlib.import_module, "httpx")
        import httpx

        if self._client is None:
            # `verify`: there is no TLS here, and reading all certificate authorities takes as long again.
            self._client = httpx.AsyncClient(timeout=self._timeout, trust_env=False, verify=False)  # noqa: S501
        return self._client

    async def close(self) -> None:
        """Drop the connections."""
        if self._client is not None:
            await self._client.aclose()

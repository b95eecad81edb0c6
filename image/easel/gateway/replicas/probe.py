"""Asks a replica how it does: `GET /easel/load`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from easel.gateway.replicas.backend import Work
from easel.gateway.replicas.replica_http import REPORT, ReplicaHttp
from easel.remark import from_json

# What the gateway calls itself. No token can be called so: their names begin with a letter or a digit.
GATEWAY = "@gateway"
METRICS = 4 * 1024 * 1024
"""Bytes that a replica may tell Prometheus at once."""
EXPOSITIONS = ("text/plain", "application/openmetrics-text")
"""How metrics are told. Anything else would be a page of the replica's in the console's place."""
_MOST = 1_000_000
# Letters of what a replica says of itself.
_LONGEST = 500
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
        self.http = ReplicaHttp(timeout)
        self._vouch = vouch

    async def ask(self, endpoint: str, address: str) -> Report | None:
        """What the endpoint's replica at `host:port` says; None if it does not answer, or not so."""
        answer = await self.http.get(f"http://{address}/easel/load", REPORT, self._own(endpoint))
        if answer is None:
            return None
        try:
            body = answer.json()
            phase = body["phase"]
            if phase not in ("importing", "loading", "ready", "failed"):
                return None
            work = Work(
                running=int(_number(body.get("running", 0))),
                queued=int(_number(body.get("queued", 0))),
                idle_seconds=_number(body.get("idle_seconds", 0.0)),
            )
            return Report(phase, _detail(body), work)
        except (ValueError, KeyError, TypeError, OverflowError):
            return None

    async def metrics(self, endpoint: str, address: str, accept: str) -> tuple[bytes, str] | None:
        """What the endpoint's replica at `host:port` tells Prometheus, and its media type; None if it does
        not."""
        asked = {**self._own(endpoint), "Accept": accept}
        answer = await self.http.get(f"http://{address}/metrics", METRICS, asked)
        if answer is None or not 200 <= answer.status < 300:
            return None
        told = answer.kind.partition(";")[0].strip().lower() in EXPOSITIONS
        return (answer.content, answer.kind) if told else None

    def _own(self, endpoint: str) -> dict[str, str]:
        """By this a replica knows the gateway."""
        return {"X-Easel-Assertion": self._vouch(GATEWAY, endpoint)} if self._vouch else {}

    async def close(self) -> None:
        """Drop the connections."""
        await self.http.close()


def _detail(body: dict[str, object]) -> str:
    """A replica's own words, by their code where it gives one."""
    said = from_json(body.get("remark"))
    return said if said is not None and len(said) <= _LONGEST else str(body.get("detail") or "")[:_LONGEST]


def _number(said: object) -> float:
    """From nothing up to more than any replica has. Raises ValueError, TypeError, OverflowError."""
    found = float(said)  # type: ignore[arg-type]
    if math.isnan(found):
        raise ValueError("no number")
    return min(max(0.0, found), _MOST)

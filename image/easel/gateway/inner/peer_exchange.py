"""Gateways of one team tell each other, each second: requests that they hold, who asked, who was sent where.

They share no disk and need no order: a word counts for five seconds (`Peers`), and whoever is asked is as
good as another. Question and answer are signed with the team's secret: the answer names people.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import structlog
from itsdangerous import BadData

from easel.gateway.access import Keyring, SkewedSerializer
from easel.gateway.model_sync import ModelStatus
from easel.gateway.replicas import Assignment, Fleet, PeerEndpoint, Peers
from easel.remark import as_json, from_json

_log = structlog.get_logger("easel.gateway")
HEADER = "X-Easel-Peer"
# Seconds: between two questions, for an answer, and that a signature counts, whatever clocks say.
_EVERY, _PATIENCE, _COUNTS = 1.0, 2.0, 60
# Seconds that two answers overlap, so that nothing falls between them.
_OVERLAP = 2.0


class PeerExchange:
    """Asks the others, and answers them. `others` are the addresses of all gateways by name, `name` this
    one's; all listen on `port`."""

    def __init__(
        self, keyring: Keyring, fleets: Mapping[str, Fleet], peers: Peers, *, name: str, port: int,
        others: Callable[[], Mapping[str, str]],
    ) -> None:  # fmt: skip
        self._keyring = keyring
        self._fleets = fleets
        self._peers = peers
        self._name = name
        self._port = port
        self._others = others
        # By the clock of each, up to when its choices are known here.
        self._known: dict[str, float] = {}

    def answer(self, shown: str, since: str) -> str | None:
        """What another gateway is told that shows `shown`; None if that is no gateway of the team."""
        if self._read("ask", shown) is None:
            return None
        try:
            after = float(since or 0)
        except ValueError:
            return None
        told = {name: fleet.told(after) for name, fleet in self._fleets.items()}
        endpoints = {name: _as_json(one) for name, one in told.items() if one != PeerEndpoint()}
        return self._sign("tell", {"now": time.time(), "endpoints": endpoints})

    async def run(self) -> None:
        """Ask, until cancelled."""
        async with httpx.AsyncClient(timeout=_PATIENCE, trust_env=False, verify=False) as client:  # noqa: S501
            while True:
                others = {name: at for name, at in self._others().items() if name != self._name}
                self._peers.keep(others)
                self._known = {name: at for name, at in self._known.items() if name in others}
                await asyncio.gather(*(self._ask(client, name, at) for name, at in others.items()))
                await asyncio.sleep(_EVERY)

    async def _ask(self, client: httpx.AsyncClient, name: str, address: str) -> None:
        host = f"[{address}]" if ":" in address else address
        since = max(0.0, self._known.get(name, 0.0) - _OVERLAP)
        try:
            answer = await client.get(
                f"http://{host}:{self._port}/peer",
                params={"since": repr(since)},
                headers={HEADER: self._sign("ask", {"by": self._name})},
            )
        except httpx.HTTPError:
            return  # it starts, or ends; what it said last counts a while
        said = self._read("tell", answer.text) if answer.is_success else None
        try:
            if said is not None:
                endpoints = {str(one): _parsed(fields) for one, fields in said["endpoints"].items()}
                self._known[name] = float(said["now"])
                self._peers.heard(name, endpoints)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _log.warning("another version says what is not understood", gateway=name, why=repr(error))

    def _sign(self, what: str, content: Mapping[str, Any]) -> str:
        return str(self._serializer(what).dumps(content))

    def _read(self, what: str, text: str) -> dict[str, Any] | None:
        try:
            found = self._serializer(what).loads(text, max_age=_COUNTS)
        except BadData:
            return None
        return found if isinstance(found, dict) else None

    def _serializer(self, what: str) -> SkewedSerializer:
        return SkewedSerializer(self._keyring.counting, salt=f"easel peer {what}")


def _as_json(one: PeerEndpoint) -> dict[str, Any]:
    models = one.models
    return {
        "held": one.held,
        "asked": one.asked,
        "assigned": {user: [to.replica, to.at] for user, to in one.assigned.items()},
        "models": [models.phase, models.detail, models.first, as_json(models.detail)] if models else None,
    }


def _parsed(fields: Mapping[str, Any]) -> PeerEndpoint:
    models = fields.get("models")
    return PeerEndpoint(
        int(fields["held"]),
        bool(fields["asked"]),
        {str(user): Assignment(str(to), float(at)) for user, (to, at) in fields["assigned"].items()},
        ModelStatus(models[0], _words(models), first=bool(models[2])) if models else None,
    )


def _words(models: Sequence[Any]) -> str:
    """By their code, where the other gateway is of a version that tells it."""
    return (from_json(models[3]) if len(models) > 3 else None) or str(models[1])

"""Logs of a gateway elsewhere, asked for line by line as if they lay here."""

import json
from collections.abc import Sequence

from scripts.remote.operator_api import OperatorClient
from scripts.settings import CommandRefused

_ASKED = 2000
"""Lines of a replica that are asked for at once; more than this between two looks are lost."""


class RemoteTail:
    """What replicas write and what happens to them, of one endpoint or all. Raises CommandRefused."""

    def __init__(self, gateway: OperatorClient, name: str | None) -> None:
        self._gateway = gateway
        self._events_only = name == "gateway"
        self._name = None if self._events_only else name
        self._lines: dict[tuple[str, str], list[str]] = {}
        self._events: list[str] = []
        known = [endpoint["name"] for endpoint in gateway.status()["endpoints"]] if self._name else []
        if self._name and self._name not in known:
            raise CommandRefused(
                f"there is no endpoint {name!r}; there is {', '.join(known) or 'none'}, and `gateway`; "
                "what else the gateway's machine logs is on that machine"
            )

    def lines(self) -> list[tuple[str, str]]:
        """New lines with the name of what wrote them."""
        events = [_line(event) for event in self._gateway.events(self._name)]
        found = [("gateway", line) for line in added(self._events, events)]
        self._events = events
        if self._events_only:
            return found
        for endpoint in self._gateway.status()["endpoints"]:
            if self._name in (None, endpoint["name"]):
                for replica in endpoint["replicas"]:
                    found += self._of(endpoint["name"], replica["id"])
        return found

    def _of(self, endpoint: str, replica: str) -> list[tuple[str, str]]:
        now = [line for line in self._gateway.logs(endpoint, replica, _ASKED) if line.strip()]
        new = added(self._lines.get((endpoint, replica), []), now)
        self._lines[endpoint, replica] = now
        return [(f"{endpoint}-{replica}", line) for line in new]


def added(before: Sequence[str], after: Sequence[str]) -> Sequence[str]:
    """The lines of `after` that `before` does not have: both are the end of one growing log."""
    for length in range(min(len(before), len(after)), 0, -1):
        if before[-length:] == after[:length]:
            return after[length:]
    return after


def _line(event: dict[str, object]) -> str:
    """An event as the gateway's own log has it."""
    known = {"timestamp": event.get("at"), "event": event.get("text")}
    whose = {key: event[key] for key in ("endpoint", "replica") if event.get(key)}
    return json.dumps({**known, **whose})

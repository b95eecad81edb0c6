"""What happened since the gateway began, in plain numbers: whoever does something counts it here, and the
console tells Prometheus. On the event loop only."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Literal

from easel.gateway.events import Event

OUTCOMES = ("served", "not_served")
"""Of a request that waited for a replica."""


class Counts:
    """Totals by endpoint (`console` is one) and what the names say."""

    def __init__(self) -> None:
        # (endpoint, status): what the door answered itself, and what replicas did; "none" where none did.
        self.door: Counter[tuple[str, str]] = Counter()
        self.replicas: Counter[tuple[str, str]] = Counter()
        # (endpoint, status): who was refused, by token, link, session or form.
        self.refused: Counter[tuple[str, str]] = Counter()
        # (endpoint, kind of event).
        self.events: Counter[tuple[str, str]] = Counter()
        # (endpoint, to whom), bytes through the relay.
        self.bytes: Counter[tuple[str, str]] = Counter()
        # (endpoint, served or not): requests that waited for a replica, and their seconds.
        self.held: Counter[tuple[str, str]] = Counter()
        self.held_seconds: dict[tuple[str, str], float] = defaultdict(float)
        # Requests that are with a replica now.
        self.open: Counter[str] = Counter()

    def hear(self, event: Event) -> None:
        """Count an event."""
        self.events[event.endpoint, event.kind] += 1

    def begun(self, endpoint: str) -> None:
        """A request goes through."""
        self.open[endpoint] += 1

    def ended(self, endpoint: str, status: int) -> None:
        """It is over; its status, 0 without an answer."""
        self.open[endpoint] -= 1
        self.replicas[endpoint, str(status or "none")] += 1

    def passed(self, endpoint: str, to: Literal["replica", "caller"], size: int) -> None:
        """So many bytes of a request or its answer."""
        self.bytes[endpoint, to] += size

    def waited(self, endpoint: str, *, served: bool, seconds: float) -> None:
        """A request that was held is held no more."""
        key = endpoint, OUTCOMES[0] if served else OUTCOMES[1]
        self.held[key] += 1
        self.held_seconds[key] += seconds

"""The state of a replica from look to look, and the events of its changes."""

from __future__ import annotations

import time

from easel.gateway.events import Events
from easel.gateway.replicas.backend import ReplicaState


class ReplicaStatus:
    """A state with words; `since` is when it began, in Unix seconds.

    A new state is an event, and so is a new sentence while it is not ready: a detail may carry progress.
    """

    def __init__(self, endpoint: str, replica: str, events: Events, detail: str) -> None:
        self.state: ReplicaState = "starting"
        self.since = time.time()
        self.detail = detail
        self._endpoint = endpoint
        self._replica = replica
        self._events = events
        self._told = False

    def say(self, state: ReplicaState, detail: str, kind: str | None = None, text: str | None = None) -> None:
        """Be in `state`. The event is of `kind`, else of the state; it says `text`, else `detail`."""
        changed = state != self.state
        if changed:
            self.state, self.since = state, time.time()
        if changed or not self._told or (detail != self.detail and state not in ("ready", "draining")):
            self._told = True
            self.event(kind or state, text or detail)
        self.detail = detail

    def event(self, kind: str, text: str) -> None:
        """Tell of something that is no change of state."""
        self._events.add(self._endpoint, self._replica, kind, text)

"""Where replicas come from: one protocol, one test suite (tests/gateway/replicas/backend_suite.py), several
places to run.

A backend starts, watches and stops replicas; it decides nothing. How many there should be is
`autoscaler.wanted`, which of them gets a request or has to go is the fleet's. The verbs fit what the clouds
offer:

* processes: `set_capacity` starts processes, `drain` ends one when its work is done;
* an Auto Scaling group: `set_capacity` raises the desired capacity (minutes, or a warm start), `drain` takes
  the protection off one instance and lowers the desired capacity with it;
* a Deployment: its autoscaler starts and ends pods; `set_capacity` is a floor in what that is told, `drain`
  lowers the floor and marks a pod as the cheapest to delete (`pod-deletion-cost`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

from easel.gateway.config import Endpoint
from easel.gateway.events import Events

ReplicaState = Literal["asleep", "starting", "loading", "ready", "draining", "failed"]


@dataclass(frozen=True)
class Work:
    """What a replica says it does, in pictures, and for how many seconds it has done nothing."""

    running: int = 0
    queued: int = 0
    idle_seconds: float = 0.0

    @property
    def demand(self) -> int:
        """Pictures that it draws or will draw."""
        return self.running + self.queued


@dataclass(frozen=True)
class Replica:
    """One replica, as it is now. There is no `asleep` replica: it is not in the list.

    `since` is when the state began, in Unix seconds. `detail` says in words what goes on. `address` is
    `host:port`, where the door finds it; None before the backend knows. `given_up`: it failed so often that
    only `revive` starts it again. `answered` is when it last answered a poll, on the monotonic clock.
    """

    id: str
    state: ReplicaState
    since: float
    detail: str = ""
    address: str | None = None
    work: Work | None = None
    given_up: bool = False
    answered: float = math.inf


class Autoscaler(Protocol):
    """Who decides how many replicas there are in the fleet's place: it is given a signal, and told to rest.
    What is told returns soon; `paused` shows what is the case."""

    def paused(self, endpoint: str) -> bool:
        """Whether it was told to have none."""
        ...

    def resting(self, endpoint: str) -> str:
        """Why it rests, where that is not for want of work; "" where it is."""
        ...

    async def pause(self, endpoint: str) -> None:
        """Have none, whatever the signal says."""
        ...

    async def resume(self, endpoint: str) -> None:
        """Follow the signal again."""
        ...

    def expect(self, endpoint: str, needed: bool) -> None:
        """Whether somebody waits for a first replica: where none comes, the backend says why."""
        ...

    def floor(self, endpoint: str) -> int:
        """How many replicas the signal has to be enough for, whatever is to do."""
        ...


class Backend(Protocol):
    """What every place to run offers.

    All verbs return soon; what comes of them shows in `replicas` and `events`.
    """

    events: Events
    """Where the backend says in words what happens, and in a provider's own words why nothing does."""

    @property
    def autoscaler(self) -> Autoscaler | None:
        """Who decides how many, where that is not the fleet."""
        ...

    async def follow(self, endpoint: Endpoint) -> None:
        """Learn of an endpoint, or of its changed settings. Replicas that run keep running."""
        ...

    async def forget(self, endpoint: str) -> None:
        """The endpoint is no more: stop its replicas at once."""
        ...

    async def replicas(self, endpoint: str) -> list[Replica]:
        """Every replica that exists, freshly asked, oldest first, failed and draining ones too."""
        ...

    async def set_capacity(self, endpoint: str, count: int) -> None:
        """Have at least `count` replicas that are not draining: first those that drain are taken back, as
        far as they are not let go yet, then new ones start. Never takes one away: that is `drain`."""
        ...

    async def drain(self, endpoint: str, replica: str) -> None:
        """Let it finish what it has, then end it. It gets no new work: the fleet routes none to it."""
        ...

    async def stop(self, endpoint: str, replica: str) -> None:
        """End it now, in any state: asked politely, then killed."""
        ...

    async def revive(self, endpoint: str) -> None:
        """Forget failures: start again what was given up, without waiting out a backoff."""
        ...

    async def logs(self, endpoint: str, replica: str, tail: int) -> str:
        """The last `tail` lines that the replica wrote; empty if it never ran."""
        ...

    async def close(self) -> None:
        """The gateway ends: end what cannot outlive it (processes do end, cloud instances do not)."""
        ...

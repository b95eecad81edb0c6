"""One pod from look to look: what it was last seen as, and what only memory tells."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from easel.gateway import replica_words
from easel.gateway.events import Events
from easel.gateway.kubernetes import Object
from easel.gateway.replicas import (
    Replica,
    ReplicaStatus,
    ReplicaTimeouts,
    Report,
    Work,
    last_words,
)
from easel.gateway.replicas.kubernetes.pod_state import (
    PodState,
    Seen,
    observed,
    restarts,
    said_at_the_end,
)
from easel.gateway.replicas.kubernetes.scheduling import WAITS_FOR_SCHEDULER

ReadLog = Callable[[str, bool], Awaitable[str]]
"""The last lines of a pod's log: of its container, or of the one that ran before."""


class TrackedPod:
    """A pod that is a replica. `read_log` is asked for the last words of a container that ended."""

    def __init__(
        self, endpoint: str, pod: Object, events: Events, timeouts: ReplicaTimeouts, read_log: ReadLog
    ) -> None:
        self.pod = pod
        self.name: str = pod["metadata"]["name"]
        self.work: Work | None = None
        self.address: str | None = None
        self.began = time.monotonic()
        # Since when a gateway has it drain, on the monotonic clock.
        self.drains_since: float | None = None
        self._status = ReplicaStatus(endpoint, self.name, events, WAITS_FOR_SCHEDULER)
        self._timeouts = timeouts
        self._read_log = read_log
        self._answered = self.began
        self._spoke = False
        self._given_up = False
        # Its node is silent: another pod takes its place, so that who asks may wait for that one.
        self._out_of_reach = False
        self._ended: tuple[int, str] = (0, "")
        self._words = ""

    @property
    def state(self) -> str:
        """As it was seen last."""
        return self._status.state

    @property
    def busy(self) -> bool:
        """Whether it has pictures at hand."""
        return self.work is not None and self.work.demand > 0

    @property
    def stuck(self) -> bool:
        """Whether nothing of it runs, and Kubernetes waits before it tries again."""
        return self._status.state == "failed" and self.address is None

    async def follow(
        self, pod: Object, report: Report | None, address: str | None, *, events: Sequence[Object],
        node: Object | None,
    ) -> None:  # fmt: skip
        """Take what is known of it now. `address` is where its container listens, if one runs."""
        self.pod, self.address = pod, address
        now = time.monotonic()
        crashed = await self._hear_end(running=address is not None)
        if crashed:
            # Nobody is there for this look: who waits goes on waiting, as for one that is started again.
            self.address = report = None
        if report is not None:
            self._answered, self._spoke, self.work = now, True, report.work
        elif self.address is None:
            self._answered, self._spoke, self.work = now, False, None
        found = observed(
            Seen(
                pod, events, node, report, quiet=now - self._answered, spoke=self._spoke,
                was=self._status.state, said=self._status.detail, words=self._words,
                mended=crashed, backoff_limit=self._timeouts.backoff_limit,
                unresponsive=self._timeouts.unresponsive,
            )
        )  # fmt: skip
        if found is not None:
            self._say(found)

    def drain(self) -> None:
        """It gets no more work."""
        self.drains_since = time.monotonic()
        self._status.say("draining", replica_words.FINISHING if self.busy else replica_words.STOPPING)

    def keep(self) -> None:
        """It is wanted again."""
        self.drains_since = None
        self._status.say("ready", replica_words.READY, text=replica_words.KEPT)

    def gone(self, why: str) -> None:
        """It is no more, and nobody here asked for that."""
        if self._status.state != "draining":
            self._status.event("gone", why)

    def replica(self) -> Replica:
        """What it is to the fleet."""
        return Replica(
            self.name, self._status.state, self._status.since, self._status.detail,
            address=None if self._out_of_reach else self.address,
            work=self.work, given_up=self._given_up, answered=self._answered if self._spoke else -math.inf,
        )  # fmt: skip

    def _say(self, found: PodState) -> None:
        if self.drains_since is not None and found.state != "draining":
            # Marked by us a moment ago; the watch has not shown it yet.
            found = replace(found, state="draining", detail=self._status.detail, given_up=False)
        text = None
        if found.state == "ready" and self._status.state in ("starting", "loading"):
            text = replica_words.ready_after(time.monotonic() - self.began)
        self._given_up, self._out_of_reach = found.given_up, found.kind == "node"
        self._status.say(found.state, found.detail, found.kind or None, text)

    async def _hear_end(self, *, running: bool) -> bool:
        """Have the last words of a container that ended since the last look; whether one did."""
        ended = restarts(self.pod)
        if ended == self._ended or not ended[1]:
            return False
        # Counted up later than it ended: one end is one.
        again = ended[1] == self._ended[1]
        self._ended = ended
        said = said_at_the_end(self.pod) or await self._read_log(self.name, running)
        self._words = last_words(said) or self._words
        return not again

"""A group's prepared instances follow a new image: one at a time, at rest, and not for ever.

A stopped instance keeps the image that it had when it ran last. With another configured since, waking it is a
pull and no start, and its host's scripts are those of its own launch. Hosts tag the image on their disk; one
that holds another is called unhealthy, by which a group ends an instance of its warm pool and prepares a new
one in its place ("View health check status and the reason for health check failures", EC2 Auto Scaling).
`TerminateInstanceInAutoScalingGroup` cannot be called on those, says its reference.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

from easel.gateway.aws import Aws
from easel.gateway.config import Endpoint
from easel.gateway.replicas.aws.auto_scaling_group import AutoScalingGroup, GroupInstance
from easel.gateway.replicas.aws.instance import TrackedInstance
from easel.gateway.replicas.aws.timeouts import Patience

Say = Callable[[str | None, str, str], None]

STOPPED = "Warmed:Stopped"
LEAVING = "Warmed:Terminating:Wait"
# As a host writes a tag: other letters become spaces, and there are 256 of them.
_LETTERS = re.compile(r"[^A-Za-z0-9 _.:/=+@-]+")
# Times that each prepared instance is replaced for one image: who tags nothing would be replaced for ever.
_TRIES = 2


class WarmPool:
    """The prepared instances of one group."""

    def __init__(self, aws: Aws, patience: Patience, *, changed: Callable[[], None], say: Say) -> None:
        self._aws = aws
        self._patience = patience
        self._changed = changed
        self._say = say
        self._wanted = ""
        self._tries = 0
        self._rests_since: float | None = None
        self._asked_at = float("-inf")
        self._told = ""
        # Those that were called unhealthy, which is nobody's fault.
        self.replaced: set[str] = set()

    def outdated(
        self,
        group: AutoScalingGroup,
        endpoint: Endpoint,
        minders: Iterable[TrackedInstance],
        *,
        resting: bool,
    ) -> GroupInstance | None:
        """The instance to replace now, if one is: nobody draws for some minutes, none other is on its way.

        `minders` are those of the instances in service; `resting` is whether nothing is asked for or given
        up, and the budget has room.
        """
        now, warm = time.monotonic(), endpoint.instances.warm if endpoint.instances else 0
        wanted = _LETTERS.sub(" ", endpoint.container.image if endpoint.container else "")[:256]
        resting = resting and all(one.state == "ready" and one.ending is None and one.idle for one in minders)
        if wanted != self._wanted:
            self._wanted, self._tries, self._rests_since, self._told = wanted, 0, None, ""
        if not (resting and wanted and warm):
            self._rests_since = None
            return None
        if self._rests_since is None:
            self._rests_since = now
        old = [one for one in group.warm if one.machine is not None and one.machine.image != wanted]
        # AWS ends one and thinks for a while before it launches the next, which may find no capacity at all.
        settled = all(one.lifecycle == STOPPED for one in group.warm)
        if not settled or len(group.warm) < warm - group.desired:
            return None
        if not old:
            if self._tries:
                self._once("every prepared instance holds the image that is configured")
            return None
        if now - self._rests_since < self._patience.rest or now - self._asked_at < self._patience.unheeded:
            return None
        if self._tries >= _TRIES * warm:
            self._once(
                f"{len(old)} prepared instances still do not hold the configured image after {self._tries} "
                "were replaced: read the log of the last one. Waking them pulls the image first"
            )
            return None
        return old[0]

    async def replace(self, member: GroupInstance) -> None:
        """Have its group end it and prepare another. Raises Refusal."""
        self._tries += 1
        self._asked_at = time.monotonic()
        self.replaced.add(member.id)
        await self._aws.ask(
            "autoscaling", "set_instance_health",
            InstanceId=member.id, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False,
        )  # fmt: skip
        self._say(member.id, "prepared", "holds an older image on its disk: another is prepared in its place")
        self._changed()

    def _once(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._say(None, "prepared", text)

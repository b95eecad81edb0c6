"""A group's prepared instances follow a new image: one at a time, at rest, and not for ever.

A stopped instance keeps the image that it had when it ran last. With another configured since, waking it is a
pull and no start, and its host's scripts are those of its own launch. Hosts tag the image on their disk; one
that holds another is called unhealthy, by which a group ends an instance of its warm pool and prepares a new
one in its place ("View health check status and the reason for health check failures", EC2 Auto Scaling).
`TerminateInstanceInAutoScalingGroup` cannot be called on those, says its reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from easel.gateway.replicas import ReplicaTimeouts
from easel.gateway.replicas.aws.actions import Action, NoteRollout, ReplacePrepared
from easel.gateway.replicas.aws.auto_scaling_group import AutoScalingGroup
from easel.remark import remark

STOPPED = "Warmed:Stopped"
LEAVING = "Warmed:Terminating:Wait"
# Prepared, and not on its way into or out of the pool.
SETTLED = (STOPPED, "Warmed:Hibernated", "Warmed:Running")
# As a host writes a tag: other letters become spaces, and there are 256 of them.
_LETTERS = re.compile(r"[^A-Za-z0-9 _.:/=+@-]+")
# Times that each prepared instance is replaced for one image: who tags nothing would be replaced for ever.
_TRIES = 2
_ALL_HOLD_IT = remark("prepared_current", "every prepared instance holds the image that is configured")


@dataclass(frozen=True)
class ImageRollout:
    """How far a warm pool is with an image. Times are on the monotonic clock."""

    image: str = ""
    tries: int = 0
    # Since when nobody draws; None while somebody does, or while there is nothing to prepare.
    quiet_since: float | None = None
    asked_at: float = float("-inf")
    # What was told of it last.
    told: str = ""
    # Those that were called unhealthy, which is nobody's fault.
    replaced: frozenset[str] = frozenset()

    def follow(self, image: str, now: float, *, resting: bool) -> ImageRollout:
        """With the image that is configured now; `resting` is whether nothing is drawn, asked for, given up
        or on its way, and the budget has room."""
        image = _LETTERS.sub(" ", image)[:256]
        same = self if image == self.image else replace(self, image=image, tries=0, quiet_since=None, told="")
        quiet = now if same.quiet_since is None else same.quiet_since
        return replace(same, quiet_since=quiet if resting and image else None)

    def asked(self, instance: str, now: float) -> ImageRollout:
        """After the group was told to replace this one."""
        return replace(self, tries=self.tries + 1, asked_at=now, replaced=self.replaced | {instance})


def renew(
    rollout: ImageRollout, group: AutoScalingGroup, prepared: int, now: float, timeouts: ReplicaTimeouts
) -> list[Action]:
    """Replace the next of the `prepared` instances that holds another image, or say why none is any more."""
    # AWS ends one and thinks for a while before it launches the next, which may find no capacity at all.
    settled = all(one.lifecycle == STOPPED for one in group.warm)
    if not prepared or rollout.quiet_since is None:
        return []
    if not settled or len(group.warm) < prepared - group.desired:
        return []
    old = [one for one in group.warm if one.ec2 is not None and one.ec2.image != rollout.image]
    if not old:
        return _note(rollout, _ALL_HOLD_IT)
    early = now - rollout.quiet_since < timeouts.pool_rest
    if early or now - rollout.asked_at < timeouts.scale_in_lag:
        return []
    if rollout.tries < _TRIES * prepared:
        # Who was named leaves within minutes, seldom within the lag; named again it would be told of twice.
        rest = [one.id for one in old if one.id not in rollout.replaced]
        return [ReplacePrepared(rest[0])] if rest else []
    return _note(
        rollout,
        remark(
            "prepared_older",
            "{n} prepared instances still do not hold the configured image after {tries} were replaced: read "
            "the log of the last one. Waking them pulls the image first",
            n=len(old),
            tries=rollout.tries,
        ),
    )


def _note(rollout: ImageRollout, text: str) -> list[Action]:
    return [NoteRollout(text)] if rollout.tries and text != rollout.told else []

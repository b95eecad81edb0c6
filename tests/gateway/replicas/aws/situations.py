"""Groups of instances as a test needs them, told in a line each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from easel.gateway.events import Events
from easel.gateway.replicas import ReplicaStatus, ReplicaTimeouts
from easel.gateway.replicas.aws.auto_scaling_group import AutoScalingGroup, Ec2Instance, GroupInstance
from easel.gateway.replicas.aws.decision import Situation
from easel.gateway.replicas.aws.instance import Placeholder, TrackedInstance
from easel.gateway.replicas.aws.warm_pool import ImageRollout

NOW = 10_000.0
TIMES = ReplicaTimeouts(
    backoff_limit=3, crash_limit=4, min_ready=300, repair=180, retry=5, spot_retry=1800, pool_rest=300,
    scale_in_lag=90,
)  # fmt: skip
SPENT = "the budget for November is spent"
OLD, NEW = "images@sha256:a", "images@sha256:b"
NOTICE = "interrupted: AWS takes this spot instance back at 2026-01-01T00:02:00Z"


def one(
    name: str, state: str = "ready", lifecycle: str = "InService", *, why: str = "", detail: str = "",
    since: float = 0.0, **known: Any,
) -> TrackedInstance:  # fmt: skip
    """An instance as the gateway remembers it."""
    ec2 = Ec2Instance(power="running", why=why)
    status = ReplicaStatus("studio", name, Events(), detail)
    status.state, status.since = state, since  # type: ignore[assignment]
    return TrackedInstance(GroupInstance(name, lifecycle, ec2=ec2), status, TIMES, **known)


def warm(name: str, lifecycle: str = "Warmed:Stopped", image: str = OLD) -> GroupInstance:
    return GroupInstance(name, lifecycle, ec2=Ec2Instance(power="stopped", image=image))


def at(
    *instances: TrackedInstance, desired: int | None = None, pool: tuple[GroupInstance, ...] = (),
    spot: int | None = None, most: int = 4, **more: Any,
) -> Situation:  # fmt: skip
    """A group of these, of which as many are wanted as it counts, unless it is said; `spot`: it buys spot
    first, and so many percent on-demand."""
    members = (*(each.instance for each in instances), *pool)
    group = AutoScalingGroup("g", 0, most, members, spot_first=spot is not None, share=spot or 0)
    wanted = len(group.active) if desired is None else desired
    return Situation(
        replace(group, desired=wanted), wanted, NOW, TIMES, instances, **more
    )  # fmt: skip


def given_up(name: str = "none-1", kind: str = "gave-up") -> Placeholder:
    return Placeholder(name, 0.0, "why", kind)


def failed(name: str, **known: Any) -> TrackedInstance:
    """One whose container has failed as often as its host may try."""
    return one(name, "failed", detail="no such digest", **{"crashes": 4, **known})


ROLLOUT = ImageRollout(image=NEW, quiet_since=NOW - 300)
TWO = (warm("i-8"), warm("i-9"))

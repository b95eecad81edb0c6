"""A group that buys spot first: on-demand for want of spot, and spot again after a while.

No Auto Scaling group falls back by itself. Its share of on-demand is the one thing of it that we change.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from easel.gateway.aws import Aws
from easel.gateway.replicas.aws.auto_scaling_group import AutoScalingGroup
from easel.gateway.replicas.aws.timeouts import Patience


class SpotFallback:
    """Sets the share of on-demand of one group."""

    def __init__(self, aws: Aws, patience: Patience, *, changed: Callable[[], None]) -> None:
        self._aws = aws
        self._patience = patience
        self._changed = changed
        self._bought_at: float | None = None

    def short(self, group: AutoScalingGroup) -> bool:
        """Whether want of spot is a reason to buy on-demand now."""
        return group.spot_first and group.share < 100

    def again(self, group: AutoScalingGroup) -> bool:
        """Whether it is time to ask for spot again. Who does not know since when, asks now."""
        long_ago = self._bought_at is None or time.monotonic() - self._bought_at > self._patience.spot
        return group.spot_first and group.share > 0 and long_ago

    async def share(self, group: AutoScalingGroup, percent: int) -> None:
        """Set the share of on-demand. Raises Refusal."""
        await self._aws.ask(
            "autoscaling", "update_auto_scaling_group", AutoScalingGroupName=group.name,
            MixedInstancesPolicy={
                "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": percent}
            },
        )  # fmt: skip
        self._bought_at = time.monotonic() if percent else None
        self._changed()

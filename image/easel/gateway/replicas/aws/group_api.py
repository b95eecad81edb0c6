"""What is asked of Auto Scaling for one group. Every call raises AwsError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from easel.gateway.aws import Aws, AwsError

_NO_ACTION = "no active lifecycle action"


class GroupApi:
    """The calls; `changed` hears of each that AWS took."""

    def __init__(self, aws: Aws, changed: Callable[[], None]) -> None:
        self._aws = aws
        self._changed = changed

    async def set_capacity(self, group: str, desired: int) -> None:
        """Set the desired capacity, without waiting for what the group did last."""
        await self._ask(
            "set_desired_capacity", AutoScalingGroupName=group, DesiredCapacity=desired, HonorCooldown=False
        )

    async def set_on_demand_share(self, group: str, percent: int) -> None:
        """Buy so many percent on-demand: the one thing of the group's settings that the gateway changes."""
        mix = {"InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": percent}}
        await self._ask("update_auto_scaling_group", AutoScalingGroupName=group, MixedInstancesPolicy=mix)

    async def replace(self, instance: str) -> None:
        """Call it unhealthy, by which its group ends it and starts or prepares another."""
        await self._ask(
            "set_instance_health",
            InstanceId=instance, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False,
        )  # fmt: skip

    async def protect(self, group: str, instances: list[str], protected: bool) -> None:
        """Keep scaling in from taking them, or let it."""
        await self._ask(
            "set_instance_protection",
            AutoScalingGroupName=group, InstanceIds=instances, ProtectedFromScaleIn=protected,
        )  # fmt: skip

    async def terminate(self, instance: str, *, lower: bool) -> None:
        """End it by name; `lower` the desired capacity with it."""
        await self._ask(
            "terminate_instance_in_auto_scaling_group",
            InstanceId=instance, ShouldDecrementDesiredCapacity=lower,
        )  # fmt: skip

    async def complete_hook(self, group: str, hook: str, instance: str) -> None:
        """The group may go on with it."""
        await self._hook("complete_lifecycle_action", group, hook, instance, LifecycleActionResult="CONTINUE")

    async def extend_hook(self, group: str, hook: str, instance: str) -> None:
        """The group shall wait a while longer for our word."""
        await self._hook("record_lifecycle_action_heartbeat", group, hook, instance)

    async def _hook(self, operation: str, group: str, hook: str, instance: str, **more: str) -> None:
        try:
            await self._ask(
                operation, AutoScalingGroupName=group, LifecycleHookName=hook, InstanceId=instance, **more
            )
        except AwsError as error:
            # Nobody waits for it: it is another hook's turn, or the time was up.
            if _NO_ACTION not in error.message.lower():
                raise

    async def _ask(self, operation: str, **arguments: Any) -> None:
        await self._aws.ask("autoscaling", operation, **arguments)
        self._changed()

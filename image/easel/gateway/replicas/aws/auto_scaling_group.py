"""An Auto Scaling group and its instances as AWS describes them, in our types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from easel.remark import remark

# A host's word for a spot instance that AWS takes back in two minutes.
_INTERRUPTED = "interrupted:"
# No longer counted by the group's desired capacity.
_LEAVING = ("Terminating", "Terminated", "Detaching", "Detached", "EnteringStandby", "Standby")


@dataclass(frozen=True)
class Ec2Instance:
    """What EC2 says of an instance. `power` is its state name, `launched` the last start in Unix seconds."""

    power: str = ""
    address: str | None = None
    launched: float | None = None
    phase: str = ""
    why: str = ""
    # The container image on its disk, as its host tags it.
    image: str = ""
    reason: str = ""
    spot: bool = False

    @property
    def interrupted(self) -> bool:
        """Whether AWS said that it takes the instance back."""
        return self.power == "running" and self.why.startswith(_INTERRUPTED)


@dataclass(frozen=True)
class GroupInstance:
    """One instance of a group. `ec2` is None as long as EC2 does not know it."""

    id: str
    lifecycle: str
    type: str = ""
    zone: str = ""
    healthy: bool = True
    protected: bool = False
    ec2: Ec2Instance | None = None

    @property
    def warm(self) -> bool:
        """In the warm pool: stopped, or being made ready to be."""
        return self.lifecycle.startswith("Warmed:")

    @property
    def leaving(self) -> bool:
        """On its way out, so that desired capacity does not count it."""
        return self.lifecycle.startswith(_LEAVING)

    @property
    def active(self) -> bool:
        """Counted by desired capacity."""
        return not self.warm and not self.leaving

    @property
    def place(self) -> str:
        """In words: `g5.2xlarge in us-east-1a`."""
        kind = self.type or remark("an_instance", "an instance")
        return remark("place_in", "{kind} in {zone}", kind=kind, zone=self.zone) if self.zone else kind


@dataclass(frozen=True)
class AutoScalingGroup:
    """A group as it is now. Capacities are in instances."""

    name: str
    desired: int
    max: int
    instances: tuple[GroupInstance, ...] = ()
    suspended: tuple[str, ...] = ()
    # Spot first, on-demand where there is none: the share of on-demand in percent, which we set.
    spot_first: bool = False
    share: int = 0

    @property
    def active(self) -> tuple[GroupInstance, ...]:
        """The instances that desired capacity counts."""
        return tuple(one for one in self.instances if one.active)

    @property
    def warm(self) -> tuple[GroupInstance, ...]:
        """The instances of its warm pool."""
        return tuple(one for one in self.instances if one.warm)


def no_group(name: str) -> str:
    """What is said of a group that AWS does not know."""
    return remark("no_group", "there is no Auto Scaling group {name}: `pulumi up` makes it", name=name)


def read_group(
    described: Mapping[str, Any], pool: list[dict[str, Any]], ec2: Mapping[str, Ec2Instance]
) -> AutoScalingGroup:
    """From `DescribeAutoScalingGroups`, `DescribeWarmPool` and what EC2 says, by instance id."""
    mix = (described.get("MixedInstancesPolicy") or {}).get("InstancesDistribution") or {}
    found = {one["InstanceId"]: one for one in [*described.get("Instances", []), *pool]}
    return AutoScalingGroup(
        name=described["AutoScalingGroupName"],
        desired=int(described.get("DesiredCapacity", 0)),
        max=int(described.get("MaxSize", 0)),
        instances=tuple(_instance(one, ec2.get(name)) for name, one in found.items()),
        spot_first=any(
            (tag.get("Key"), tag.get("Value")) == ("easel:capacity", "spot-first")
            for tag in described.get("Tags", [])
        ),
        share=int(mix.get("OnDemandPercentageAboveBaseCapacity") or 0),
        suspended=tuple(one.get("ProcessName", "") for one in described.get("SuspendedProcesses", [])),
    )


def _instance(described: Mapping[str, Any], ec2: Ec2Instance | None) -> GroupInstance:
    return GroupInstance(
        id=described["InstanceId"],
        lifecycle=described.get("LifecycleState", ""),
        type=described.get("InstanceType", ""),
        zone=described.get("AvailabilityZone", ""),
        healthy=str(described.get("HealthStatus", "Healthy")).lower() == "healthy",
        protected=bool(described.get("ProtectedFromScaleIn", False)),
        ec2=ec2,
    )


def read_ec2(described: Mapping[str, Any]) -> Ec2Instance:
    """From one instance of `DescribeInstances`."""
    tags = {tag.get("Key"): str(tag.get("Value", "")) for tag in described.get("Tags", [])}
    launched = described.get("LaunchTime")
    return Ec2Instance(
        power=described.get("State", {}).get("Name", ""),
        address=described.get("PrivateIpAddress") or None,
        launched=launched.timestamp() if isinstance(launched, datetime) else None,
        phase=tags.get("easel:phase", ""),
        why=tags.get("easel:why", ""),
        image=tags.get("easel:image", ""),
        reason=str(described.get("StateReason", {}).get("Message", "")),
        spot=described.get("InstanceLifecycle") == "spot",
    )

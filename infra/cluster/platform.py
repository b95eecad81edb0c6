"""What a team's part of a cluster stands on: its own cluster, or one that another stack shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pulumi

EXPORT = "platform"
"""The output of a stack by which others share its cluster."""
MOST_RANGES = 5
"""Ranges of addresses that AWS gives a VPC, unless it is asked for more ("Amazon VPC quotas")."""


class NoPlatform(pulumi.RunError):
    """The stack whose cluster is to be shared has none to share."""


@dataclass(frozen=True)
class Platform:
    """A cluster as its teams see it. Its fields are what the stack exports, by these names."""

    region: pulumi.Output[str]
    cluster: pulumi.Output[str]
    """Its name."""
    endpoint: pulumi.Output[str]
    certificate: pulumi.Output[str]
    admins: pulumi.Output[Sequence[str]]
    node_role: pulumi.Output[str]
    security_group: pulumi.Output[str]
    subnets: pulumi.Output[Mapping[str, str]]
    """By zone."""
    ranges: pulumi.Output[Sequence[str]]
    """The VPC's addresses."""
    file_system: pulumi.Output[str]

    def exported(self) -> dict[str, pulumi.Output[Any]]:
        """The stack's output `platform`."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @property
    def trusted(self) -> list[pulumi.Output[str]]:
        """The VPC's ranges as a list whose length is known; the last one may be in it again."""

        def one(number: int) -> pulumi.Output[str]:
            return self.ranges.apply(lambda found: found[min(number, len(found) - 1)])

        return [one(number) for number in range(MOST_RANGES)]


def platform_of(stack: str, region: str, parent: pulumi.Resource) -> Platform:
    """The platform that another stack exports: `art`, or `organization/project/stack`.

    Raises NoPlatform, once the stack is read, for one that exports none, or is in another region.
    """
    here = f"{pulumi.get_organization()}/{pulumi.get_project()}"
    name = stack if "/" in stack else f"{here}/{stack}"
    told = pulumi.StackReference(name, opts=pulumi.ResourceOptions(parent=parent)).get_output(EXPORT)
    whole = told.apply(lambda found: checked(found, stack, region))

    def part(key: str) -> pulumi.Output[Any]:
        return whole.apply(lambda found: found[key])

    return Platform(**{one.name: part(one.name) for one in fields(Platform)})


def checked(found: Any, stack: str, region: str) -> Mapping[str, Any]:
    """What a stack exports of its platform, whole and of this region. Raises NoPlatform."""
    where = "easel:team.platform"
    if not isinstance(found, Mapping):
        raise NoPlatform(
            f"{where}: the stack {stack} shares no cluster: it must say runs_on: cluster with platform: own, "
            "and have been brought up (`pulumi up`)"
        )
    missing = [one.name for one in fields(Platform) if one.name not in found]
    if missing:
        raise NoPlatform(
            f"{where}: the stack {stack} does not tell {', '.join(missing)} of its cluster: another version "
            "of easel made it. Run `pulumi up` there with this one"
        )
    if found["region"] != region:
        raise NoPlatform(
            f"{where}: the cluster of {stack} is in {found['region']}, and this stack's aws:region is "
            f"{region}: take the same"
        )
    return found

"""Mount targets that an adopted file system has already, beside those that a stack makes.

AWS takes one mount target in a zone, and all of a file system's in one VPC: a second is refused in the middle
of `pulumi up`. pulumi-aws looks up one mount target by its id and cannot list them, so the network interfaces
that they are reached by are looked up: EFS writes both ids into their description.
"""

import re
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.tags import STACK, Tags

_TARGET = re.compile(r"\bfsmt-[0-9a-f]+\b")


@dataclass(frozen=True)
class Mounted:
    """A mount target that is there and that this stack did not make."""

    id: str
    """`fsmt-…`."""
    zone: str
    vpc_id: str
    group_id: str
    """A security group of it. What is let in by one of several is in."""


def mounted(file_system_id: str, tags: Tags, parent: pulumi.Resource) -> list[Mounted]:
    """The mount targets of a file system, less those of this stack, in the order of their zones.

    This stack's own are known by their security group, which has its tag: on the second `pulumi up` they are
    there too, and must not be taken for somebody else's, or Pulumi would delete them.
    """
    opts = pulumi.InvokeOptions(parent=parent)
    ours = [aws.ec2.GetSecurityGroupsFilterArgs(name=f"tag:{STACK}", values=[tags.stack])]
    own = set(aws.ec2.get_security_groups(filters=ours, opts=opts).ids)
    # `EFS mount target for fs-… (fsmt-…)`, or as the API's reference has it the other way round.
    of_files = [aws.ec2.GetNetworkInterfacesFilterArgs(name="description", values=[f"*{file_system_id}*"])]
    found = []
    for interface_id in aws.ec2.get_network_interfaces(filters=of_files, opts=opts).ids:
        interface = aws.ec2.get_network_interface(id=interface_id, opts=opts)
        target = _TARGET.search(interface.description)
        if target is None or not interface.security_groups or own & set(interface.security_groups):
            continue
        group_id = min(interface.security_groups)
        found.append(Mounted(target[0], interface.availability_zone, interface.vpc_id, group_id))
    return sorted(found, key=lambda one: one.zone)

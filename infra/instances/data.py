"""The gateway's data volume: its own, or one that an earlier stack left behind."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.network import InstanceNetwork
from infra.spec import Spec
from infra.tags import TEAM, Tags

SIZE = 8
"""GiB: certificates, configuration, logs and counts."""

NOUN = "gateway-data"

WHERE = "easel:team.storage.gateway"


class NoVolume(pulumi.RunError):
    """The volume to take back is not there or not fit."""


@dataclass(frozen=True)
class Data:
    """The volume, and the zone that its machine has to be in: a disk can be used in its own only."""

    id: pulumi.Output[str]
    zone: pulumi.Output[str]


def data_volume(spec: Spec, tags: Tags, network: InstanceNetwork, parent: pulumi.Resource) -> Data:
    """The volume that `storage.gateway` names, else one of the stack's own. Both stay when the stack goes.

    Raises NoVolume, at preview, for one that is missing, not encrypted, or in a zone without a subnet, and
    NotSold where its zone does not sell the gateway's type.
    """
    if existing := spec.team.storage.gateway:
        zone = _adopted(existing, network, parent)
        return Data(pulumi.Output.from_input(existing), pulumi.Output.from_input(zone))
    _tell_of_earlier_ones(tags, parent)
    own = aws.ebs.Volume(
        tags.name(NOUN),
        availability_zone=network.offers.gateway(network.zones).zones[0],
        size=SIZE,
        type="gp3",
        encrypted=True,
        tags=tags.of_team(NOUN),
        # A zone that sells the gateway's type from tomorrow on, and comes first, must not move the disk.
        opts=pulumi.ResourceOptions(
            parent=parent, retain_on_delete=True, ignore_changes=["availabilityZone"]
        ),
    )
    return Data(own.id, own.availability_zone)


def _adopted(existing: str, network: InstanceNetwork, parent: pulumi.Resource) -> str:
    zones = network.zones
    try:
        found = aws.ebs.get_volume(
            filters=[aws.ebs.GetVolumeFilterArgs(name="volume-id", values=[existing])],
            opts=pulumi.InvokeOptions(parent=parent),
        )
    except Exception as error:
        # The provider has no type for it: a plain Exception with the words of the lookup.
        if "no results" not in str(error):
            raise
        raise NoVolume(
            f"{WHERE}: there is no volume {existing} in this region and account. `aws ec2 describe-volumes "
            f"--filters Name=tag:{TEAM},Values={pulumi.get_stack()}` lists the team's; leave it out for a "
            "new one"
        ) from None
    if not found.encrypted:
        raise NoVolume(
            f"{WHERE}: {existing} is not encrypted, and it holds the keys of certificates. Copy it by an "
            "encrypted snapshot, or leave it out for a new volume"
        )
    if found.availability_zone not in zones:
        raise NoVolume(
            f"{WHERE}: {existing} is in {found.availability_zone}, and the team's subnets are in "
            f"{', '.join(zones)}: a disk can be used in its own zone only. Copy it there by a snapshot, or "
            "leave it out for a new volume"
        )
    return network.offers.gateway([found.availability_zone]).zones[0]


def _tell_of_earlier_ones(tags: Tags, parent: pulumi.Resource) -> None:
    """Warn of a volume of this team that no machine has: `pulumi destroy` leaves it, and it is paid for."""
    if not pulumi.runtime.is_dry_run():
        return  # `pulumi up` has just shown it
    named = {f"tag:{TEAM}": tags.team, "tag:Name": tags.name(NOUN), "status": "available"}
    try:
        found = aws.ebs.get_ebs_volumes(
            filters=[aws.ebs.GetEbsVolumesFilterArgs(name=key, values=[one]) for key, one in named.items()],
            opts=pulumi.InvokeOptions(parent=parent),
        )
    except Exception as error:
        # Who may make volumes may not always list them: no reason to stop. The provider has no type for it.
        pulumi.log.debug(f"volumes of an earlier stack: {error}")
        return
    for volume in found.ids:
        pulumi.log.warn(
            f"{volume} holds certificates and counts of an earlier stack of this team, and no machine has "
            f"it. To have them again, {WHERE}: {volume}; else `aws ec2 delete-volume --volume-id {volume}`",
            parent,
        )

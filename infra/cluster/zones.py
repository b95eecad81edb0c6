"""Zones that a control plane may be in. EKS takes none in a few zones that sell GPUs like any other.

Nodes, load balancers and mount targets may be in all of them (EKS user guide, "View Amazon EKS networking
requirements for VPC and subnets": subnet requirements for clusters, and for nodes).
"""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.vpc import FEWEST_ZONES, NoNetwork

CLOSED = frozenset({"cac1-az3", "use1-az3", "usw1-az2"})
"""By id: a zone's letter is another one in each account."""


def open_to_eks(zones: Sequence[str], parent: pulumi.Resource) -> list[str]:
    """Those of `zones` that EKS takes. Raises NoNetwork, at preview, where they are fewer than it needs."""
    found = aws.get_availability_zones(opts=pulumi.InvokeOptions(parent=parent))
    ids = dict(zip(found.names, found.zone_ids, strict=True))
    taken = [zone for zone in zones if ids.get(zone) not in CLOSED]
    if len(taken) < FEWEST_ZONES:
        raise NoNetwork(
            f"EKS puts no control plane into {', '.join(sorted(set(zones) - set(taken)))}, and of the team's "
            f"zones that leaves {', '.join(taken) or 'none'} where two are needed: take another aws:region, "
            "or a VPC with a public subnet in a further zone"
        )
    return taken

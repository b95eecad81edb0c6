"""What an account must have beside instances: told at preview, before `pulumi up` stops halfway."""

from typing import Any

import pytest

from tests.infra.cluster.stacks import CLUSTER, run_cluster
from tests.infra.graph import TEAM, Graph, World, provision
from tests.infra.program_stacks import Stack

ONE: dict[str, Any] = {"studio": {"shape": "gpu.t4"}}
FIVE = [f"x-{number}" for number in range(5)]
QUOTAS = {"L-F678F1CE": 5.0, "L-0263D0A3": 5.0}


def told(graph: Graph) -> list[str]:
    return [
        line for line in graph.said if "will be refused" in line or "EC2" in line or "spot instance" in line
    ]


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (World(vpcs=FIVE, quotas=QUOTAS), ["5 VPCs"]),
        (World(addresses=FIVE, quotas=QUOTAS), ["5 Elastic IPs"]),
        (World(vpcs=FIVE[1:], addresses=FIVE[1:], quotas=QUOTAS), []),
        # Those of this stack are among them: nothing more is asked for.
        (World(vpcs=FIVE, own_vpcs=FIVE[:1], addresses=FIVE, own_addresses=FIVE[:1], quotas=QUOTAS), []),
        # Who may not read quotas is not stopped.
        (World(vpcs=FIVE, addresses=FIVE, quotas=None), []),
    ],
)
def test_a_region_without_room_is_told_with_what_to_ask_for(world: World, said: list[str]) -> None:
    """VPCs and Elastic IPs are five a region: the sixth team would stop in the middle."""
    lines = told(provision(ONE, world=world, preview=True))
    assert len(lines) == len(said)
    for line, part in zip(lines, said, strict=True):
        assert part in line
        assert "AWS allows 5: the team's own will be refused" in line
        assert "aws service-quotas request-service-quota-increase" in line
        assert "--desired-value 6" in line


def test_who_lives_in_a_vpc_that_is_there_needs_no_other() -> None:
    """Nor does a cluster take an Elastic IP."""
    found = {"network": {"vpc": "vpc-0123456789abcdef0"}}
    routes = [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}]
    public = [{"id": "m", "routes": routes, "associations": [{"main": True}]}]
    there = World(
        subnets={"a": "us-east-1a", "b": "us-east-1b"}, route_tables=public, vpcs=FIVE, quotas=QUOTAS
    )
    assert told(provision(ONE, found, world=there, preview=True)) == []
    full = World(addresses=FIVE, quotas=QUOTAS)
    assert told(run_cluster(Stack(ONE, CLUSTER), full, preview=True)) == []


@pytest.mark.parametrize(("roles", "lines"), [((), 1), (("AWSServiceRoleForEC2Spot",), 0)])
def test_spot_on_a_cluster_needs_the_accounts_role(roles: tuple[str, ...], lines: int) -> None:
    """EKS may not make it, and no replica would ever start; Auto Scaling makes it by itself."""
    spot = {"studio": {"shape": "gpu.t4", "capacity": "spot"}}
    found = told(run_cluster(Stack(spot, CLUSTER), World(spot_roles=roles), preview=True))
    assert len(found) == lines
    assert all(
        "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com" in one for one in found
    )
    assert told(provision(spot, TEAM, world=World(spot_roles=()), preview=True)) == []

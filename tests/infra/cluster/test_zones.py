"""Zones of a control plane: EKS takes none in some, and keeps to those that it was made in."""

from typing import Any

import pulumi
import pytest

from tests.infra.cluster.stacks import CLUSTER, run_cluster
from tests.infra.graph import provision
from tests.infra.program_stacks import Stack
from tests.infra.world import World

ONE: dict[str, Any] = {"studio": {"shape": "gpu.t4"}}
B = "us-east-1b"


def test_a_zone_that_eks_does_not_take_has_nodes_and_no_control_plane() -> None:
    """By the zone's id: its letter is another in each account. Files can be mounted there all the same."""
    graph = run_cluster(Stack(ONE, CLUSTER), World(zone_ids={B: "use1-az3"}))
    (cluster,) = graph.of("Cluster")
    subnets = {one.rpartition("-")[2] for one in cluster.inputs["vpcConfig"]["subnetIds"]}
    assert subnets == {"a", "c"}
    assert len(graph.of("MountTarget")) == 3


def test_another_zone_later_does_not_reach_the_control_plane() -> None:
    """EKS refuses a subnet in another zone than its first ones, with every `up` from then on."""
    (cluster,) = run_cluster(Stack(ONE, CLUSTER)).of("Cluster")
    assert "vpcConfig.subnetIds" in cluster.ignored


def test_a_region_that_leaves_one_zone_is_refused_with_what_to_take() -> None:
    """At preview, and not by EKS in the middle of `up`."""
    world = World(zones=("us-west-1a", "us-west-1b"), zone_ids={"us-west-1a": "usw1-az2"})
    with pytest.raises(pulumi.RunError, match=r"no control plane into us-west-1a.*two are needed"):
        run_cluster(Stack(ONE, CLUSTER), world)


PUBLIC = [
    {
        "id": "main",
        "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}],
        "associations": [{"main": True}],
    }
]
VPC = {"network": {"vpc": "vpc-0123456789abcdef0"}}
THREE = {"subnet-1": "us-east-1a", "subnet-2": "us-east-1b", "subnet-3": "us-east-1c"}


def test_nodes_live_in_subnets_that_give_them_an_address() -> None:
    """They ask for none, there is no other way out, and without one they never join; instances ask."""
    world = World(subnets=THREE, route_tables=PUBLIC, unaddressed=("subnet-2",))
    graph = run_cluster(Stack(ONE, {**CLUSTER, **VPC}), world)
    assert graph.of("Cluster")[0].inputs["vpcConfig"]["subnetIds"] == ["subnet-1", "subnet-3"]
    on_instances = provision(ONE, VPC, world=world)
    assert len(on_instances.of("Group")[0].inputs["vpcZoneIdentifiers"]) == 3


def test_a_vpc_without_two_such_zones_is_refused_with_what_to_do() -> None:
    """At preview; the cluster would stand and no node would come."""
    world = World(subnets=THREE, route_tables=PUBLIC, unaddressed=("subnet-2", "subnet-3"))
    with pytest.raises(pulumi.RunError, match=r"only in us-east-1a.*--map-public-ip-on-launch --subnet-id"):
        run_cluster(Stack(ONE, {**CLUSTER, **VPC}), world)

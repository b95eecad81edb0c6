"""The network: a team's own, and one that is there."""

from typing import Any

import pulumi
import pytest

from infra.vpc import subnet_range
from tests.infra.graph import World, provision

VPC = "vpc-0123456789abcdef0"
ONE = {"studio": {"shape": "gpu.t4"}}
INTERNET = [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}]
NAT = [{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1", "gatewayId": ""}]


def there(subnets: dict[str, str], tables: list[dict[str, Any]]) -> World:
    """A world with an existing VPC."""
    return World(subnets=subnets, route_tables=tables)


def table(name: str, routes: list[dict[str, str]], *subnets: str) -> dict[str, Any]:
    """A route table, the main one where it names no subnet."""
    own = [{"main": False, "subnetId": subnet} for subnet in subnets]
    return {"id": name, "routes": routes, "associations": own or [{"main": True}]}


def test_a_subnet_keeps_its_range_when_zones_come_and_go() -> None:
    """A changed range would replace the subnet, with mount target and instances."""
    before = provision(ONE, world=World(zones=("us-east-1a", "us-east-1b", "us-east-1d")))
    after = provision(ONE, world=World(zones=("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d")))
    ranges = [
        {node.name: node.inputs["cidrBlock"] for node in graph.of("Subnet")} for graph in (before, after)
    ]
    assert ranges[0].items() < ranges[1].items()
    assert subnet_range("us-east-1b") == "10.71.16.0/20"


def test_zones_are_asked_for_whatever_their_state() -> None:
    """A zone with a bad day must not have its subnet, mount target and pictures' way in deleted."""
    world = World()
    provision(ONE, world=world)
    (asked,) = [args for token, args in world.asked if token.endswith("getAvailabilityZones")]
    assert "state" not in asked


def test_a_region_with_one_zone_is_refused() -> None:
    """One zone that is short of GPUs would stop the team."""
    with pytest.raises(pulumi.RunError, match=r"has 1 zone.*two are needed.*another aws:region"):
        provision(ONE, world=World(zones=("us-east-1a",)))


def test_an_existing_vpc_gives_its_public_subnets_one_a_zone() -> None:
    """Public by its own route table or by the main one; private ones and a second in a zone are left."""
    subnets = {
        "subnet-1": "us-east-1a",
        "subnet-2": "us-east-1a",
        "subnet-3": "us-east-1b",
        "subnet-4": "us-east-1c",
    }
    world = there(
        subnets, [table("main", NAT), table("public", INTERNET, "subnet-1", "subnet-2", "subnet-3")]
    )
    graph = provision(ONE, {"network": {"vpc": VPC}}, world=world)
    assert {node.inputs["subnetId"] for node in graph.of("MountTarget")} == {"subnet-1", "subnet-3"}
    assert {node.inputs["vpcId"] for node in graph.of("SecurityGroup")} == {VPC}
    assert not graph.of(
        "Vpc", "Subnet", "InternetGateway", "RouteTable", "VpcEndpoint", "DefaultSecurityGroup"
    )


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ([table("main", NAT)], "in no zone"),
        ([table("main", []), table("public", INTERNET, "subnet-a")], "only in us-east-1a"),
    ],
)
def test_a_vpc_without_two_public_zones_is_refused_with_what_to_do(
    tables: list[dict[str, Any]], said: str
) -> None:
    """A subnet with a NAT gateway is no public one: the gateway could not be reached in it."""
    world = there({"subnet-a": "us-east-1a", "subnet-b": "us-east-1b"}, tables)
    with pytest.raises(pulumi.RunError) as error:
        provision(ONE, {"network": {"vpc": VPC}}, world=world)
    assert f"{VPC} has public subnets {said}" in str(error.value)
    assert "leave network out" in str(error.value)


def test_what_lives_in_a_subnet_comes_after_its_way_out_and_goes_before_it() -> None:
    """AWS gives no address where no gateway is attached, and detaches none while an address is in use."""
    graph = provision(ONE, {"zone": "create"})
    ways = {node.urn for node in graph.of("RouteTableAssociation")}
    (routes,) = graph.of("RouteTable")
    (internet,) = graph.of("InternetGateway")
    assert all(routes.urn in graph.by_urn()[way].depends for way in ways)
    assert internet.urn in routes.depends
    for node in graph.of("Instance", "Group", "MountTarget"):
        assert node.depends & ways, node.urn
    (address,) = graph.of("EipAssociation")
    assert graph.of("Instance")[0].urn in address.depends

"""Where instance types are sold: zones that sell one are used, and a shape that none sells is refused."""

from typing import Any

import pulumi
import pytest

from infra.shapes import GATEWAY, SHAPES
from tests.infra.graph import REGION, Graph, World, provision

A, B, C, E = (f"{REGION}{letter}" for letter in "abce")
ZONES = (A, B, C, E)
L4 = [kind.name for kind in SHAPES["gpu.l4"].instance_types]
ALL = {kind.name for shape in SHAPES.values() for kind in shape.instance_types} | {GATEWAY.name}


def world(**sold: tuple[str, ...]) -> World:
    """A region whose zone e sells nothing of easel's, as us-east-1's; `sold` by family, `g6=(A,)`."""
    offers = {name: sold.get(name.split(".")[0], (A, B, C)) for name in ALL}
    return World(zones=ZONES, offers=offers)


def group(graph: Graph, endpoint: str = "studio") -> tuple[set[str], list[str]]:
    """The zones that an endpoint's group starts in, and the types that it starts."""
    node = next(node for node in graph.of("Group") if f"-{endpoint}-" in node.name)
    zones = {subnet.removeprefix("subnet-easel-art-public-") for subnet in node.inputs["vpcZoneIdentifiers"]}
    mixed = node.inputs.get("mixedInstancesPolicy")
    if mixed is None:
        template = next(one for one in graph.of("LaunchTemplate") if f"-{endpoint}-" in one.name)
        return zones, [template.inputs["instanceType"]]
    return zones, [one["instanceType"] for one in mixed["launchTemplate"]["overrides"]]


def test_a_zone_that_sells_nothing_of_easels_has_no_subnet() -> None:
    """Nor a mount target, which EFS has not in each of them either."""
    graph = provision({"studio": {"shape": "gpu.l4"}}, world=world())
    assert {node.inputs["availabilityZone"] for node in graph.of("Subnet")} == {A, B, C}
    assert len(graph.of("MountTarget")) == 3


def test_a_group_starts_where_one_of_its_types_is_sold() -> None:
    """Each endpoint in the zones of its own shape."""
    two = {"studio": {"shape": "gpu.l4"}, "proofs": {"shape": "gpu.t4"}}
    graph = provision(two, world=world(g6=(B, C), g4dn=(A,)))
    assert group(graph) == ({"b", "c"}, L4)
    assert group(graph, "proofs")[0] == {"a"}


def test_subnets_are_the_same_whatever_the_endpoints_are() -> None:
    """One endpoint less must not take a zone from under the others."""
    one = provision({"studio": {"shape": "gpu.l4"}}, world=world(g6=(B,), g4dn=(C,)))
    two = provision({"proofs": {"shape": "gpu.t4"}}, world=world(g6=(B,), g4dn=(C,)))
    ranges = [
        {node.inputs["availabilityZone"]: node.inputs for node in graph.of("Subnet")} for graph in (one, two)
    ]
    assert ranges[0] == ranges[1]


def test_the_gateway_stands_where_its_type_is_sold_and_stays_there() -> None:
    """With its disk, which cannot move: a zone that sells the type from tomorrow on must not draw it over."""
    graph = provision({"studio": {"shape": "gpu.l4"}}, world=world(t3=(B, C)))
    (disk,) = [node for node in graph.of("Volume") if node.name == "easel-art-gateway-data"]
    assert disk.inputs["availabilityZone"] == B
    assert "availabilityZone" in disk.ignored
    assert graph.of("Instance")[0].inputs["subnetId"] == "subnet-easel-art-public-b"


def test_types_that_the_region_does_not_sell_are_left_out_and_that_is_said() -> None:
    """The next one is the preferred one then: by template, order and price."""
    offers = world().offers | {"g6.2xlarge": (), "g6.4xlarge": ()}
    graph = provision({"studio": {"shape": "gpu.l4"}}, world=World(zones=ZONES, offers=offers))
    assert group(graph)[1] == ["g6.xlarge"]
    (template,) = graph.of("LaunchTemplate")
    assert template.inputs["instanceType"] == "g6.xlarge"
    (told,) = [line for line in graph.said if "g6.2xlarge" in line]
    assert "is not sold in us-east-1; g6.xlarge takes its place, $0.80 an hour" in told


@pytest.mark.parametrize("warm", [0, 1])
def test_a_group_has_every_type_and_zone_that_is_sold(warm: int) -> None:
    """With a warm pool too."""
    offers = world().offers | {"g6.2xlarge": (C,), "g6.xlarge": (A, B)}
    graph = provision({"studio": {"shape": "gpu.l4", "warm": warm}}, world=World(zones=ZONES, offers=offers))
    zones, types = group(graph)
    assert zones == {"a", "b", "c"}
    assert types == L4


def refused(endpoints: dict[str, Any], here: World, team: dict[str, Any] | None = None) -> str:
    with pytest.raises(pulumi.RunError) as error:
        provision(endpoints, team, world=here, preview=True)
    return str(error.value)


def test_a_shape_that_the_region_does_not_sell_is_refused_with_what_to_take() -> None:
    """Every such endpoint in a line: the cheapest that holds as much, else the largest there is."""
    two = {"studio": {"shape": "gpu.l4"}, "large": {"shape": "gpu.l40s"}, "proofs": {"shape": "cpu.small"}}
    lines = refused(two, world(g6=(), g6e=(), p5=(), p4d=(), g5=(A,))).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(
        "easel:endpoints.studio.shape: gpu.l4 (g6.2xlarge, g6.xlarge, g6.4xlarge) is not sold in"
    )
    assert "take shape: gpu.a10 (22.4 GiB, $1.21 an hour), or another aws:region" in lines[0]
    assert "easel:endpoints.large.shape: gpu.l40s" in lines[1]
    assert "take shape: gpu.a10" in lines[1]


def test_a_region_without_gpus_offers_no_other_shape() -> None:
    """A processor is no GPU."""
    none = {family: () for family in ("g4dn", "g5", "g6", "g6e", "p4d", "p5")}
    said = refused({"studio": {"shape": "gpu.t4"}}, world(**none))
    assert "take another aws:region" in said
    assert "take shape" not in said


def test_a_region_without_the_gateways_type_is_refused() -> None:
    """There would be GPUs and no door."""
    said = refused({"studio": {"shape": "gpu.t4"}}, world(t3=()))
    assert "the gateway's t3.small is not sold in zone us-east-1a, us-east-1b, us-east-1c" in said


def test_a_vpc_whose_zones_do_not_sell_the_shape_is_refused_with_those_that_do() -> None:
    """A public subnet in one of them is all that is missing."""
    here = world(g6=(C,))
    here.subnets = {"subnet-1": A, "subnet-2": B}
    here.route_tables = [
        {
            "id": "main",
            "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}],
            "associations": [{"main": True}],
        }
    ]
    vpc = {"network": {"vpc": "vpc-0123456789abcdef0"}}
    said = refused({"studio": {"shape": "gpu.l4"}}, here, vpc)
    assert f"is not sold in zone {A}, {B} of us-east-1" in said
    assert f"zone {C} of the region would have it" in said
    assert group(provision({"studio": {"shape": "gpu.t4"}}, vpc, world=here))[0] == {"subnet-1", "subnet-2"}

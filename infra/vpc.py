"""The VPC under a team's network: its own, or one that is there already."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.tags import Tags

RANGE = "10.71.0.0/16"
"""Away from 10.0.0.0/16 and 172.31.0.0/16, which most other VPCs have, so that peering stays possible."""
FEWEST_ZONES = 2
ANYWHERE = "0.0.0.0/0"

BALANCERS = {"kubernetes.io/role/elb": "1", "kubernetes.io/role/internal-elb": "1"}
"""Tags by which a cluster finds the subnets of its load balancers, those of the world and those within (EKS
user guide, "Tag subnets for EKS Auto Mode")."""


NODES_NEED = (
    ", nor for a cluster subnets whose machines get no public address by themselves "
    "(`aws ec2 modify-subnet-attribute --map-public-ip-on-launch --subnet-id …`)"
)


class NoNetwork(pulumi.RunError):
    """The region or the VPC cannot carry a team."""


@dataclass(frozen=True)
class Vpc:
    """A VPC with one public subnet in each of its zones."""

    id: pulumi.Output[str]
    subnet_ids: list[pulumi.Output[str]]
    zones: list[str]


def subnet_range(zone: str) -> str:
    """The range of a zone's subnet, by the zone's letter: `10.71.16.0/20` for `us-east-1b`.

    By the letter and not by its place in the list: a zone that AWS adds or hides moves no other subnet.
    """
    return f"10.71.{(ord(zone[-1]) - ord('a')) % 16 * 16}.0/20"


def own_vpc(tags: Tags, useful: Collection[str], opts: pulumi.ResourceOptions, balanced: bool = False) -> Vpc:
    """A VPC of the team's own, over every zone of the region that is of use. Raises NoNetwork.

    `balanced`: a cluster may put its load balancers there.
    """
    vpc = aws.ec2.Vpc(
        tags.name("vpc"),
        cidr_block=RANGE,
        enable_dns_support=True,
        enable_dns_hostnames=True,  # EFS is found by its name
        tags=tags.of_team("vpc"),
        opts=opts,
    )
    internet = aws.ec2.InternetGateway(
        tags.name("internet"), vpc_id=vpc.id, tags=tags.of_team("internet"), opts=opts
    )
    routes = aws.ec2.RouteTable(
        tags.name("routes"),
        vpc_id=vpc.id,
        routes=[aws.ec2.RouteTableRouteArgs(cidr_block=ANYWHERE, gateway_id=internet.id)],
        tags=tags.of_team("routes"),
        opts=opts,
    )
    region = aws.get_region(opts=pulumi.InvokeOptions(parent=opts.parent)).region
    # Models and image layers come from S3: by this way they cost nothing and leave the internet out.
    aws.ec2.VpcEndpoint(
        tags.name("s3"),
        vpc_id=vpc.id,
        service_name=f"com.amazonaws.{region}.s3",
        vpc_endpoint_type="Gateway",
        route_table_ids=[routes.id],
        tags=tags.of_team("s3"),
        opts=opts,
    )
    _closed(tags, vpc, opts)
    zones = _zones(useful, opts)
    also = BALANCERS if balanced else {}
    subnets = [_subnet(tags, vpc, routes, zone, also, opts) for zone in zones]
    return Vpc(vpc.id, subnets, zones)


def adopted_vpc(
    vpc_id: str, useful: Collection[str], opts: pulumi.ResourceOptions, addressed: bool = False
) -> Vpc:
    """A VPC that is there, by its subnets with a route to an internet gateway, in zones that are of use.

    `addressed`: only those that give what starts there a public address by themselves. A cluster's nodes ask
    for none, and without one they never join (EKS user guide, "View Amazon EKS networking requirements for
    VPC and subnets", subnet requirements for nodes); instances ask for theirs. Raises NoNetwork.
    """
    invoke = pulumi.InvokeOptions(parent=opts.parent)
    by_subnet, main_is_public = _public_routes(vpc_id, invoke)
    by_zone: dict[str, str] = {}
    found = aws.ec2.get_subnets(filters=[{"name": "vpc-id", "values": [vpc_id]}], opts=invoke)
    for subnet_id in sorted(found.ids):
        if by_subnet.get(subnet_id, main_is_public):
            subnet = aws.ec2.get_subnet(id=subnet_id, opts=invoke)
            if subnet.availability_zone in useful and (subnet.map_public_ip_on_launch or not addressed):
                by_zone.setdefault(subnet.availability_zone, subnet_id)
    if len(by_zone) < FEWEST_ZONES:
        there = f"only in {', '.join(by_zone)}" if by_zone else "in no zone"
        raise NoNetwork(
            f"easel:team.network.vpc: {vpc_id} has public subnets {there}, and two zones are needed: one "
            "that is short of GPUs must not stop the team. A subnet is public if its route table sends "
            "0.0.0.0/0 to an internet gateway; zones that sell no instance type of easel's do not count"
            f"{NODES_NEED if addressed else ''}. Add one in another zone, or leave network out, for a "
            "VPC of the team's own"
        )
    zones = sorted(by_zone)
    subnets = [pulumi.Output.from_input(by_zone[zone]) for zone in zones]
    return Vpc(pulumi.Output.from_input(vpc_id), subnets, zones)


def vpc_ranges(vpc_id: str | None, parent: pulumi.Resource) -> list[str]:
    """The addresses of an existing VPC, or of the team's own, as `10.71.0.0/16`."""
    if vpc_id is None:
        return [RANGE]
    invoke = pulumi.InvokeOptions(parent=parent)
    found = aws.ec2.get_vpc(id=vpc_id, opts=invoke)
    more = (one.cidr_block for one in found.cidr_block_associations or [])
    return sorted({found.cidr_block, *more})


def _zones(useful: Collection[str], opts: pulumi.ResourceOptions) -> list[str]:
    # Whatever their state: a zone with a bad day must not have its subnet deleted by the next `up`.
    wanted = {"opt-in-status": ["opt-in-not-required"], "zone-type": ["availability-zone"]}
    found = aws.get_availability_zones(
        filters=[{"name": name, "values": values} for name, values in wanted.items()],
        opts=pulumi.InvokeOptions(parent=opts.parent),
    )
    zones = sorted(set(found.names) & set(useful))
    if len(zones) < FEWEST_ZONES:
        raise NoNetwork(
            f"the region has {len(zones)} zone(s) for this account that sell what easel runs on, and two are "
            "needed: take another aws:region"
        )
    return zones


def _subnet(
    tags: Tags,
    vpc: aws.ec2.Vpc,
    routes: aws.ec2.RouteTable,
    zone: str,
    also: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    letter = zone[-1]
    subnet = aws.ec2.Subnet(
        tags.name(f"public-{letter}"),
        vpc_id=vpc.id,
        availability_zone=zone,
        cidr_block=subnet_range(zone),
        map_public_ip_on_launch=True,
        tags={**tags.of_team(f"public-{letter}"), **also},
        opts=opts,
    )
    way = aws.ec2.RouteTableAssociation(
        tags.name(f"public-{letter}"), subnet_id=subnet.id, route_table_id=routes.id, opts=opts
    )
    # Known once there is a way out, so that whatever lives in the subnet comes after it and goes before it.
    # AWS gives no address to a VPC without its gateway, and detaches no gateway while one is in use ("Detach
    # an internet gateway from your VPC").
    return pulumi.Output.all(subnet.id, way.id).apply(lambda found: str(found[0]))


def _closed(tags: Tags, vpc: aws.ec2.Vpc, opts: pulumi.ResourceOptions) -> None:
    """The VPC's default group without rules: what is started by hand without a group reaches nothing."""
    aws.ec2.DefaultSecurityGroup(
        tags.name("default"), vpc_id=vpc.id, ingress=[], egress=[], tags=tags.of_team("default"), opts=opts
    )


def _public_routes(vpc_id: str, invoke: pulumi.InvokeOptions) -> tuple[dict[str, bool], bool]:
    """Which subnets' own route tables lead to the internet, and whether the main table does."""
    by_subnet: dict[str, bool] = {}
    main_is_public = False
    for table_id in aws.ec2.get_route_tables(vpc_id=vpc_id, opts=invoke).ids:
        table = aws.ec2.get_route_table(route_table_id=table_id, opts=invoke)
        public = any(
            route.cidr_block == ANYWHERE and (route.gateway_id or "").startswith("igw-")
            for route in table.routes
        )
        for association in table.associations:
            if association.main:
                main_is_public = public
            elif association.subnet_id:
                by_subnet[association.subnet_id] = public
    return by_subnet, main_is_public

"""The network of a team: public subnets over the zones of a region, and one way in (decision 0008).

There is no NAT gateway: a replica has a public address to go out by, and a security group that lets in the
gateway alone. What that costs and what else was weighed is in docs/decisions/0008.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.offers import Offers
from infra.spec import Spec
from infra.tags import Tags
from infra.vpc import NoNetwork, Vpc, adopted_vpc, own_vpc

HTTP, HTTPS = 80, 443
ANY_PORT = (1, 65535)
WORLD = "0.0.0.0/0"


class Network(pulumi.ComponentResource):
    """Subnets in at least two zones. A team keeps them, and its file system in them, whatever it runs on.

    Raises `infra.vpc.NoNetwork` when an adopted VPC has no public subnets in two zones.
    """

    vpc_id: pulumi.Output[str]
    subnet_ids: list[pulumi.Output[str]]
    """One public subnet for each of `zones`, in their order."""
    zones: list[str]
    """Zones that sell any type of easel's, whatever the endpoints are: one more or less moves no subnet."""
    offers: Offers

    def __init__(
        self, name: str, spec: Spec, tags: Tags, offers: Offers, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("easel:network:Network", name, None, opts)
        self._tags, self._inside = tags, pulumi.ResourceOptions(parent=self)
        self.offers = offers
        vpc = self._vpc(spec)
        self.vpc_id, self.subnet_ids, self.zones = vpc.id, vpc.subnet_ids, vpc.zones
        self.register_outputs(
            {"vpc_id": self.vpc_id, "subnet_ids": self.subnet_ids, **self._security_groups()}
        )

    @property
    def clients(self) -> Mapping[str, pulumi.Output[str]]:
        """Security groups of what mounts the team's files, as far as the network has them."""
        return {}

    def _security_groups(self) -> Mapping[str, pulumi.Output[str]]:
        """Make the groups of what lives here; a cluster has one of its own."""
        return {}

    def _vpc(self, spec: Spec) -> Vpc:
        vpc, useful = spec.team.network.vpc, self.offers.zones
        if vpc:
            return adopted_vpc(vpc, useful, self._inside, addressed=spec.team.runs_on == "cluster")
        return own_vpc(self._tags, useful, self._inside, balanced=spec.team.runs_on == "cluster")

    def subnet_in(self, zone: pulumi.Input[str]) -> pulumi.Output[str]:
        """The public subnet of one of `zones`. Raises NoNetwork for another."""

        def subnet(found: list[str]) -> str:
            wanted, subnets = found[0], dict(zip(self.zones, found[1:], strict=True))
            if wanted not in subnets:
                raise NoNetwork(f"the network has no public subnet in {wanted}, only in {', '.join(subnets)}")
            return subnets[wanted]

        return pulumi.Output.all(zone, *self.subnet_ids).apply(subnet)

    def group(self, noun: str, description: str, opts: pulumi.ResourceOptions) -> aws.ec2.SecurityGroup:
        """A security group of the team's, a child of whoever `opts` says; `Rules` says what passes it."""
        return aws.ec2.SecurityGroup(
            self._tags.name(noun),
            description=description,
            vpc_id=self.vpc_id,
            tags=self._tags.of_team(noun),
            opts=opts,
        )


class InstanceNetwork(Network):
    """The network with the groups of gateway and replicas. The gateway's alone is open to the world."""

    gateway_group_id: pulumi.Output[str]
    replicas_group_id: pulumi.Output[str]
    """Carried by every replica beside its endpoint's group: the ways out, and where the gateway may go."""

    @property
    def clients(self) -> Mapping[str, pulumi.Output[str]]:
        """Gateway and replicas."""
        return {"gateway": self.gateway_group_id, "replicas": self.replicas_group_id}

    def _security_groups(self) -> Mapping[str, pulumi.Output[str]]:
        self.gateway_group_id = self._gateway_group()
        self.replicas_group_id = self._replicas_group()
        return {"gateway_group_id": self.gateway_group_id, "replicas_group_id": self.replicas_group_id}

    def _gateway_group(self) -> pulumi.Output[str]:
        """World → gateway by HTTP (certificates, and a redirect) and HTTPS. Nobody comes in another way."""
        group = self.group("gateway", "The gateway: the only one open to the world", self._inside)
        rules = Rules(self._tags, group.id, self._inside)
        for noun, port in (("http", HTTP), ("https", HTTPS)):
            rules.from_world(f"gateway-{noun}-in", port)
            rules.to_world(f"gateway-{noun}-out", port)
        return group.id

    def _replicas_group(self) -> pulumi.Output[str]:
        """What is the same for all endpoints: AWS gives a group 60 rules, and endpoints may be a hundred.

        Nothing comes in by it. The gateway may go to any port; which one is open, the endpoint's group says.
        """
        group = self.group("replicas", "Every replica of the team: the ways out, and no way in", self._inside)
        rules = Rules(self._tags, group.id, self._inside)
        rules.to_world("replicas-http-out", HTTP)
        rules.to_world("replicas-https-out", HTTPS)
        gateway = Rules(self._tags, self.gateway_group_id, self._inside)
        gateway.to_group("gateway-replicas", ANY_PORT, group.id)
        return group.id


@dataclass(frozen=True)
class Rules:
    """Rules of one security group, each a resource of its own, so that endpoints come and go by themselves.

    A group made by Pulumi lets nothing out until a rule says so. Rules between groups are by reference.
    """

    tags: Tags
    group_id: pulumi.Input[str]
    opts: pulumi.ResourceOptions
    endpoint: str | None = None
    """Whose the rules are, if they are an endpoint's."""

    def from_world(self, noun: str, port: int) -> None:
        """Let the whole internet in at a port. Only the gateway's group may have such a rule."""
        self._rule(aws.vpc.SecurityGroupIngressRule, noun, port, cidr_ipv4=WORLD)

    def to_world(self, noun: str, port: int) -> None:
        """Let out to the whole internet at a port."""
        self._rule(aws.vpc.SecurityGroupEgressRule, noun, port, cidr_ipv4=WORLD)

    def from_group(self, noun: str, port: int, group_id: pulumi.Input[str]) -> None:
        """Let in what belongs to another group."""
        self._rule(aws.vpc.SecurityGroupIngressRule, noun, port, referenced_security_group_id=group_id)

    def to_group(self, noun: str, port: int | tuple[int, int], group_id: pulumi.Input[str]) -> None:
        """Let out to what belongs to another group."""
        self._rule(aws.vpc.SecurityGroupEgressRule, noun, port, referenced_security_group_id=group_id)

    def _rule(
        self,
        kind: "type[aws.vpc.SecurityGroupIngressRule] | type[aws.vpc.SecurityGroupEgressRule]",
        noun: str,
        port: int | tuple[int, int],
        cidr_ipv4: str | None = None,
        referenced_security_group_id: pulumi.Input[str] | None = None,
    ) -> None:
        first, last = (port, port) if isinstance(port, int) else port
        kind(
            self.tags.name(noun, self.endpoint),
            security_group_id=self.group_id,
            description=noun,
            ip_protocol="tcp",
            from_port=first,
            to_port=last,
            cidr_ipv4=cidr_ipv4,
            referenced_security_group_id=referenced_security_group_id,
            tags=self.tags.of_endpoint(self.endpoint, noun) if self.endpoint else self.tags.of_team(noun),
            opts=self.opts,
        )

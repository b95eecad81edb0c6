"""A team on EKS (`runs_on: cluster`), in its own cluster or another stack's: what `pulumi up` provisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.account import AwsAccount, this_account
from infra.boundary import bound_roles
from infra.budget import Alarm
from infra.cluster.addons import Addons, AddonsArgs
from infra.cluster.admins import caller, check_caller
from infra.cluster.control_plane import ControlPlane, ControlPlaneArgs
from infra.cluster.kubeconfig import kubeconfig
from infra.cluster.load_balancer import wildcard_record
from infra.cluster.outputs import export
from infra.cluster.platform import Platform, platform_of
from infra.cluster.rules import OWN
from infra.cluster.tenancy import Tenancy, TenancyArgs
from infra.domain import Domain
from infra.filesystem import Filesystem
from infra.image import Image
from infra.namespace.component import TeamNamespace
from infra.namespace.provider import provider_of
from infra.network import Network
from infra.offers import Offers, offers_for
from infra.preview import show_costs
from infra.readiness import show_readiness
from infra.spec import Spec
from infra.tags import Tags
from infra.vpc import vpc_ranges


@dataclass(frozen=True)
class TeamCluster:
    """The cluster that a team is on, ready for it."""

    platform: Platform
    provider: kubernetes.Provider
    filesystem: Filesystem | None
    ranges: list[pulumi.Input[str]]
    ready: list[pulumi.Resource]


def provision(spec: Spec) -> None:
    """Register everything of the team, and what the stack tells at its end."""
    bound_roles(spec)
    tags, team = Tags.of_stack(spec.name), spec.name
    show_costs(spec)
    show_readiness(spec)
    offers = offers_for(spec)
    domain = Domain(f"{team}-domain", spec, tags)
    image = Image(f"{team}-image", spec, tags)
    account = this_account(image)
    if spec.team.budget:
        Alarm(f"{team}-alarm", spec.team.budget, tags)

    # The cluster: the team's own, or another stack's.
    own = spec.team.platform == OWN
    ground = _own(spec, tags, offers, account) if own else _shared(spec, account)

    # What the team has of it, and the objects in its namespace.
    tenancy = Tenancy(
        f"{team}-tenancy",
        TenancyArgs(
            spec,
            tags,
            account,
            offers,
            ground.platform,
            ground.filesystem,
            ground.ranges,
            domain,
            image,
            ground.provider,
            ground.ready,
        ),
    )
    namespace = TeamNamespace(f"{team}-namespace", spec, tenancy.target)
    wildcard_record(namespace.edge_address, domain, tags, namespace)

    export(spec, ground.platform, namespace, domain, ground.filesystem, image)


def _own(spec: Spec, tags: Tags, offers: Offers, account: AwsAccount) -> TeamCluster:
    team = spec.name
    network = Network(f"{team}-network", spec, tags, offers)
    filesystem = Filesystem(f"{team}-filesystem", spec, tags, network)
    control_plane = ControlPlane(
        f"{team}-control-plane", ControlPlaneArgs(spec.team.cluster, tags, network, account)
    )
    ranges = vpc_ranges(spec.team.network.vpc, network)
    filesystem.let_in("nodes", control_plane.security_group_id)
    platform = Platform(
        region=_output(account.region),
        cluster=_output(control_plane.name),
        endpoint=control_plane.endpoint,
        certificate=control_plane.certificate,
        admins=_output(control_plane.admins),
        node_role=control_plane.node_role,
        security_group=control_plane.security_group_id,
        subnets=pulumi.Output.all(**dict(zip(network.zones, network.subnet_ids, strict=True))),
        ranges=_output(ranges),
        file_system=filesystem.id,
    )
    provider = _provider(team, platform, control_plane, control_plane.ready)
    addons = Addons(
        f"{team}-addons",
        AddonsArgs(tags, account, offers, control_plane, filesystem, platform, provider),
    )
    return TeamCluster(platform, provider, filesystem, [*ranges], [filesystem, addons, *addons.ready])


def _shared(spec: Spec, account: AwsAccount) -> TeamCluster:
    here = pulumi.ComponentResource("easel:cluster:Shared", f"{spec.name}-shared")
    platform, who = platform_of(spec.team.platform, account.region, here), caller(here)
    platform.admins.apply(lambda admins: check_caller(who, admins, spec.team.platform))
    return TeamCluster(platform, _provider(spec.name, platform, here, []), None, [*platform.trusted], [])


def _provider(
    team: str, platform: Platform, parent: pulumi.Resource, ready: Sequence[pulumi.Resource]
) -> kubernetes.Provider:
    found = kubeconfig(platform.cluster, platform.region, platform.endpoint, platform.certificate)
    return provider_of(
        f"{team}-cluster",
        platform.cluster,
        kubeconfig=found,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[*ready]),
    )


def _output(value: Any) -> pulumi.Output[Any]:
    return pulumi.Output.from_input(value)

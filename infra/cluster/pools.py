"""A team's pools of nodes, applied by Pulumi."""

from collections.abc import Iterable

import pulumi

from infra.cluster import nodes
from infra.cluster.nodes import Ground, Manifest, Pool
from infra.cluster.platform import Platform
from infra.namespace.component import KubernetesObject
from infra.offers import Offers, Sold

NODE_CLASS, NODE_POOL = ("eks.amazonaws.com/v1", "NodeClass"), ("karpenter.sh/v1", "NodePool")


def team_pools(
    pools: Iterable[Pool], platform: Platform, offers: Offers, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """A NodePool with its NodeClass for each pool, in zones of the platform that sell its types.

    Raises `infra.offers.NotSold`, once the zones are known, where none does.
    """
    return [_pool_of_team(pool, platform, offers, opts) for pool in pools]


def _pool_of_team(
    pool: Pool, platform: Platform, offers: Offers, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    def sold(ground: Ground) -> Sold:
        return offers.replicas(pool.endpoint, pool.shape, ground.subnets)

    return _registered(
        pool.object_name,
        _ground(platform).apply(lambda ground: nodes.node_class(pool, sold(ground).zones, ground)),
        _ground(platform).apply(lambda ground: nodes.node_pool(pool, sold(ground))),
        opts,
    )


def system_nodes(
    team: str, platform: Platform, offers: Offers, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """The pool of what every cluster runs: gateways, KEDA, controllers of drivers."""

    def sold(ground: Ground) -> Sold:
        return offers.system(nodes.front(ground.subnets))

    return _registered(
        nodes.system_name(team),
        _ground(platform).apply(lambda ground: nodes.system_class(team, sold(ground).zones, ground)),
        _ground(platform).apply(lambda ground: nodes.system_pool(team, sold(ground))),
        opts,
    )


def _ground(platform: Platform) -> pulumi.Output[Ground]:
    return pulumi.Output.all(platform.node_role, platform.security_group, platform.subnets).apply(
        lambda found: Ground(found[0], found[1], found[2])
    )


def _registered(
    name: str,
    node_class: pulumi.Output[Manifest],
    node_pool: pulumi.Output[Manifest],
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    how = KubernetesObject(name, _object(*NODE_CLASS, name, node_class), opts)
    after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[how]))
    return KubernetesObject(name, _object(*NODE_POOL, name, node_pool), after)


def _object(version: str, kind: str, name: str, made: pulumi.Output[Manifest]) -> Manifest:
    spec = made.apply(lambda found: found["spec"])
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}

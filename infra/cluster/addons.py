"""What is in a cluster once, for all its teams: nodes for gateways, network policies, volumes, KEDA."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from infra.account import AwsAccount
from infra.cluster.control_plane import ControlPlane
from infra.cluster.platform import Platform
from infra.cluster.pools import system_nodes
from infra.cluster.volumes import DriverArgs, efs_driver
from infra.filesystem import Filesystem
from infra.keda import Keda
from infra.namespace.component import KubernetesObject
from infra.offers import Offers
from infra.tags import Tags


@dataclass(frozen=True)
class AddonsArgs:
    """What they are made from."""

    tags: Tags
    account: AwsAccount
    offers: Offers
    control_plane: ControlPlane
    filesystem: Filesystem
    platform: Platform
    provider: kubernetes.Provider


class Addons(pulumi.ComponentResource):
    """What a cluster of easel's has beside what EKS puts into it."""

    ready: Sequence[pulumi.Resource]
    """What must be there as long as a team's objects are: files cannot be let go of without it."""

    def __init__(self, name: str, args: AddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("easel:cluster:Addons", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self, provider=args.provider)
        policies = _network_policies(inside)
        nodes = system_nodes(args.tags.team, args.platform, args.offers, inside)
        driver = efs_driver(
            DriverArgs(
                args.control_plane.name,
                args.filesystem.arn,
                args.tags,
                args.account,
                # A pod that mounts ends before the way to its files does.
                [*args.control_plane.ready, args.filesystem, nodes],
            ),
            self,
        )
        # Helm waits for nothing by itself: KEDA's pods are there when nodes are.
        keda = Keda(
            f"{args.tags.team}-keda",
            args.provider,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.control_plane.ready, nodes]),
        )
        self.ready = [policies, nodes, driver, keda]
        self.register_outputs({})


def _network_policies(opts: pulumi.ResourceOptions) -> pulumi.Resource:
    """Auto Mode enforces no NetworkPolicy until this is there ("Use Network Policies with EKS Auto Mode")."""
    return KubernetesObject(
        "amazon-vpc-cni",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "amazon-vpc-cni", "namespace": "kube-system"},
            "data": {"enable-network-policy-controller": "true"},
        },
        opts,
    )

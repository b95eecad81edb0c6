"""The driver that mounts the team's file system for pods: EKS's add-on of the EFS CSI driver."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.account import AwsAccount
from infra.cluster import policies, versions
from infra.policies import document
from infra.tags import Tags

DRIVER = "efs.csi.aws.com"
OPTIONS = ("iam",)
"""Of every volume: the file system's policy lets in nobody without an identity. TLS comes with the access
point by itself (the driver's `node.go`)."""
NAMESPACE, ACCOUNT = "kube-system", "efs-csi-node-sa"
"""Who mounts: the driver's pod on the node, by its own role."""

CONFIGURATION = {
    "node": {
        # Without requests the plugin is the first to be starved on a node at work, and with the default probe
        # (10 s in all) it is then killed in the middle of mounts: 345 restarts a day were seen elsewhere
        # (mitodl/ol-infrastructure#5162). The probe waits for 50 s here.
        "resources": {"requests": {"cpu": "25m", "memory": "64Mi"}},
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "healthz"},
            "initialDelaySeconds": 10,
            "timeoutSeconds": 5,
            "periodSeconds": 10,
            "failureThreshold": 5,
        },
    },
}
"""The controller makes volumes, of which easel asks for none (they are static): it has no role."""


@dataclass(frozen=True)
class DriverArgs:
    """What the driver is set up from."""

    cluster: str
    file_system_arn: pulumi.Input[str]
    tags: Tags
    account: AwsAccount
    ready: list[pulumi.Resource]
    """Nodes for its controller: an add-on is made once its pods run."""


def efs_driver(args: DriverArgs, parent: pulumi.Resource) -> aws.eks.Addon:
    """The add-on, with the role that its pods on nodes mount by. Pods that mount must end before it.

    The association is a resource of its own: the add-on's own ones are for its controller only
    (kubernetes-sigs/aws-efs-csi-driver#1759). It comes first, as a pod learns of its role when it starts.
    """
    inside = pulumi.ResourceOptions(parent=parent)
    noun = "mounts"
    role = aws.iam.Role(
        args.tags.name(noun),
        description=f"Mounts the file system of team {args.tags.team} on nodes of its cluster",
        assume_role_policy=document(policies.pod_trust(args.cluster, NAMESPACE, ACCOUNT)),
        tags=args.tags.of_team(noun),
        opts=inside,
    )
    rights = aws.iam.RolePolicy(
        args.tags.name(noun),
        role=role.name,
        policy=pulumi.Output.from_input(args.file_system_arn).apply(
            lambda arn: document(policies.mount_statements(args.account, arn))
        ),
        opts=inside,
    )
    identity = aws.eks.PodIdentityAssociation(
        args.tags.name(noun),
        cluster_name=args.cluster,
        namespace=NAMESPACE,
        service_account=ACCOUNT,
        role_arn=role.arn,
        tags=args.tags.of_team(noun),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[rights, *args.ready]),
    )
    return aws.eks.Addon(
        args.tags.name("efs"),
        cluster_name=args.cluster,
        addon_name=versions.DRIVER,
        addon_version=versions.DRIVER_VERSION,
        configuration_values=json.dumps(CONFIGURATION, sort_keys=True),
        # What somebody changed by hand gives way to what the file says.
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        preserve=False,
        tags=args.tags.of_team("efs"),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[identity, *args.ready]),
    )

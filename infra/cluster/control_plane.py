"""The control plane: an EKS cluster in Auto Mode, who may come to it, and what it writes down."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.account import AwsAccount
from infra.cluster import policies
from infra.cluster.admins import admins_of
from infra.cluster.kubeconfig import kubeconfig
from infra.cluster.principals import name_of
from infra.cluster.versions import VERSION
from infra.cluster.zones import open_to_eks
from infra.network import Network
from infra.policies import Statement, document
from infra.spec import ClusterSpec
from infra.tags import Tags

LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
LOGS_KEPT = 14
"""Days."""
KEY_GONE = 7
"""Days that KMS waits before it deletes a key: its least."""


@dataclass(frozen=True)
class ControlPlaneArgs:
    """What a cluster is made from."""

    cluster: ClusterSpec
    tags: Tags
    network: Network
    account: AwsAccount


class ControlPlane(pulumi.ComponentResource):
    """An EKS cluster whose machines, load balancers and disks are EKS's to make (Auto Mode).

    It has none of EKS's own pools of nodes: `infra.cluster.nodes` says which there are. Raises, at preview,
    NotAdmin where the caller is not among `cluster.admins`, and what `open_to_eks` does.
    """

    name: str
    security_group_id: pulumi.Output[str]
    """Of the control plane and every node, made by EKS: whoever is in it is let in, and nobody else."""
    node_role: pulumi.Output[str]
    """The name of the role that nodes have."""
    endpoint: pulumi.Output[str]
    certificate: pulumi.Output[str]
    """The authority that the API's certificate is of, as base64."""
    kubeconfig: pulumi.Output[str]
    admins: Sequence[str]
    """ARNs of roles and users."""
    ready: Sequence[pulumi.Resource]
    """What an object of the cluster's needs: the cluster, its admins, its nodes' right to join."""

    def __init__(self, name: str, args: ControlPlaneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("easel:cluster:ControlPlane", name, None, opts)
        self._args, self._tags = args, args.tags
        self._inside = pulumi.ResourceOptions(parent=self)
        self.name = self._tags.name("cluster")
        self.admins = admins_of(args.cluster, self)
        cluster = self._cluster()
        nodes, rights = self._nodes()
        self.security_group_id = cluster.vpc_config.cluster_security_group_id.apply(str)
        self.node_role, self.endpoint = nodes.name, cluster.endpoint
        self.certificate = cluster.certificate_authority.data.apply(str)
        self.kubeconfig = kubeconfig(self.name, args.account.region, self.endpoint, self.certificate)
        self.ready = [cluster, *rights, self._joins(cluster, nodes), *self._admins(cluster)]
        self.register_outputs({"name": self.name, "endpoint": self.endpoint})

    def _logs(self) -> aws.cloudwatch.LogGroup:
        """EKS would make it, and leave it behind: this one has a retention, and goes with the stack."""
        return aws.cloudwatch.LogGroup(
            self._tags.name("cluster"),
            name=f"/aws/eks/{self.name}/cluster",
            retention_in_days=LOGS_KEPT,
            tags=self._tags.of_team("cluster"),
            opts=self._inside,
        )

    def _key(self) -> aws.kms.Key:
        """By KMS's default policy: the account's own policies decide who uses it."""
        return aws.kms.Key(
            self._tags.name("secrets"),
            description=f"Secrets of the cluster of team {self._tags.team}",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_GONE,
            tags=self._tags.of_team("secrets"),
            opts=self._inside,
        )

    def _role(self, key: aws.kms.Key) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        """What EKS acts by, and its rights."""
        role = self._new_role("cluster", "What EKS does for the cluster of", policies.cluster_trust())
        account = self._args.account
        rest = [*policies.log_statements(account, self.name), *policies.tag_statements(account)]
        own = aws.iam.RolePolicy(
            self._tags.name("cluster"),
            role=role.name,
            policy=key.arn.apply(lambda arn: document([*policies.secrets_statements(arn), *rest])),
            opts=self._inside,
        )
        return role, [own, *self._attach("cluster", role, policies.OF_THE_CLUSTER)]

    def _cluster(self) -> aws.eks.Cluster:
        args, asked = self._args, self._args.cluster
        logs, key = self._logs(), self._key()
        role, rights = self._role(key)
        return aws.eks.Cluster(
            self.name,
            # A name of its own choice: the log group and the trust of pods' roles say it beforehand.
            name=self.name,
            role_arn=role.arn,
            version=asked.version or VERSION,
            # When its support ends a version is upgraded by EKS, and not paid for at six times the price.
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            access_config=aws.eks.ClusterAccessConfigArgs(
                authentication_mode="API",
                # Who may is in the file, and nowhere else.
                bootstrap_cluster_creator_admin_permissions=False,
            ),
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                subnet_ids=self._subnets(),
                endpoint_private_access=True,
                endpoint_public_access=not asked.private,
            ),
            # The three of Auto Mode, which EKS takes together or not at all.
            compute_config=aws.eks.ClusterComputeConfigArgs(enabled=True, node_pools=[]),
            kubernetes_network_config=aws.eks.ClusterKubernetesNetworkConfigArgs(
                elastic_load_balancing=aws.eks.ClusterKubernetesNetworkConfigElasticLoadBalancingArgs(
                    enabled=True
                )
            ),
            storage_config=aws.eks.ClusterStorageConfigArgs(
                block_storage=aws.eks.ClusterStorageConfigBlockStorageArgs(enabled=True)
            ),
            bootstrap_self_managed_addons=False,
            enabled_cluster_log_types=list(LOGS),
            encryption_config=aws.eks.ClusterEncryptionConfigArgs(
                provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=key.arn), resources=["secrets"]
            ),
            tags=self._tags.of_team("cluster"),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Until it is gone too: by its rights, and by the ways out, EKS takes machines down.
                depends_on=[logs, args.network, *rights],
                delete_before_replace=True,
                # A cluster stays in the zones that it was made in: EKS refuses a subnet in another, such as
                # one that AWS has begun to sell GPUs in. Nodes go there all the same.
                ignore_changes=["vpcConfig.subnetIds"],
            ),
        )

    def _subnets(self) -> list[pulumi.Output[str]]:
        network = self._args.network
        zones = open_to_eks(network.zones, self)
        return [
            subnet for zone, subnet in zip(network.zones, network.subnet_ids, strict=True) if zone in zones
        ]

    def _nodes(self) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        """What nodes act by, and its rights."""
        role = self._new_role("nodes", "What nodes do in the cluster of", policies.node_trust())
        return role, self._attach("nodes", role, policies.OF_NODES)

    def _joins(self, cluster: aws.eks.Cluster, nodes: aws.iam.Role) -> pulumi.Resource:
        """Without it nodes of our own NodeClasses start and never join."""
        return self._entry("nodes", cluster, nodes.arn, policies.AUTO_NODE, "EC2")

    def _admins(self, cluster: aws.eks.Cluster) -> list[pulumi.Resource]:
        return [
            self._entry("-".join(("admin", *name_of(arn))), cluster, arn, policies.ADMIN, "STANDARD")
            for arn in self.admins
        ]

    def _entry(
        self, noun: str, cluster: aws.eks.Cluster, principal: pulumi.Input[str], policy: str, kind: str
    ) -> pulumi.Resource:
        entry = aws.eks.AccessEntry(
            self._tags.name(noun),
            cluster_name=cluster.name,
            principal_arn=principal,
            type=kind,
            tags=self._tags.of_team(noun),
            opts=self._inside,
        )
        return aws.eks.AccessPolicyAssociation(
            self._tags.name(noun),
            cluster_name=cluster.name,
            principal_arn=entry.principal_arn,
            policy_arn=policies.access(self._args.account, policy),
            access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            opts=self._inside,
        )

    def _new_role(self, noun: str, what: str, trust: list[Statement]) -> aws.iam.Role:
        return aws.iam.Role(
            self._tags.name(noun),
            description=f"{what} team {self._tags.team}",
            assume_role_policy=document(trust),
            tags=self._tags.of_team(noun),
            opts=self._inside,
        )

    def _attach(self, noun: str, role: aws.iam.Role, policy_names: Sequence[str]) -> list[pulumi.Resource]:
        return [
            aws.iam.RolePolicyAttachment(
                self._tags.name(f"{noun}-{policy}"),
                role=role.name,
                policy_arn=policies.managed(self._args.account, policy),
                opts=self._inside,
            )
            for policy in policy_names
        ]

"""What roles of a cluster may do, and who may take them: pure functions, as `infra.policies`.

Where AWS keeps a policy for a job of EKS it is attached by name, as it changes with what Auto Mode does; the
rest names its resources. Facts are from the EKS user guide, pages "Amazon EKS Auto Mode cluster IAM role",
"Amazon EKS Auto Mode node IAM role", "Create IAM role with trust policy required by EKS Pod Identity" and
"Amazon EKS cluster IAM role".
"""

from collections.abc import Sequence

from infra.account import AwsAccount
from infra.filesystem import ACCESS_POINT, MOUNT
from infra.policies import Statement, supply_statements

OF_THE_CLUSTER = (
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
"""AWS's own policies that Auto Mode acts by."""

OF_NODES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy")
"""Pull images, the add-ons' among them (which are in registries of AWS, another one in each region), and hand
pods their own roles. Nothing else is a node's."""

ADMIN, AUTO_NODE = "AmazonEKSClusterAdminPolicy", "AmazonEKSAutoNodePolicy"
"""Access policies of EKS: what a principal may do inside the cluster."""

_CLUSTER, _PODS, _NODES = "eks.amazonaws.com", "pods.eks.amazonaws.com", "ec2.amazonaws.com"


def managed(account: AwsAccount, name: str) -> str:
    """The ARN of one of AWS's policies."""
    return f"arn:{account.partition}:iam::aws:policy/{name}"


def access(account: AwsAccount, name: str) -> str:
    """The ARN of one of EKS's access policies."""
    return f"arn:{account.partition}:eks::aws:cluster-access-policy/{name}"


def cluster_trust() -> list[Statement]:
    """EKS takes the role for the cluster that it was handed for (`iam:PassRole`). Auto Mode tags its sessions
    with the cluster's name."""
    return [_trust("OnlyEks", _CLUSTER)]


def node_trust() -> list[Statement]:
    """EC2, for an instance that Auto Mode starts."""
    return [
        {
            "Sid": "OnlyInstances",
            "Effect": "Allow",
            "Principal": {"Service": _NODES},
            "Action": "sts:AssumeRole",
        }
    ]


def pod_trust(cluster: str, namespace: str, service_account: str) -> list[Statement]:
    """Pods of one service account of one cluster, by the tags that Pod Identity gives each session."""
    tags = {
        "eks-cluster-name": cluster,
        "kubernetes-namespace": namespace,
        "kubernetes-service-account": service_account,
    }
    of_request = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return [_trust("OnlyThisServiceAccount", _PODS) | {"Condition": {"StringEquals": of_request}}]


def log_statements(account: AwsAccount, cluster: str) -> list[Statement]:
    """The cluster writes into the log group that is there, and never makes one.

    EKS still writes while it is deleted: the group that Pulumi has just removed would be made again, without
    a retention and nobody's (terraform-aws-modules/terraform-aws-eks#920).
    """
    group = account.arn("logs", f"log-group:/aws/eks/{cluster}/cluster")
    return [
        {
            "Sid": "TheLogGroupIsTheStacks",
            "Effect": "Deny",
            "Action": "logs:CreateLogGroup",
            "Resource": [group, f"{group}:*"],
        }
    ]


def tag_statements(account: AwsAccount) -> list[Statement]:
    """EKS gives what it makes for this cluster our tags beside its own.

    AWS's policies allow its own alone (`aws:TagKeys`): with ours each request would be refused. These are
    those of "Custom AWS tags for EKS Auto resources", held to the account and region; ours are set once and
    never changed, so that nothing that exists may be tagged by them.
    """
    ec2, balancing = account.arn("ec2", "*"), account.arn("elasticloadbalancing", "*")
    compute = ("CreateFleet", "CreateLaunchTemplate", "RunInstances")
    balancer = ("CreateListener", "CreateLoadBalancer", "CreateRule", "CreateTargetGroup")
    return [
        _tagged(
            "TagMachines",
            [f"ec2:{action}" for action in compute],
            [ec2],
            ("kubernetes-node-class-name", "kubernetes-node-pool-name"),
        ),
        _tagged("TagAddresses", ["ec2:CreateNetworkInterface"], [ec2], ("kubernetes-cni-node-name",)),
        _tagged(
            "TagBalancers",
            ["ec2:CreateSecurityGroup", *(f"elasticloadbalancing:{action}" for action in balancer)],
            [ec2, balancing],
        ),
    ]


def secrets_statements(key_arn: str) -> list[Statement]:
    """The cluster's role uses the key that Kubernetes' secrets are encrypted with."""
    return [
        {
            "Sid": "EncryptSecrets",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ListGrants"],
            "Resource": key_arn,
        }
    ]


def mount_statements(account: AwsAccount, file_system_arn: str) -> list[Statement]:
    """The driver on each node mounts this file system, by access points only.

    Which one a pod gets is said by its volume, which only who may make volumes can say: the driver has one
    role for all pods of the cluster, as it mounts in their place.
    """
    points = account.arn("elasticfilesystem", "access-point/*")
    return [
        {
            "Sid": "MountByAccessPoints",
            "Effect": "Allow",
            "Action": list(MOUNT),
            "Resource": file_system_arn,
            "Condition": {"StringLike": {ACCESS_POINT: points}},
        }
    ]


def fetch_statements(account: AwsAccount, models: Sequence[str]) -> list[Statement]:
    """What gateways need for models by `s3://`, each object by its name; nothing for others, whose tokens
    are in a Secret of the namespace."""
    return supply_statements(account, models, {})


def _tagged(
    sid: str, actions: Sequence[str], resources: Sequence[str], marks: Sequence[str] = ()
) -> Statement:
    """To make what EKS marks as this cluster's: its session says which that is. `marks` are there too."""
    ours = {"aws:RequestTag/eks:eks-cluster-name": "${aws:PrincipalTag/eks:eks-cluster-name}"}
    marked = {f"aws:RequestTag/eks:{mark}": "*" for mark in marks}
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(resources),
        "Condition": {"StringEquals": ours, **({"StringLike": marked} if marked else {})},
    }


def _trust(sid: str, service: str) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }

"""Nothing is made that nothing uses, and nothing is allowed that nothing asks for."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.infra.calls import action, in_python
from tests.infra.graph import Graph
from tests.infra.program_stacks import STACKS, graph_of

ROOT = Path(__file__).resolve().parents[2]

HOLDERS = {
    "Bucket", "Role", "InstanceProfile", "SecurityGroup", "LogGroup", "AccessPoint", "LaunchTemplate",
    "Volume", "FileSystem", "Subnet", "Eip", "Token", "Project", "Vpc", "Repository", "Key", "Queue",
    "Topic", "Secret", "Parameter", "Table",
}  # fmt: skip
"""Kinds that are for others to use. The rest acts by being there: a record answers."""

OWN = {
    # What only says how its resource is, and uses it for nothing.
    "BucketPolicy", "BucketPublicAccessBlock", "BucketServerSideEncryptionConfiguration", "BucketVersioning",
    "BucketLifecycleConfiguration", "RolePolicy", "RolePolicyAttachment", "SecurityGroupIngressRule",
    "SecurityGroupEgressRule", "FileSystemPolicy", "BackupPolicy", "LifecyclePolicy", "RouteTableAssociation",
}  # fmt: skip


@pytest.fixture(params=STACKS)
def graph(request: pytest.FixtureRequest) -> Graph:
    return graph_of(request.param)


def idle(graph: Graph) -> list[str]:
    """Resources that no other one refers to, except to close or describe them."""
    users = [node for node in graph.nodes if node.custom and node.short not in OWN]
    return [
        node.name
        for node in graph.nodes
        if node.custom
        and node.short in HOLDERS
        and not any(node.urn in user.depends for user in users if user is not node)
    ]


def test_everything_that_is_made_is_used(graph: Graph) -> None:
    """What nobody reads or writes has a price, a policy and a place in everybody's head all the same."""
    # What endpoints share is there before the first of them comes.
    waits = set() if graph.of("Group") else {"easel-art-replicas"}
    assert set(idle(graph)) == waits


ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z*]+")

BY_OTHERS = {
    # What is asked for by programs that are not ours, by the page that says that they do.
    "elasticfilesystem:ClientMount": "the mount helper (Using IAM to control access to file systems, EFS)",
    "elasticfilesystem:ClientWrite": "the same",
    "logs:CreateLogStream": "docker's driver awslogs (Amazon CloudWatch Logs logging driver); CodeBuild",
    "logs:PutLogEvents": "the same",
    "ecr:BatchCheckLayerAvailability": "docker pull and push (IAM permissions for pushing an image, ECR)",
    "ecr:BatchGetImage": "docker pull",
    "ecr:BatchImportUpstreamImage": "docker pull through a cache (IAM permissions required to sync, ECR)",
    "ecr:GetDownloadUrlForLayer": "docker pull",
    "ecr:CompleteLayerUpload": "docker push, of the bake alone",
    "ecr:InitiateLayerUpload": "docker push, of the bake alone",
    "ecr:PutImage": "docker push, of the bake alone",
    "ecr:UploadLayerPart": "docker push, of the bake alone",
    "ecr:GetAuthorizationToken": "docker login, by `aws ecr get-login-password`",
    "kms:Decrypt": "Secrets Manager, in the reader's name (Secret encryption and decryption)",
    "s3:GetObjectVersion": "CodeBuild (Allow CodeBuild to interact with other services); pinned downloads",
    "secretsmanager:GetSecretValue": "the hosts' secret.py; the gateway's client of the same service",
    "ssm:UpdateInstanceInformation": "the SSM agent (Add Session Manager permissions to a role)",
    "ssmmessages:CreateControlChannel": "the SSM agent",
    "ssmmessages:CreateDataChannel": "the SSM agent",
    "ssmmessages:OpenControlChannel": "the SSM agent",
    "ssmmessages:OpenDataChannel": "the SSM agent",
    "sts:AssumeRole": "EC2 and CodeBuild, who take the role",
}


def allowed(graph: Graph) -> dict[str, set[str]]:
    """The actions of each policy of a role, by the policy's name."""
    found: dict[str, set[str]] = {}
    for policy in graph.of("RolePolicy"):
        for statement in policy.document():
            actions: Any = statement["Action"]
            found.setdefault(policy.name, set()).update([actions] if isinstance(actions, str) else actions)
    return found


@cache
def asked(*folders: str) -> set[str]:
    """The actions that our own code asks for: boto3's calls by name, and the command line's."""
    text = "\n".join(
        file.read_text()
        for folder in folders
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".sh")
    )
    calls = in_python(text)
    calls |= set(re.findall(r"\baws (autoscaling|ec2|s3|logs) ([a-z]+[a-z0-9-]*)", text))
    # The journal puts its words together.
    calls |= {("logs", call) for call in re.findall(r'aws\("([a-z-]+)"', text)}
    return {action(*call) for call in calls}


@pytest.mark.parametrize("stack", ["warm", "spot", "own container", "single sign-on", "ten of five shapes"])
def test_every_action_that_is_allowed_is_asked_for(stack: str) -> None:
    """A right that nobody needs is what a thief of the role would use first."""
    hosts = asked("infra/instances/host")
    by_role = {
        "gateway": hosts | asked("image/easel/gateway"),
        "replicas": hosts,
        "bake": {"s3:GetObject"},  # CodeBuild itself, of the archive
        "supply": {"s3:GetObject"},  # the models' own client, in the gateway's container
    }
    for name, actions in allowed(graph_of(stack)).items():
        unused = actions - by_role[name.rpartition("-")[2]] - BY_OTHERS.keys()
        assert not unused, f"{name}: {sorted(unused)}"
        assert all(ACTION.fullmatch(action) and "*" not in action for action in actions), name

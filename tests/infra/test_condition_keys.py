"""Every condition of every policy goes by a key that AWS documents for that action.

A key that a service does not put into a request holds or fails for everybody alike, and no stand-in notices:
a file system's policy went by the principal's tags, which EFS enforces for no client.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.account import AwsAccount
from infra.policies import AwsSecret, supply_statements
from tests.infra.cluster.stacks import CLUSTER_STACKS, cluster_graph
from tests.infra.graph import Graph, Node
from tests.infra.program_stacks import STACKS, graph_of

DOCUMENTED: dict[str, list[str]] = json.loads((Path(__file__).parent / "condition_keys.json").read_text())[
    "actions"
]
"""From the Service Authorization Reference; the file names the pages and the day."""

EVERYWHERE = {"aws:PrincipalAccount", "aws:PrincipalArn", "aws:RequestedRegion", "aws:SecureTransport"}
"""In every request that is signed ("AWS global condition context keys", Availability)."""

FROM_A_SERVICE = {"aws:SourceAccount", "aws:SourceArn"}
"""In requests that a service makes for a resource (the same page): CodeBuild names its project ("Allow
CodeBuild to interact with other AWS services")."""
SAYS_SOURCE = {"codebuild.amazonaws.com"}

OF_NFS_CLIENTS = {
    "aws:SecureTransport",
    "aws:SourceIp",
    "elasticfilesystem:AccessPointArn",
    "elasticfilesystem:AccessedViaMountTarget",
}
"""All that EFS enforces for `elasticfilesystem:Client*`, no global key beside them (EFS user guide, "Using
IAM to control access to file systems", EFS condition keys for clients)."""


def undocumented(statement: dict[str, Any]) -> Iterator[str]:
    """The keys of a statement that one of its actions does not know, each with the action."""
    actions = statement["Action"]
    principal = statement.get("Principal")
    services = {str(principal.get("Service"))} if isinstance(principal, dict) else set()
    for keys in statement.get("Condition", {}).values():
        for key in keys:
            for action in [actions] if isinstance(actions, str) else actions:
                if not _known(action, key, services):
                    yield f"{action} {key}"


def _known(action: str, key: str, services: set[str]) -> bool:
    if action.startswith("elasticfilesystem:Client"):
        return key in OF_NFS_CLIENTS
    if key in EVERYWHERE or (key in FROM_A_SERVICE and services and services <= SAYS_SOURCE):
        return True
    if "*" in action:
        return False  # of an action that is not named nobody can say more
    assert action in DOCUMENTED, f"look {action} up in the Service Authorization Reference and add its keys"
    return any(re.fullmatch(_pattern(one), key, re.IGNORECASE) for one in DOCUMENTED[action])


def _pattern(documented: str) -> str:
    """`aws:ResourceTag/${TagKey}` stands for a tag of any name."""
    return re.sub(r"\\\$\\\{\w+\\\}", ".+", re.escape(documented))


def policies(graph: Graph) -> Iterator[tuple[Node, str, list[dict[str, Any]]]]:
    """Every input of every resource that is a policy: of identities, resources, trusts, keys."""
    for node in graph.nodes:
        for name, value in node.inputs.items():
            if isinstance(value, str) and '"Statement"' in value:
                yield node, name, node.document(name)


@pytest.mark.parametrize("stack", STACKS)
def test_every_condition_goes_by_a_key_that_aws_documents_for_the_action(stack: str) -> None:
    """In the whole program, whatever the policy is of."""
    seen = set()
    for node, name, statements in policies(graph_of(stack)):
        seen.add((node.short, name))
        for statement in statements:
            assert not list(undocumented(statement)), (node.urn, statement.get("Sid"))
    assert seen >= {("FileSystemPolicy", "policy"), ("BucketPolicy", "policy"), ("RolePolicy", "policy")}
    assert ("Role", "assumeRolePolicy") in seen


@pytest.mark.parametrize("stack", CLUSTER_STACKS)
def test_on_a_cluster_too(stack: str) -> None:
    """Pod Identity's tags among them, which say whose pods take a role."""
    found = {node.short: statements for node, _, statements in policies(cluster_graph(stack))}
    assert found
    for statements in found.values():
        for statement in statements:
            assert not list(undocumented(statement)), statement.get("Sid")


def test_a_secret_under_a_key_of_ones_own_goes_by_documented_keys_too() -> None:
    """No stack of the graph's has one; the statement is the same for hosts and gateway."""
    account = AwsAccount("aws", "us-east-1", "111122223333")
    secret = AwsSecret(account.arn("secretsmanager", "secret:x-AbCdEf"), account.arn("kms", "key/1"))
    for statement in supply_statements(account, ["hf://a/b/c"], {"HF_TOKEN": secret}):
        assert not list(undocumented(statement))


@pytest.mark.parametrize(
    ("action", "key"),
    [
        ("elasticfilesystem:ClientMount", "aws:PrincipalTag/easel:team"),
        ("elasticfilesystem:ClientWrite", "aws:PrincipalArn"),
        ("s3:*", "aws:ResourceTag/easel:team"),
        ("autoscaling:SetDesiredCapacity", "autoscaling:MaxSize"),
        ("kms:Decrypt", "aws:ResourceTag/easel:team"),
        ("sts:AssumeRole", "aws:SourceArn"),
    ],
)
def test_the_rule_finds_what_aws_does_not_document(action: str, key: str) -> None:
    """The first is what the file system's policy once went by. EC2 names no source when it takes a role."""
    statement = {
        "Action": action,
        "Principal": {"Service": "ec2.amazonaws.com"},
        "Condition": {"StringEquals": {key: "x"}},
    }
    assert list(undocumented(statement)) == [f"{action} {key}"]

"""A team on another stack's cluster: what it has there, and what it has not."""

from typing import Any

import pulumi
import pytest

from infra.cluster.platform import checked
from tests.infra.cluster.stacks import CUSTOM, cluster_graph, folders


def test_a_team_on_a_platform_has_a_part_of_it_and_no_cluster() -> None:
    """Machines, folders, balancer, role of its own; network, cluster and file system are the platform's."""
    platform, tenant = cluster_graph("platform"), cluster_graph("on a platform")
    for kind in ("Cluster", "Vpc", "FileSystem", "FileSystemPolicy", "MountTarget", "Addon", "Key", "Chart"):
        assert not tenant.of(kind), kind
    assert "platform" not in tenant.outputs
    assert all(path.startswith("/teams/art/") for path in folders(tenant).values())
    assert not any(path.startswith("/teams/") for path in folders(platform).values())
    (files,) = {node.inputs["fileSystemId"] for node in tenant.of("AccessPoint")}
    assert files == platform.outputs["storage"]["file_system"]
    objects = [
        {(n.type, n.inputs["metadata"]["name"]) for n in found.nodes if n.short in {*CUSTOM, "Namespace"}}
        for found in (platform, tenant)
    ]
    assert not objects[0] & objects[1], "two stacks with one object"
    (mine,) = tenant.of("IngressClassParams")
    assert mine.inputs["spec"]["namespaceSelector"] == {
        "matchLabels": {"kubernetes.io/metadata.name": "easel-art"}
    }


def test_a_teams_pods_go_to_its_own_machines_on_a_platform_too() -> None:
    """Selected by the team's label, which its nodes are also tainted with; gateways to the shared ones."""
    tenant = cluster_graph("on a platform")
    for node in tenant.of("Deployment"):
        asked = node.inputs["spec"]["template"]["spec"]
        if node.inputs["metadata"]["name"] == "gateway":
            assert "nodeSelector" not in asked
        else:
            assert asked["nodeSelector"]["easel/team"] == "art"
    for pool in tenant.of("NodePool"):
        taints = pool.inputs["spec"]["template"]["spec"]["taints"]
        assert {"key": "easel/team", "value": "art", "effect": "NoSchedule"} in taints


@pytest.mark.parametrize(
    ("exported", "said"),
    [
        (None, "shares no cluster"),
        ({"region": "us-east-1"}, "does not tell"),
        ("elsewhere", "take the same"),
    ],
)
def test_a_platform_that_is_none_is_refused(exported: Any, said: str) -> None:
    """With what to do there."""
    if exported == "elsewhere":
        exported = {**cluster_graph("platform").outputs["platform"], "region": "eu-west-1"}
    with pytest.raises(pulumi.RunError, match=said):
        checked(exported, "company", "us-east-1")

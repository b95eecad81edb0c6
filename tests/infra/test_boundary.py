"""`iam.permissions_boundary`: every role of a stack carries it from its first request on."""

from typing import Any

import pytest

from infra.cluster.platform import EXPORT
from infra.faults import SpecError
from infra.stackfile import read_spec
from tests.infra.cluster.stacks import CLUSTER, TEAM, cluster_graph, run_cluster
from tests.infra.graph import Graph, Node, provision
from tests.infra.program_stacks import STACKS, Stack, graph_of, stacks_world

BOUNDARY = "arn:aws:iam::111122223333:policy/platform/easel-boundary"
IAM = {"iam": {"permissions_boundary": BOUNDARY}}


def roles(graph: Graph) -> list[Node]:
    """Roles of AWS; Kubernetes has some of its own."""
    return [node for node in graph.of("Role") if node.type.startswith("aws:")]


def boundaries(graph: Graph) -> dict[str, Any]:
    """What each role carries, by its name."""
    return {node.name: node.inputs.get("permissionsBoundary") for node in roles(graph)}


@pytest.mark.parametrize("name", ["ten of five shapes", "own container", "longest names"])
def test_every_role_on_instances_carries_it(name: str) -> None:
    """The gateway's, the bake's and each endpoint's."""
    stack = STACKS[name]
    graph = provision(stack.endpoints, {**stack.team, **IAM}, stack.name, stacks_world())
    assert set(boundaries(graph).values()) == {BOUNDARY}
    assert len(graph.of("Role")) == len(stack.endpoints) + 2


@pytest.mark.parametrize("team", [CLUSTER, {"runs_on": "cluster", "platform": "company"}])
def test_every_role_on_a_cluster_carries_it(team: dict[str, Any]) -> None:
    """The cluster's, its nodes', the driver's, the gateways' and the bake's. Auto Mode makes none itself."""
    world = stacks_world()
    world.exports["organization/easel/company"] = {EXPORT: cluster_graph("platform").outputs[EXPORT]}
    graph = run_cluster(Stack(TEAM, {**team, **IAM}), world)
    assert roles(graph)
    assert set(boundaries(graph).values()) == {BOUNDARY}


def test_without_one_nothing_is_said_of_it() -> None:
    """Or every stack's roles would change with this version."""
    assert set(boundaries(graph_of("one")).values()) == {None}
    kept = {node.name: node.inputs for node in graph_of("one").of("Role")}
    bound = {node.name: node.inputs for node in provision(STACKS["one"].endpoints, IAM).of("Role")}
    assert {name: {**inputs, "permissionsBoundary": BOUNDARY} for name, inputs in kept.items()} == bound


@pytest.mark.parametrize("value", ["easel", "arn:aws:iam::111122223333:role/easel", "arn:aws:s3:::easel", ""])
def test_what_is_no_policys_arn_is_refused(value: str) -> None:
    """Before anything is made."""
    config = {
        "easel:team": {"domain": "art.example.com", "iam": {"permissions_boundary": value}},
        "easel:endpoints": {"studio": {"shape": "gpu.t4"}},
    }
    with pytest.raises(SpecError, match=r"iam\.permissions_boundary"):
        read_spec("art", config, "stacks/Pulumi.art.yaml")


def test_on_kubernetes_there_are_no_roles_to_bind() -> None:
    """A limit that nothing is held to would be believed."""
    config = {
        "easel:team": {"runs_on": "kubernetes", "domain": "art.example.com", **IAM},
        "easel:endpoints": {"studio": {"shape": "gpu.t4"}},
    }
    with pytest.raises(SpecError, match=r"for roles of AWS, of which this stack makes none"):
        read_spec("art", config, "stacks/Pulumi.art.yaml")

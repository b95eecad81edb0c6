"""The stacks that the whole program is run for, of teams on clusters."""

import functools
from typing import Any

import pytest

import infra.keda
from infra.cluster.platform import EXPORT
from infra.names import ENDPOINT_LENGTH, TEAM_LENGTH
from tests.infra.graph import Graph, provision
from tests.infra.program_stacks import MEMBERS, OWN, SECRET_ARN, VPC, Stack, stacks_world
from tests.infra.world import ACCOUNT, World

ADMIN = f"arn:aws:iam::{ACCOUNT}:role/team/Admin"
CUSTOM = {"NodeClass", "NodePool", "IngressClassParams", "IngressClass"}
"""Kinds of a cluster's objects that are nobody's namespace's."""
CLUSTER: dict[str, Any] = {"runs_on": "cluster", "cluster": {"admins": [ADMIN]}}
TEAM: dict[str, Any] = {
    "studio": {"shape": "gpu.l4", "replicas": {"min": 1, "max": 3}, "models": ["s3://art/a.safetensors"]},
    "cheap": {"shape": "gpu.l4", "capacity": "spot-first", "secrets": {"HF_TOKEN": SECRET_ARN}},
    "many": {"shape": "gpu.a100-40gb", "replicas": {"max": 8}},
    "open": {"shape": "cpu.small", "public": True, "storage": {"outputs": False}},
    "comfy": {key: value for key, value in OWN.items() if key != "image"}
    | {"image": {key: value for key, value in OWN["image"].items() if key != "registry"}},
}
CLUSTER_STACKS = {
    "cluster": Stack(TEAM, {**CLUSTER, "members": MEMBERS}),
    "cluster, adopted": Stack(
        {"studio": {"shape": "gpu.t4"}},
        {**CLUSTER, "network": {"vpc": VPC}, "storage": {"existing": "fs-0123456789abcdef0"}},
    ),
    "cluster, private, new zone, budget": Stack(
        {"e" * ENDPOINT_LENGTH: {"shape": "gpu.a10"}},
        {
            "runs_on": "cluster",
            "cluster": {"private": True, "version": "1.35"},
            "zone": "create",
            "budget": {"monthly": 500, "notify": "lead@example.com", "stop": True},
        },
        "t" * TEAM_LENGTH,
    ),
    "platform": Stack({}, CLUSTER, "company"),
    "on a platform": Stack(TEAM, {"runs_on": "cluster", "platform": "company"}),
}
"""All of a team's file that matters to a cluster, and what a file may leave out."""


def run_cluster(stack: Stack, world: World | None = None, preview: bool = False) -> Graph:
    """The graph of a stack; KEDA's chart is not fetched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(infra.keda, "chart", lambda: "keda.tgz")
        return provision(stack.endpoints, stack.team, stack.name, world or stacks_world(), preview)


@functools.cache
def cluster_graph(name: str) -> Graph:
    """The graph of one of `CLUSTER_STACKS`, made once."""
    world = stacks_world()
    if name == "on a platform":
        world.exports["organization/easel/company"] = {EXPORT: cluster_graph("platform").outputs[EXPORT]}
    return run_cluster(CLUSTER_STACKS[name], world)


def folders(graph: Graph) -> dict[str, str]:
    """Paths by access point."""
    return {
        f"accesspoint-{node.name}": node.inputs["rootDirectory"]["path"] for node in graph.of("AccessPoint")
    }

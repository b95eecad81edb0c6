"""The stacks that the whole program is run for."""

import functools
from dataclasses import dataclass
from typing import Any

from infra.names import ENDPOINT_LENGTH, TEAM_LENGTH
from tests.infra.graph import Graph, World, provision

SECRET_ARN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:art/civitai-Ab12Cd"
VPC = "vpc-0123456789abcdef0"


@dataclass(frozen=True)
class Stack:
    """A stack file, as far as it matters here."""

    endpoints: dict[str, Any]
    team: dict[str, Any]
    name: str = "art"


def _ten() -> dict[str, Any]:
    shapes = ("cpu.small", "gpu.t4", "gpu.l4", "gpu.a10", "gpu.l40s")
    return {
        f"studio-{number}": {
            "shape": shapes[number % 5],
            "models": [f"s3://art-models/{number}.safetensors", "hf://org/repo/shared.safetensors"],
            "secrets": {"HF_TOKEN": SECRET_ARN},
        }
        for number in range(10)
    }


OWN = {
    "shape": "gpu.l4",
    "image": {
        "ref": "ghcr.io/example/comfy@sha256:" + "a" * 64,
        "port": 8188,
        "health": "none",
        "user": 1000,
        "mounts": [{"source": "models", "path": "/models", "read_only": True}],
        "registry": SECRET_ARN,
    },
    "secrets": {"CIVITAI_TOKEN": SECRET_ARN},
}
MEMBERS = {
    "issuer": "https://accounts.example.com",
    "client_id": "easel",
    "client_secret": SECRET_ARN,
    "domains": ["example.com"],
}
STACKS = {
    "one": Stack({"studio": {"shape": "gpu.a10"}}, {}),
    "ten of five shapes": Stack(_ten(), {}),
    "spot": Stack({"studio": {"shape": "gpu.a10", "capacity": "spot-first", "replicas": {"max": 4}}}, {}),
    "warm": Stack({"studio": {"shape": "gpu.a10", "warm": 2, "replicas": {"max": 3}}}, {}),
    "own container": Stack({"comfy": OWN, "studio": {"shape": "gpu.t4"}}, {}),
    "public": Stack({"open": {"shape": "gpu.t4", "public": True, "storage": {"outputs": False}}}, {}),
    "single sign-on": Stack({"studio": {"shape": "gpu.t4"}}, {"members": MEMBERS}),
    "new zone, budget": Stack(
        {"studio": {"shape": "gpu.t4"}},
        {"zone": "create", "budget": {"monthly": 500, "notify": "lead@example.com", "stop": True}},
    ),
    "adopted": Stack(
        {"studio": {"shape": "gpu.t4"}},
        {"network": {"vpc": VPC}, "storage": {"existing": "fs-0123456789abcdef0"}},
    ),
    "longest names": Stack(
        {"e" * ENDPOINT_LENGTH: {"shape": "gpu.a10"}, "e" * (ENDPOINT_LENGTH - 1) + "f": {"shape": "gpu.t4"}},
        {"budget": {"monthly": 1, "notify": "lead@example.com"}, "zone": "create"},
        "t" * TEAM_LENGTH,
    ),
    "names that look like nouns": Stack(
        {
            name: {"shape": "gpu.t4"}
            for name in ("gateway", "files", "models", "public-a", "http", "https", "bake")
        },
        {},
    ),
    "platform without endpoints": Stack({}, {}),
}


def stacks_world() -> World:
    public = [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}]
    return World(
        file_systems={"fs-0123456789abcdef0": {}},
        subnets={"subnet-a": "us-east-1a", "subnet-b": "us-east-1b", "subnet-private": "us-east-1c"},
        route_tables=[
            {"id": "rtb-main", "routes": public, "associations": [{"main": True}]},
            {"id": "rtb-2", "routes": [], "associations": [{"main": False, "subnetId": "subnet-private"}]},
        ],
    )


@functools.cache
def graph_of(name: str) -> Graph:
    """The graph of one of `STACKS`, made once."""
    stack = STACKS[name]
    return provision(stack.endpoints, stack.team, stack.name, stacks_world())

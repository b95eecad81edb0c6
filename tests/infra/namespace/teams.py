"""Teams on a Kubernetes that is there already, and what they become under Pulumi's mocks."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.names import ENDPOINT_LENGTH, TEAM_LENGTH
from infra.namespace import Links, Target, manifests
from infra.namespace.manifest import Manifest
from infra.on_kubernetes import target_of
from infra.spec import Spec
from infra.stackfile import read_spec
from tests.infra.graph import Graph, Node, run

IMAGE = "studio=ghcr.io/acme/easel@sha256:" + "1" * 64 + ",gateway=ghcr.io/acme/easel@sha256:" + "2" * 64
KUBERNETES: dict[str, Any] = {
    "context": "art-cluster",
    "edge": {"ingress": "traefik", "tls": "art-tls", "trusted": ["10.42.0.0/16"]},
}
TEAM: dict[str, Any] = {
    "runs_on": "kubernetes",
    "domain": "art.example.com",
    "image": IMAGE,
    "kubernetes": KUBERNETES,
}
OWN: dict[str, Any] = {
    "shape": "gpu.l4",
    "image": {
        "ref": "ghcr.io/example/comfy@sha256:" + "a" * 64,
        "port": 8188,
        "health": "none",
        "command": ["python", "main.py", "--name", "$(HOSTNAME)"],
        "mounts": [
            {"source": "models", "path": "/models", "read_only": True},
            {"source": "outputs", "path": "/out"},
        ],
        "registry": "ghcr-login",
    },
    "secrets": {"CIVITAI_TOKEN": "civitai/token"},
}


@dataclass(frozen=True)
class Team:
    """A stack file, as far as it matters here."""

    endpoints: dict[str, Any]
    kubernetes: dict[str, Any]
    team: dict[str, Any]
    name: str = "art"

    @property
    def config(self) -> dict[str, Any]:
        """What Pulumi gives the program."""
        team = {**TEAM, "kubernetes": {**KUBERNETES, **self.kubernetes}, **self.team}
        return {"easel:team": team, "easel:endpoints": self.endpoints}

    @property
    def spec(self) -> Spec:
        """The same, read."""
        return read_spec(self.name, self.config, "stack")


TEAMS = {
    "one": Team({"studio": {"shape": "gpu.a10"}}, {}, {}),
    "several": Team(
        {
            "studio": {"shape": "gpu.a10", "replicas": {"min": 1, "max": 3}, "idle": "1h"},
            "open": {"shape": "gpu.t4", "public": True, "storage": {"outputs": False}},
            "small": {"shape": "cpu.small"},
            "comfy": OWN,
        },
        {"pull_secrets": ["registry"], "keda": "install"},
        {
            "members": {
                "issuer": "https://accounts.example.com",
                "client_id": "easel",
                "client_secret": "sso/secret",
                "domains": ["example.com"],
            }
        },
    ),
    "slices and taints": Team(
        {"studio": {"shape": "gpu.a100-40gb"}, "amd": {"shape": "gpu.h100"}},
        {
            "node_selector": {"pool": "gpu"},
            "runtime_class": "nvidia",
            "tolerations": [
                {"key": "dedicated", "operator": "Equal", "value": "art", "effect": "NoSchedule"}
            ],
            "shapes": {
                "gpu.a100-40gb": {"gpu": "nvidia.com/mig-3g.20gb", "cpu": "2500m", "memory": "12GiB"},
                "gpu.h100": {
                    "gpu": "amd.com/gpu",
                    "node_selector": {"gpu": "mi300x"},
                    "runtime_class": "amd",
                },
            },
        },
        {},
    ),
    "gateway api, claims that are there": Team(
        {"studio": {"shape": "gpu.t4"}, "other": {"shape": "gpu.t4"}},
        {
            "edge": {"gateway": "infra/public/https"},
            "namespace": "art",
            "storage": {
                "models": "art-models",
                "outputs": {"studio": "art-pictures"},
                "storage_class": "nfs",
            },
        },
        {},
    ),
    "address": Team({"studio": {"shape": "gpu.t4"}}, {"edge": {"address": "10.0.0.80"}}, {}),
    "longest names": Team(
        {"e" * ENDPOINT_LENGTH: {"shape": "gpu.a10"}, "e" * (ENDPOINT_LENGTH - 1) + "f": {"shape": "gpu.t4"}},
        {},
        {},
        "t" * TEAM_LENGTH,
    ),
    "names that look like nouns": Team(
        {name: {"shape": "gpu.t4"} for name in ("gateway", "studio", "models", "secret", "nodes")}, {}, {}
    ),
    "no endpoints": Team({}, {}, {}),
}


def links(spec: Spec) -> Links:
    """A hash for each endpoint and the console."""
    return dict.fromkeys((*spec.endpoints, "console"), "0" * 64)


def objects_of(team: Team, target: Target | None = None) -> list[Manifest]:
    """The manifests of a team, without Pulumi."""
    return manifests(team.spec, target or target_of(team.spec), links(team.spec))


def one(objects: list[Manifest], kind: str, name: str) -> Any:
    """The object of this kind and name."""
    (found,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pods(objects: list[Manifest]) -> Iterator[tuple[Manifest, Any]]:
    """Each Deployment with its pod."""
    for each in objects:
        if each["kind"] == "Deployment":
            yield each, each["spec"]["template"]["spec"]


def studios(objects: list[Manifest]) -> list[tuple[str, Any]]:
    """Each endpoint's pod by the endpoint's name."""
    return [
        (deployment["metadata"]["labels"]["app.kubernetes.io/instance"], pod)
        for deployment, pod in pods(objects)
        if deployment["metadata"]["name"] != "gateway"
    ]


@functools.cache
def graph_of(name: str) -> Graph:
    """The graph of one of `TEAMS`, made once."""
    return run(TEAMS[name].config, TEAMS[name].name)


def registered(graph: Graph) -> list[Node]:
    """The objects that the program registered, KEDA's own left out."""
    return [
        node
        for node in graph.nodes
        if node.custom and node.type.startswith("kubernetes:") and "keda:Keda" not in node.parent
    ]

"""`pulumi up` of a team on a Kubernetes that is there: the real engine and plugin against the real API.

Needs `pulumi`, `pulumi-language-python` and `pulumi-resource-kubernetes` on PATH.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from typing import Any

import pytest
import yaml

from tests.cluster.api import Object
from tests.cluster.conftest import Cluster, until
from tests.cluster.nodes import NodePool
from tests.cluster.volumes import bind
from tests.infra.engine.pulumi import Engine, engine
from tests.infra.namespace.teams import IMAGE

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

PLUGIN = "pulumi-resource-kubernetes"
NEEDED = ("pulumi", "pulumi-language-python", PLUGIN)
STACK, NAMESPACE, DEPLOYMENT = "art", "easel-art", "studio-studio"
KEPT = {"models", "outputs-studio"}


@pytest.fixture(scope="module")
def pulumi(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The project as a user has it, with one stack file, which leads to the control plane."""
    if absent := [name for name in NEEDED if not shutil.which(name)]:
        pytest.skip(f"no {' and no '.join(absent)} on PATH")
    folder = tmp_path_factory.mktemp("pulumi")
    it = engine(folder, "", "http://127.0.0.1:9")
    plugin = folder / "home" / "plugins" / f"resource-kubernetes-v{version('pulumi-kubernetes')}" / PLUGIN
    plugin.parent.mkdir(parents=True)
    plugin.symlink_to(str(shutil.which(PLUGIN)))
    write(it, cluster)
    it.did("stack", "init", STACK)
    cluster.vacant(NAMESPACE)
    cluster.nodes.pools = [NodePool("system", allocatable={"cpu": "4", "memory": "14Gi"})]
    yield it
    cluster.end(NAMESPACE)


def write(pulumi: Engine, cluster: Cluster, **endpoint: Any) -> None:
    """The team's file."""
    config = yaml.safe_load(cluster.plane.kubeconfig.read_text())
    team = {
        "runs_on": "kubernetes",
        "domain": "art.example.com",
        "image": IMAGE,
        "kubernetes": {
            "kubeconfig": str(cluster.plane.kubeconfig),
            "context": config["current-context"],
            "edge": {"address": "127.0.0.80"},
            "keda": "there",
        },
    }
    studio = {"shape": "gpu.a10", "replicas": {"min": 0, "max": 1}, **endpoint}
    content = {"config": {"easel:team": team, "easel:endpoints": {"studio": studio}}}
    pulumi.file(STACK).write_text(yaml.safe_dump(content))


def up(pulumi: Engine, cluster: Cluster, *words: str) -> str:
    """`pulumi up`, while a driver of volumes and a load balancer do their part."""
    running = pulumi.begin("up", "--yes", "--skip-preview", "--stack", STACK, *words)
    try:
        deadline = time.monotonic() + 300
        while running.process.poll() is None:
            bind(cluster.api, NAMESPACE)
            given_an_address(cluster)
            assert time.monotonic() < deadline, running.said()
            time.sleep(0.5)
        assert running.process.returncode == 0, running.said()
        return running.said()
    finally:
        running.away()


def given_an_address(cluster: Cluster) -> None:
    """What a cluster's load balancers do for a Service of their type."""
    service = cluster.api.find("v1", "Service", "gateway", NAMESPACE)
    if service and not service["status"].get("loadBalancer"):
        address = {"status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.80"}]}}}
        cluster.api.patch(service, address, part="status")


def objects(cluster: Cluster, api: str, kind: str) -> dict[str, Object]:
    return {each["metadata"]["name"]: each for each in cluster.api.list(api, kind, NAMESPACE)}


def gone(cluster: Cluster, api: str, kind: str) -> bool:
    return not objects(cluster, api, kind)


def test_up_change_up_destroy_and_up_again(pulumi: Engine, cluster: Cluster) -> None:
    """The team is there and asleep; a change touches what it is about; a second `up` changes nothing;
    `destroy` leaves the files' claims and nothing else, and the next `up` takes them back."""
    up(pulumi, cluster)
    gateway = cluster.api.get("apps/v1", "Deployment", "gateway", NAMESPACE)
    assert gateway["status"]["availableReplicas"] == 2, "it was waited for"
    assert objects(cluster, "keda.sh/v1alpha1", "ScaledObject").keys() == {DEPLOYMENT}
    studio = cluster.api.get("apps/v1", "Deployment", DEPLOYMENT, NAMESPACE)
    assert studio["spec"]["replicas"] == 0, "no GPU that nobody asked for"
    assert pulumi.plan(STACK) == {}, pulumi.did("preview", "--diff", "--stack", STACK)

    # KEDA's number is not the program's: a change of something else leaves it.
    write(pulumi, cluster, replicas={"min": 0, "max": 2}, idle="30m")
    changes = pulumi.plan(STACK)
    assert set(changes) == {"update"}, changes
    assert {name.split()[0].rpartition("/")[2] for name in changes["update"]} <= {
        "ConfigMap", "ResourceQuota", "ScaledObject", "Team", "KubernetesObject"
    }, changes  # fmt: skip
    up(pulumi, cluster)
    scaled = objects(cluster, "keda.sh/v1alpha1", "ScaledObject")[DEPLOYMENT]
    assert (scaled["spec"]["maxReplicaCount"], scaled["spec"]["cooldownPeriod"]) == (2, 1800)
    pulumi.did("up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes", "--stack", STACK)

    claims = objects(cluster, "v1", "PersistentVolumeClaim")
    assert claims.keys() == KEPT
    pulumi.did("destroy", "--yes", "--skip-preview", "--stack", STACK)
    for kind in (
        ("apps/v1", "Deployment"), ("v1", "Service"), ("keda.sh/v1alpha1", "ScaledObject"),
        ("networking.k8s.io/v1", "NetworkPolicy"), ("rbac.authorization.k8s.io/v1", "Role"),
    ):  # fmt: skip
        until(partial(gone, cluster, *kind), 30, f"no {kind[1]} is left")
    assert objects(cluster, "v1", "PersistentVolumeClaim").keys() == KEPT

    up(pulumi, cluster)
    again = objects(cluster, "v1", "PersistentVolumeClaim")
    assert {name: each["metadata"]["uid"] for name, each in again.items()} == {
        name: each["metadata"]["uid"] for name, each in claims.items()
    }
    outputs = json.loads(pulumi.did("stack", "output", "--json", "--stack", STACK))
    assert outputs["endpoints"]["studio"]["url"] == "https://studio.art.example.com"

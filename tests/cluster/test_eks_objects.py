"""What a team has on EKS beside its namespace is taken by an API that knows Karpenter's own definitions.

Those of EKS Auto Mode itself (`NodeClass`, `IngressClassParams`) are in no module: `definitions/` has them as
AWS documents them, so that this tells no more of them than the documentation does.
"""

from __future__ import annotations

import copy

import pytest

from infra.cluster.load_balancer import ingress_class, ingress_class_params
from infra.cluster.nodes import node_class, node_pool, pools, system_class, system_pool
from tests.cluster.api import ApiRefusalError, Object
from tests.cluster.conftest import Cluster, until
from tests.cluster.nodes import NodePool
from tests.cluster.objects import deployment
from tests.infra.cluster.test_nodes import GROUND, OBJECTS, ZONES, offers, spec
from tests.infra.namespace.teams import one

pytestmark = pytest.mark.cluster
CERTIFICATE = "arn:aws:acm:us-east-1:111122223333:certificate/1a2b3c4d"


def of_the_cluster() -> list[Object]:
    """Every object of a team with every shape that is nobody's namespace's."""
    sold = offers()
    made = []
    for pool in pools(spec()).values():
        found = sold.replicas(pool.endpoint, pool.shape, ZONES)
        made += [node_class(pool, found.zones, GROUND), node_pool(pool, found)]
    system = sold.system(ZONES[:3])
    made += [system_class("art", system.zones, GROUND), system_pool("art", system)]
    params = ingress_class_params("art", "easel-art", list(GROUND.subnets.values()), CERTIFICATE)
    return [*made, params, ingress_class("art")]


def test_every_object_is_taken(cluster: Cluster) -> None:
    """Strictly: no field that is not defined, and every rule between fields that Karpenter has."""
    made = [*of_the_cluster(), *OBJECTS["art"]]
    assert {"NodePool", "NodeClass", "IngressClassParams", "Ingress", "PersistentVolume"} <= {
        item["kind"] for item in made
    }
    cluster.vacant("easel-art")
    for item in made:
        cluster.api.apply(item)
    for item in reversed(made):
        if item["kind"] == "Namespace":
            cluster.end(item["metadata"]["name"])
        elif "namespace" not in item["metadata"]:
            cluster.api.delete(item["apiVersion"], item["kind"], item["metadata"]["name"])


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("NodePool", ("spec", "disruption", "consolidationPolicy"), "WhenNobodyLooks"),
        ("NodePool", ("spec", "template", "spec", "requirements", 0, "operator"), "Among"),
        ("NodePool", ("spec", "template", "spec", "nodeClassRef", "group"), ""),
        ("NodePool", ("spec", "template", "spec", "lifetime"), "1h"),
        ("NodeClass", ("spec", "ephemeralStorage", "throughput"), 5000),
        ("NodeClass", ("spec", "ephemeralStorage", "speed"), 500),
        ("NodeClass", ("spec", "networkPolicy"), "Deny"),
    ],
)
def test_a_wrong_one_is_refused(
    cluster: Cluster, kind: str, path: tuple[str | int, ...], value: object
) -> None:
    """So that what is taken means something."""
    item = copy.deepcopy(next(each for each in of_the_cluster() if each["kind"] == kind))
    place = item
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(ApiRefusalError):
        cluster.api.apply(item, dryRun="All")


def test_two_gateways_are_in_two_zones(cluster: Cluster, namespace: str) -> None:
    """Also where a node that is there has room for both, as KEDA's has: the second waits for one of another
    zone; and after an update too."""
    zone, room = "topology.kubernetes.io/zone", {"cpu": "4", "memory": "14Gi"}
    wanted = one(OBJECTS["art"], "Deployment", "gateway")["spec"]["template"]["spec"]
    item = deployment(namespace, resources={"requests": {"cpu": "250m"}})
    item["spec"] |= {"replicas": 2, "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
    pod = item["spec"]["template"]
    alike = {"labelSelector": {"matchLabels": pod["metadata"]["labels"]}}
    pod["spec"] |= {
        "nodeSelector": {"easel/pool": "system"},
        "topologySpreadConstraints": [each | alike for each in wanted["topologySpreadConstraints"]],
    }
    there = cluster.nodes.add(NodePool("there", {"easel/pool": "system", zone: "a"}, (), room))
    cluster.nodes.pools = [NodePool("elsewhere", {"easel/pool": "system", zone: "b"}, (), room)]

    def zones(version: str) -> list[str]:
        nodes = {
            each["metadata"]["name"]: each["metadata"]["labels"].get(zone, "")
            for each in cluster.api.list("v1", "Node")
        }
        pods = [
            each
            for each in cluster.ready(namespace)
            if each["metadata"].get("annotations", {}).get("version") == version
        ]
        return sorted(nodes.get(each["spec"]["nodeName"], "") for each in pods)

    try:
        for version in ("1", "2"):
            pod["metadata"]["annotations"] = {"version": version}
            cluster.api.apply(item)
            until(lambda version=version: zones(version) == ["a", "b"], 60, f"version {version} is in both")
            until(lambda: len(cluster.pods(namespace)) == 2, 60, "what was there before is gone")
    finally:
        cluster.nodes.remove(there)

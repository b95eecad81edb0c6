"""Every object of a team is taken by a real API, strictly, and its pods are no more than they must be."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.api import Api, ApiRefusalError, Object
from tests.cluster.conftest import Cluster
from tests.infra.namespace.teams import TEAMS, Team, objects_of, pods

pytestmark = pytest.mark.cluster


def applied(cluster: Cluster, team: Team) -> list[Object]:
    """The team's objects, in the cluster."""
    made = objects_of(team)
    for item in made:
        if item["kind"] == "Namespace":
            cluster.vacant(item["metadata"]["name"])
        cluster.api.apply(item)
    return made


def ended(cluster: Cluster, made: list[Object]) -> None:
    """Takes a team away."""
    for item in made:
        if item["kind"] == "Namespace":
            cluster.end(item["metadata"]["name"])
        elif "namespace" not in item["metadata"]:
            cluster.api.delete(item["apiVersion"], item["kind"], item["metadata"]["name"])


@pytest.mark.parametrize("name", TEAMS)
def test_every_object_is_taken(cluster: Cluster, name: str) -> None:
    """No field that the API does not know, no value that it refuses, in the order that they are made in."""
    team = TEAMS[name]
    number = list(TEAMS).index(name)
    kubernetes = {key: value for key, value in team.kubernetes.items() if key != "namespace"}
    short = dataclasses.replace(team, name=f"objects-{number}", kubernetes=kubernetes)
    ended(cluster, applied(cluster, team if name == "longest names" else short))


def test_routes_of_twenty_hosts_are_taken(cluster: Cluster, namespace: str) -> None:
    """An HTTPRoute has sixteen host names at most."""
    many = {f"endpoint-{number}": {"shape": "gpu.t4"} for number in range(20)}
    edge = {"edge": {"gateway": "infra/public"}, "namespace": namespace}
    routes = [each for each in objects_of(Team(many, edge, {})) if each["kind"] == "HTTPRoute"]
    assert len(routes) == 2
    for each in routes:
        cluster.api.apply(each, dryRun="All")


@pytest.fixture(scope="module")
def team(cluster: Cluster) -> Iterator[list[Object]]:
    """A team whose objects are there, and another one beside it."""
    others = [applied(cluster, dataclasses.replace(TEAMS["several"], name=name)) for name in ("art", "other")]
    yield others[0]
    for made in others:
        ended(cluster, made)


def pod(item: Object, spec: Object) -> Object:
    """A pod of a Deployment's template."""
    meta = {"name": f"try-{item['metadata']['name']}", "namespace": item["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def test_pods_are_within_the_restricted_level(cluster: Cluster, team: list[Object]) -> None:
    """Pod Security takes each as it is, and refuses it with one right more."""
    tried = 0
    for item, spec in pods(team):
        path = cluster.api.path("v1", "Pod", item["metadata"]["namespace"])
        cluster.api.request("POST", path, pod(item, spec), dryRun="All", fieldValidation="Strict")
        for change in ("privileged", "root", "host network", "host path"):
            with pytest.raises(ApiRefusalError, match=r"violates PodSecurity \"restricted") as refused:
                cluster.api.request("POST", path, pod(item, with_more(spec, change)), dryRun="All")
            assert refused.value.code == 403
            tried += 1
    assert tried == 20


def with_more(spec: Object, right: str) -> Object:
    """The same with a right that it has not."""
    changed: dict[str, Any] = copy.deepcopy(spec)
    if right == "privileged":
        changed["containers"][0]["securityContext"] |= {"allowPrivilegeEscalation": True}
    elif right == "root":
        changed["securityContext"] |= {"runAsNonRoot": False, "runAsUser": 0}
    elif right == "host network":
        changed["hostNetwork"] = True
    else:
        changed.setdefault("volumes", []).append({"name": "host", "hostPath": {"path": "/"}})
    return changed


NAMESPACE = "easel-art"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "mine"},
    "spec": {"containers": [{"name": "mine", "image": "example.com/mine"}]},
}
MERGE = "application/merge-patch+json"
# What a gateway does, with its own token: method, path below the team's namespace, body, kind of body.
MAY: list[tuple[str, str, Any, str]] = [
    ("GET", "apis/apps/v1/{ns}/deployments", None, ""),
    ("GET", "apis/apps/v1/{ns}/deployments/studio-studio", None, ""),
    ("GET", "apis/keda.sh/v1alpha1/{ns}/scaledobjects", None, ""),
    (
        "PATCH",
        "apis/keda.sh/v1alpha1/{ns}/scaledobjects/studio-studio",
        {"metadata": {"annotations": {"autoscaling.keda.sh/paused-replicas": "0"}}},
        MERGE,
    ),
    ("GET", "api/v1/{ns}/pods", None, ""),
    ("GET", "api/v1/{ns}/configmaps", None, ""),
    ("GET", "api/v1/{ns}/events", None, ""),
    ("GET", "api/v1/nodes", None, ""),
    *(("GET", f"api/v1/{{ns}}/secrets/easel-{name}", None, "") for name in ("secret", "tokens", "ended")),
    ("PATCH", "api/v1/{ns}/configmaps/easel-keys", {"data": {"keys.json": "{}"}}, MERGE),
    (
        "POST",
        "apis/coordination.k8s.io/v1/{ns}/leases",
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "easel-model-sync"}},
        "",
    ),
    ("GET", "apis/coordination.k8s.io/v1/{ns}/leases/easel-model-sync", None, ""),
]
# What it must not, however much somebody has taken it over.
MAY_NOT: list[tuple[str, str, Any, str]] = [
    ("GET", "api/v1/{ns}/secrets", None, ""),
    ("GET", "api/v1/{ns}/secrets/env-studio", None, ""),
    ("GET", "api/v1/{other}/secrets/easel-secret", None, ""),
    ("GET", "api/v1/{other}/pods", None, ""),
    ("GET", "api/v1/{other}/configmaps", None, ""),
    ("GET", "api/v1/secrets", None, ""),
    ("GET", "api/v1/pods", None, ""),
    ("GET", "api/v1/namespaces", None, ""),
    ("POST", "api/v1/{ns}/pods", POD, ""),
    ("POST", "api/v1/{ns}/secrets", {"metadata": {"name": "mine"}}, ""),
    ("POST", "api/v1/{ns}/configmaps", {"metadata": {"name": "mine"}}, ""),
    ("POST", "api/v1/{ns}/serviceaccounts/gateway/token", {"spec": {}}, ""),
    ("POST", "api/v1/{ns}/pods/any/exec?command=sh", None, ""),
    ("PATCH", "api/v1/{ns}/configmaps/config-team", {"data": {"team.json": "{}"}}, MERGE),
    ("PATCH", "apis/apps/v1/{ns}/deployments/studio-studio", {"spec": {"replicas": 99}}, MERGE),
    ("PATCH", "apis/apps/v1/{ns}/deployments/studio-studio/scale", {"spec": {"replicas": 99}}, MERGE),
    ("PATCH", "apis/keda.sh/v1alpha1/{other}/scaledobjects/studio-studio", {"metadata": {}}, MERGE),
    ("DELETE", "apis/apps/v1/{ns}/deployments/studio-studio", None, ""),
    ("DELETE", "api/v1/{ns}/persistentvolumeclaims/models", None, ""),
    ("DELETE", "api/v1/{other}/pods/any", None, ""),
    (
        "PATCH",
        "apis/rbac.authorization.k8s.io/v1/{ns}/roles/gateway",
        {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]},
        MERGE,
    ),
    ("PATCH", "api/v1/nodes/any", {"metadata": {"labels": {"a": "b"}}}, MERGE),
]


def ask(api: Api, call: tuple[str, str, Any, str]) -> None:
    method, path, body, kind = call
    filled = path.format(ns=f"namespaces/{NAMESPACE}", other="namespaces/easel-other")
    api.request(method, f"/{filled}", body, kind)


def test_a_gateway_does_its_work_and_no_more(cluster: Cluster, team: list[Object]) -> None:
    """Asked with the service account's own token: what it needs it may, and nothing that others own."""
    gateway = cluster.api.service_account("gateway", NAMESPACE)
    for call in MAY:
        ask(gateway, call)
    for call in MAY_NOT:
        with pytest.raises(ApiRefusalError) as refused:
            ask(gateway, call)
        assert refused.value.code == 403, call


def test_a_studio_may_nothing(cluster: Cluster, team: list[Object]) -> None:
    """It has no token; with one it would be told nothing all the same."""
    studio = cluster.api.service_account("studio", NAMESPACE)
    for call in MAY + MAY_NOT:
        with pytest.raises(ApiRefusalError) as refused:
            ask(studio, call)
        assert refused.value.code == 403, call


def test_a_team_takes_no_more_gpus_than_it_said(cluster: Cluster, team: list[Object]) -> None:
    """The quota counts them, whoever makes the pods."""
    (quota,) = [item for item in team if item["kind"] == "ResourceQuota"]
    most = int(quota["spec"]["hard"]["requests.nvidia.com/gpu"])
    item, spec = next(
        (item, spec) for item, spec in pods(team) if item["metadata"]["name"] == "studio-studio"
    )
    path = cluster.api.path("v1", "Pod", NAMESPACE)
    limits = {"nvidia.com/gpu": str(most + 1)}
    changed = copy.deepcopy(spec)
    changed["containers"][0]["resources"] = {
        "limits": limits,
        "requests": {**limits, "cpu": "1", "memory": "1Gi"},
    }
    with pytest.raises(ApiRefusalError, match="exceeded quota: team") as refused:
        cluster.api.request("POST", path, pod(item, changed), dryRun="All")
    assert refused.value.code == 403

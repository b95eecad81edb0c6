"""A team's objects in a namespace, as plain as they can be: what the gateway needs to find."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.cluster.api import Object
from tests.cluster.objects import deployment, scaled_object

PART = {"app.kubernetes.io/part-of": "easel"}
STUDIO = PART | {"app.kubernetes.io/component": "studio", "app.kubernetes.io/instance": "studio"}
GATEWAY = PART | {"app.kubernetes.io/component": "gateway"}
NAME = "studio-studio"
DOMAIN = "art.example.com"
# First tokens: their hashes are in the configuration.
LINKS = {"studio": "easel_the-studios-first-token", "console": "easel_the-consoles-first-token"}
PORT = 8080
SECRETS = ["easel-secret", "easel-tokens", "easel-ended"]


def studio(namespace: str) -> Object:
    """The endpoint's Deployment."""
    found = deployment(namespace, terminationMessagePolicy="FallbackToLogsOnError")
    found["metadata"] |= {"name": NAME, "labels": STUDIO}
    found["spec"]["selector"] = {"matchLabels": STUDIO}
    found["spec"]["template"]["metadata"] = {"labels": STUDIO}
    return found


def scaled_studio(namespace: str, concurrency: int = 1) -> Object:
    """The endpoint's ScaledObject, by the gateway's signal."""
    found = scaled_object(namespace, f"http://gateway-inner.{namespace}.svc:7861/scale/studio")
    found["metadata"] |= {"name": NAME, "labels": STUDIO}
    found["spec"]["scaleTargetRef"] = {"name": NAME}
    found["spec"]["triggers"][0]["metadata"]["targetValue"] = str(concurrency)
    # Longer than a kubelet takes to see that a pod is ready: one that is not goes before one that is marked.
    behaviour = found["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    behaviour["scaleDown"]["stabilizationWindowSeconds"] = 3
    return found


def gateways(namespace: str, trusted: str = "127.0.9.0/24") -> list[Object]:
    """Two gateways with all that they share, and an endpoint that sleeps."""
    team = {
        "team": "art", "runs_on": "kubernetes", "domain": DOMAIN, "bind": "0.0.0.0",
        "console": {"port": PORT, "host": f"console.{DOMAIN}", "link": _link("console")},
        "edge": {"trusted": [trusted]},
    }  # fmt: skip
    endpoint = {
        "name": "studio", "shape": "gpu.l4", "port": PORT, "host": f"studio.{DOMAIN}",
        "replicas": {"min": 0, "max": 3}, "idle": 3, "concurrency": 1, "link": _link("studio"),
        "timeouts": {"wake": 60, "request": 60},
        "container": {"image": "example.com/studio:1", "port": 7860}, "deployment": {"name": NAME},
    }  # fmt: skip
    return [
        _object("v1", "ServiceAccount", "gateway", namespace),
        _object("rbac.authorization.k8s.io/v1", "Role", "gateway", namespace, rules=_rules()),
        _object(
            "rbac.authorization.k8s.io/v1", "RoleBinding", "gateway", namespace,
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gateway"},
            subjects=[{"kind": "ServiceAccount", "name": "gateway", "namespace": namespace}],
        ),
        *(_object("v1", "Secret", name, namespace) for name in SECRETS),
        _object("v1", "ConfigMap", "easel-keys", namespace),
        config("studio", endpoint, namespace),
        config("team", team, namespace),
        _object(
            "v1", "Service", "gateway-inner", namespace,
            spec={"selector": GATEWAY, "ports": [{"port": 7861, "protocol": "TCP"}]},
        ),
        _object("apps/v1", "Deployment", "gateway", namespace, spec=_pods()),
    ]  # fmt: skip


def config(name: str, content: dict[str, Any], namespace: str) -> Object:
    """A file of the configuration."""
    found = _object(
        "v1", "ConfigMap", f"config-{name}", namespace, data={f"{name}.json": json.dumps(content)}
    )
    found["metadata"]["labels"] = PART | {"easel/config": "true"}
    return found


def _pods() -> Object:
    health = {"httpGet": {"path": "/healthz", "port": 7861}, "periodSeconds": 1}
    container = {
        "name": "gateway", "image": "example.com/gateway:1", "readinessProbe": health,
        "ports": [{"containerPort": PORT}, {"containerPort": 7861}],
    }  # fmt: skip
    spec = {
        "serviceAccountName": "gateway", "containers": [container], "terminationGracePeriodSeconds": 20,
        "nodeSelector": {"easel.test/shape": "cpu"},
    }  # fmt: skip
    template = {"metadata": {"labels": GATEWAY}, "spec": spec}
    return {"replicas": 2, "selector": {"matchLabels": GATEWAY}, "template": template}


def _link(name: str) -> dict[str, str]:
    return {"hash": hashlib.sha256(LINKS[name].encode()).hexdigest()}


def _object(version: str, kind: str, name: str, namespace: str, **rest: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": PART}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _rules() -> list[Object]:
    look = ["get", "list", "watch"]
    rules = [
        ("apps", "deployments", look, []),
        ("keda.sh", "scaledobjects", [*look, "patch"], []),
        ("", "pods", [*look, "patch", "delete"], []),
        ("", "pods/log", ["get"], []),
        ("", "events", ["list", "watch"], []),
        ("", "configmaps", look, []),
        ("", "configmaps", ["update", "patch"], ["easel-keys"]),
        ("coordination.k8s.io", "leases", ["create"], []),
        ("coordination.k8s.io", "leases", ["get", "update"], ["easel-model-sync"]),
        ("", "secrets", ["get", "watch", "update"], SECRETS),
    ]
    return [
        {"apiGroups": [group], "resources": [resource], "verbs": verbs}
        | ({"resourceNames": names} if names else {})
        for group, resource, verbs, names in rules
    ]

"""Who the pods are to the cluster's API, and what they may ask of it."""

from typing import Any

from infra.names import SOURCE_TOKENS
from infra.namespace.manifest import GATEWAY, STUDIO, Manifest, labels, manifest
from infra.namespace.secrets import KEYS, SPENT, WRITTEN, entry_of
from infra.namespace.target import Target
from infra.spec import Spec

RBAC = "rbac.authorization.k8s.io"
LOOK = ["get", "list", "watch"]
LEASE = "easel-model-sync"


def access(spec: Spec, target: Target) -> list[Manifest]:
    """Two service accounts. A studio's may do nothing and has no token; the gateway's may do what it does."""
    namespace = target.namespace
    subjects = [{"kind": "ServiceAccount", "name": GATEWAY, "namespace": namespace}]
    nodes = f"easel-{spec.name}-nodes"
    return [
        manifest(
            "v1", "ServiceAccount", STUDIO, namespace, labels(STUDIO), automountServiceAccountToken=False
        ),
        manifest("v1", "ServiceAccount", GATEWAY, namespace, labels(GATEWAY)),
        manifest(f"{RBAC}/v1", "Role", GATEWAY, namespace, labels(GATEWAY), rules=_rules(spec, target)),
        manifest(
            f"{RBAC}/v1", "RoleBinding", GATEWAY, namespace, labels(GATEWAY),
            roleRef={"apiGroup": RBAC, "kind": "Role", "name": GATEWAY}, subjects=subjects,
        ),
        # Nodes are the cluster's. Whoever may not read them is not told why a pod waits, and no more.
        manifest(f"{RBAC}/v1", "ClusterRole", nodes, None, labels(GATEWAY), rules=[_rule("", "nodes", LOOK)]),
        manifest(
            f"{RBAC}/v1", "ClusterRoleBinding", nodes, None, labels(GATEWAY),
            roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": nodes}, subjects=subjects,
        ),
    ]  # fmt: skip


def _rules(spec: Spec, target: Target) -> list[dict[str, Any]]:
    rules = [
        _rule("apps", "deployments", LOOK),
        _rule("keda.sh", "scaledobjects", [*LOOK, "patch"]),
        # Deleted is one that hangs, so that another comes without the wait of a crash loop.
        _rule("", "pods", [*LOOK, "patch", "delete"]),
        _rule("", "pods/log", ["get"]),
        _rule("", "events", ["list", "watch"]),
        _rule("", "configmaps", LOOK),
        _rule("", "configmaps", ["update", "patch"], [KEYS, *([SPENT] if target.machines else [])]),
        # Kubernetes knows no name of what is about to be created.
        _rule("coordination.k8s.io", "leases", ["create"]),
        _rule("coordination.k8s.io", "leases", ["get", "update"], [LEASE]),
        _rule("", "secrets", ["get", "watch", "update"], list(WRITTEN)),
    ]
    if read := _tokens_of_sources(spec, target):
        rules.append(_rule("", "secrets", ["get"], read))
    return rules


def _rule(group: str, resource: str, verbs: list[str], names: list[str] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [group], "resources": [resource], "verbs": verbs}
    return rule | ({"resourceNames": names} if names else {})


def _tokens_of_sources(spec: Spec, target: Target) -> list[str]:
    """The Secrets that the gateway reads tokens of sources of models from."""
    found = {
        entry_of(name, variable, value)[0]
        for name in spec.endpoints
        for variable, value in target.secrets(name).items()
        if variable in SOURCE_TOKENS
    }
    return sorted(found)

"""What every object of a team has: its name, its place, and the labels that it is found by."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi

Manifest = dict[str, Any]
"""A Kubernetes object as its API takes it. A leaf may be an output of Pulumi."""

COMPONENT = "app.kubernetes.io/component"
INSTANCE = "app.kubernetes.io/instance"
GATEWAY, STUDIO = "gateway", "studio"

USER = 1000
"""User and group of the images, and of every file."""


def labels(component: str | None = None, endpoint: str | None = None) -> dict[str, str]:
    """Of an object, and of pods what they are selected by: fixed for ever, as a Deployment's selector is."""
    return {
        "app.kubernetes.io/part-of": "easel",
        **({COMPONENT: component} if component else {}),
        **({INSTANCE: endpoint} if endpoint else {}),
    }


def studio_of(endpoint: str) -> str:
    """What the Deployment and the ScaledObject of an endpoint are called."""
    return f"studio-{endpoint}"


def manifest(
    api_version: str,
    kind: str,
    name: str,
    namespace: str | None,
    labelled: Mapping[str, str],
    annotations: Mapping[str, pulumi.Input[str]] | None = None,
    **content: Any,
) -> Manifest:
    """An object; `namespace` is None for one that is the cluster's."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            **({"namespace": namespace} if namespace else {}),
            "labels": dict(labelled),
            **({"annotations": dict(annotations)} if annotations else {}),
        },
        **content,
    }


def made_of(
    make: Callable[[dict[str, Any]], str], leaves: Mapping[str, pulumi.Input[str]]
) -> pulumi.Input[str]:
    """A text of these leaves: at once where all are known, else once Pulumi knows them."""
    if any(isinstance(leaf, pulumi.Output) for leaf in leaves.values()):
        return pulumi.Output.all(**leaves).apply(make)
    return make(dict(leaves))


def pulled_by(secrets: Sequence[str]) -> dict[str, Any]:
    """The logins of registries that a pod's images are pulled by."""
    return {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}


def container_security(read_only_root: bool = True) -> dict[str, Any]:
    """What Pod Security's level `restricted` asks of a container, and a root that nobody writes to."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only_root,
    }


def pod_security(user: int = USER) -> dict[str, Any]:
    """What `restricted` asks of a pod. Files are group 1000's, whoever runs."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": USER,
        "fsGroup": USER,
        # A store has hundreds of thousands of files: looked at one by one, a start would take minutes.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }

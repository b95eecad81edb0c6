"""All objects of a team, in the order that they are applied in."""

from infra.namespace.access import access
from infra.namespace.configuration import configuration
from infra.namespace.edge import edge
from infra.namespace.gateway import gateway
from infra.namespace.manifest import Manifest, labels, manifest
from infra.namespace.policies import policies
from infra.namespace.quota import quota
from infra.namespace.replicas import deployment
from infra.namespace.scaling import scaled_object
from infra.namespace.secrets import secrets
from infra.namespace.storage import storage
from infra.namespace.target import Links, Target
from infra.spec import Spec

LEVEL = "restricted"
"""Of Pod Security, the strictest."""


def manifests(spec: Spec, target: Target, links: Links) -> list[Manifest]:
    """Every object of the team's namespace, and the few beside it that are the team's own.

    Each refers only to those before it.
    """
    made = [
        _namespace(target),
        quota(spec, target),
        *policies(spec, target),
        *access(spec, target),
        *secrets(spec, target),
        *configuration(spec, target, links),
        *storage(spec, target),
        *gateway(spec, target),
        *edge(spec, target),
    ]
    for name, endpoint in spec.endpoints.items():
        made += [deployment(spec, name, endpoint, target), scaled_object(name, endpoint, target)]
    return made


def _namespace(target: Target) -> Manifest:
    modes = {f"pod-security.kubernetes.io/{mode}": LEVEL for mode in ("enforce", "audit", "warn")}
    return manifest(
        "v1",
        "Namespace",
        target.namespace,
        None,
        {
            **labels(),
            **modes,
            "pod-security.kubernetes.io/enforce-version": "latest",
            **target.edge.namespace_labels,
        },
    )

"""All objects of a team, in the order that they are applied in."""

from typing import Any

from infra.namespace.target import Links, Target
from infra.spec import Spec

Manifest = dict[str, Any]
"""A Kubernetes object as its API takes it. A leaf may be an output of Pulumi."""


def manifests(spec: Spec, target: Target, links: Links) -> list[Manifest]:
    """Every object of the team's namespace, and the few beside it that are the team's own."""
    raise NotImplementedError

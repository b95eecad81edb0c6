"""Objects of a cluster that are no namespace's, registered from plain manifests."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes


def registered(
    manifest: Mapping[str, Any] | pulumi.Output[Mapping[str, Any]],
    api_version: str,
    kind: str,
    name: str,
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """An object of a kind that the cluster defines (NodePool, NodeClass, IngressClassParams)."""
    spec = pulumi.Output.from_input(manifest).apply(lambda found: found["spec"])
    return kubernetes.apiextensions.CustomResource(
        name, api_version=api_version, kind=kind, metadata={"name": name}, spec=spec, opts=opts
    )

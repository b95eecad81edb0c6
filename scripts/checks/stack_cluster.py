"""The Kubernetes of a stack, and a way to ask it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.checks.check import Check

if TYPE_CHECKING:
    from infra.kubernetes_spec import KubernetesSpec
    from infra.spec import Spec

PATIENCE = (5, 15)
"""Seconds to connect, and to answer."""


@dataclass(frozen=True)
class StackCluster:
    """A stack, and a client of its cluster."""

    spec: Spec
    client: Any
    """An `ApiClient` of the package kubernetes, which has no types."""

    @property
    def given(self) -> KubernetesSpec:
        """What the stack file says of it."""
        return self.spec.team.kubernetes

    @property
    def namespace(self) -> str:
        """The team's namespace."""
        return self.given.namespace or f"easel-{self.spec.name}"


def opened(spec: Spec) -> StackCluster | Check:
    """The cluster that the stack file names; a check that failed, where nobody can be asked."""
    try:
        from kubernetes import client, config
    except ImportError:
        advice = ".venv/bin/pip install '.[cluster]'; the cluster is not looked at"
        return Check("cluster", "warning", "the package kubernetes is not installed", advice)
    given = spec.team.kubernetes
    # The client looks at KUBECONFIG once, when it is imported.
    file = str(Path(given.kubeconfig).expanduser()) if given.kubeconfig else os.environ.get("KUBECONFIG")
    once = client.Configuration()
    once.retries = False
    try:
        found = config.new_client_from_config(
            config_file=file, context=given.context, client_configuration=once
        )
    except (config.ConfigException, OSError) as error:
        advice = (
            "`kubectl config get-contexts` lists those there are; easel:team.kubernetes.context names one"
        )
        return Check("cluster", "failed", f"context {given.context}: {error}", advice)
    return StackCluster(spec, found)

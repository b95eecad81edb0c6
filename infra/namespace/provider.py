"""The provider that applies a team's objects."""

from typing import Any

import pulumi_kubernetes as kubernetes


def provider_of(name: str, cluster: Any, **given: Any) -> kubernetes.Provider:
    """One for the cluster that is called `cluster`; `given` is how to come to it."""
    return kubernetes.Provider(
        name,
        # By default another kubeconfig for the same cluster, a colleague's, would replace every object.
        cluster_identifier=cluster,
        # By default changed data replaces a ConfigMap or Secret, by deleting it first: for a moment the
        # gateways would see an endpoint without its file, which is an endpoint that is no more.
        enable_config_map_mutable=True,
        enable_secret_mutable=True,
        **given,
    )

"""How a program comes to a cluster of EKS: by AWS's own credentials, at each call anew."""

import json

import pulumi


def kubeconfig(
    name: pulumi.Input[str],
    region: pulumi.Input[str],
    endpoint: pulumi.Input[str],
    certificate: pulumi.Input[str],
) -> pulumi.Output[str]:
    """A kubeconfig without a secret: `aws eks get-token` is asked, which must be on the PATH.

    A token in the provider's inputs would be written into the stack's state and be over after 15 minutes, so
    that a later `pulumi destroy`, which goes by the state, could not come in.
    """
    return pulumi.Output.all(name=name, region=region, endpoint=endpoint, certificate=certificate).apply(
        _text
    )


def _text(at: dict[str, str]) -> str:
    name = at["name"]
    asks = ["eks", "get-token", "--cluster-name", name, "--region", at["region"], "--output", "json"]
    exec_ = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": asks,
        "interactiveMode": "Never",
    }
    cluster = {"server": at["endpoint"], "certificate-authority-data": at["certificate"]}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": {"exec": exec_}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )

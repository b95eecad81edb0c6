"""Who may speak to whom. What is not said here is denied."""

from typing import Any

from infra.namespace.configuration import HTTP
from infra.namespace.gateway import INNER
from infra.namespace.manifest import GATEWAY, STUDIO, Manifest, labels, manifest
from infra.namespace.target import Target
from infra.render import port_inside
from infra.spec import Spec

LINK_LOCAL = "169.254.0.0/16"
"""Metadata services, which give whoever asks the node's own rights."""
PRIVATE_V4 = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", LINK_LOCAL, "172.16.0.0/12", "192.168.0.0/16")
PRIVATE_V6 = ("::1/128", "fc00::/7", "fe80::/10")
PUBLIC = (
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE_V4)}},
    {"ipBlock": {"cidr": "::/0", "except": list(PRIVATE_V6)}},
)
ANYWHERE = (
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": [LINK_LOCAL]}},
    {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10"]}},
)
APIS = (443, 6443, 8443, 16443)
"""Where API servers listen: managed, kubeadm and k3s, kind and minikube, MicroK8s. A policy sees a node's
address and port, not the Service's."""


def policies(spec: Spec, target: Target) -> list[Manifest]:
    """Nobody speaks to anybody, but the gateway and the studios as their work needs."""
    ports = sorted({port_inside(endpoint) for endpoint in spec.endpoints.values()})
    made = {
        "deny-all": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        GATEWAY: _gateway(target, ports),
    }
    if ports:
        made[STUDIO] = _studio(ports)
    return [
        manifest("networking.k8s.io/v1", "NetworkPolicy", name, target.namespace, labels(), spec=content)
        for name, content in made.items()
    ]


def _gateway(target: Target, studio_ports: list[int]) -> dict[str, Any]:
    keda = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": target.keda_namespace}},
        "podSelector": {"matchLabels": {"app": "keda-operator"}},
    }
    checks = [{"ipBlock": {"cidr": network}} for network in target.edge.health_checks]
    # Private addresses too: the API, an identity provider or an object store may well have one.
    out = [_dns(), {"to": list(ANYWHERE), "ports": _tcp(*APIS)}]
    if target.rights_at:
        out.append({"to": [{"ipBlock": {"cidr": target.rights_at}}], "ports": _tcp(80)})
    out.append({"to": [_pods(GATEWAY)], "ports": _tcp(INNER)})
    if studio_ports:
        out.append({"to": [_pods(STUDIO)], "ports": _tcp(*studio_ports)})
    return {
        "podSelector": {"matchLabels": labels(GATEWAY)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            # From everywhere: it is the door, and asks each who they are.
            {"ports": _tcp(HTTP)},
            {"from": [keda, _pods(GATEWAY), *checks], "ports": _tcp(INNER)},
        ],
        "egress": out,
    }


def _studio(ports: list[int]) -> dict[str, Any]:
    return {
        "podSelector": {"matchLabels": labels(STUDIO)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [_pods(GATEWAY)], "ports": _tcp(*ports)}],
        # Volumes are the node's to mount: a pod speaks to no file server itself.
        "egress": [_dns(), {"to": list(PUBLIC), "ports": _tcp(443)}],
    }


def _pods(component: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": labels(component)}}


def _tcp(*ports: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def _dns() -> dict[str, Any]:
    # To any address: it is a pod, a node's own cache or a link-local address, as the cluster has it.
    return {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}

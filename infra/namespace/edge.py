"""How people come to the gateway: its Service, and what leads there with TLS."""

from typing import Any

from infra.namespace.configuration import CONSOLE, host
from infra.namespace.manifest import GATEWAY, Manifest, labels, manifest
from infra.namespace.target import Edge, Target
from infra.spec import Spec

PORT = 80
"""Of Service `gateway`."""
MOST_HOSTS = 16
"""Of an HTTPRoute, by its definition (`hostnames`, maxItems)."""


def edge(spec: Spec, target: Target) -> list[Manifest]:
    """Service `gateway`, and an Ingress or HTTPRoutes in front of it."""
    way = target.edge
    hosts = [host(spec, label) for label in (CONSOLE, *spec.endpoints)]
    made = [_service(target, way)]
    if way.kind == "alb":
        # Each host is a rule of the balancer's, which has 100 at most, and the gateway knows hosts itself.
        made.append(_ingress(target, way, [host(spec, "*")]))
    if way.kind == "ingress":
        made.append(_ingress(target, way, hosts))
    if way.kind == "gateway-api":
        for number, first in enumerate(range(0, len(hosts), MOST_HOSTS), 1):
            name = GATEWAY if number == 1 else f"{GATEWAY}-{number}"
            made.append(_route(target, way, name, hosts[first : first + MOST_HOSTS]))
    return made


def _service(target: Target, way: Edge) -> Manifest:
    content: dict[str, Any] = {
        "selector": labels(GATEWAY),
        "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
    }
    if way.kind == "address":
        content |= {
            "type": "LoadBalancer",
            # Whoever speaks for a caller keeps its address only if no node in between changes it.
            "externalTrafficPolicy": "Local",
            **({"loadBalancerIP": way.address} if way.address else {}),
        }
    annotations = {**way.service_annotations, **(way.annotations if way.kind == "address" else {})}
    return manifest("v1", "Service", GATEWAY, target.namespace, labels(GATEWAY), annotations, spec=content)


def _ingress(target: Target, way: Edge, hosts: list[str]) -> Manifest:
    service = {"service": {"name": GATEWAY, "port": {"name": "http"}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": service}]
    return manifest(
        "networking.k8s.io/v1",
        "Ingress",
        GATEWAY,
        target.namespace,
        labels(GATEWAY),
        way.annotations,
        spec={
            **({"ingressClassName": way.class_name} if way.class_name else {}),
            "rules": [{"host": name, "http": {"paths": paths}} for name in hosts],
            **({"tls": [{"hosts": hosts, "secretName": way.tls_secret}]} if way.tls_secret else {}),
        },
    )


def _route(target: Target, way: Edge, name: str, hosts: list[str]) -> Manifest:
    namespace, parent, *listener = (way.parent or "").split("/")
    backend = {"group": "", "kind": "Service", "name": GATEWAY, "port": PORT, "weight": 1}
    return manifest(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        name,
        target.namespace,
        labels(GATEWAY),
        way.annotations,
        spec={
            "parentRefs": [
                {
                    "group": "gateway.networking.k8s.io",
                    "kind": "Gateway",
                    "namespace": namespace,
                    "name": parent,
                    **({"sectionName": listener[0]} if listener else {}),
                }
            ],
            "hostnames": hosts,
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": [backend],
                    # No limit: the door has its own, and Envoy's default of 15 s would end every picture.
                    **({"timeouts": {"request": "0s"}} if way.timeouts else {}),
                }
            ],
        },
    )  # fmt: skip

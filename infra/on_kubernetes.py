"""`runs_on: kubernetes`: the team's objects in a cluster that is there already, and nothing of AWS."""

from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra import kubernetes_placement
from infra.keda import Keda
from infra.kubernetes_names import secret_entry
from infra.kubernetes_spec import EdgeSpec, KubernetesSpec
from infra.namespace.component import TeamNamespace
from infra.namespace.configuration import CONSOLE, host
from infra.namespace.provider import provider_of
from infra.namespace.requests import cpu, memory
from infra.namespace.storage import keeps_outputs
from infra.namespace.target import Edge, EdgeKind, Placement, SecretKey, Target, Volume
from infra.quantities import size
from infra.references import movable, references
from infra.spec import EndpointSpec, Spec


def provision(spec: Spec) -> None:
    """Register everything, and export where to go and what to do next."""
    given = spec.team.kubernetes
    for image in references(spec.team.image).values():
        if image.digest is None:
            pulumi.log.warn(movable(image))
    provider = _provider(f"easel-{spec.name}", given)
    # What the last `pulumi destroy` left is taken back; else an object that is there already is an error.
    adopting = _provider(f"easel-{spec.name}-adopting", given, upsert_existing_objects=True)
    keda = (
        [Keda(f"easel-{spec.name}-keda", provider, given.keda_namespace)] if given.keda == "install" else []
    )
    target = target_of(spec, provider, adopting, keda)
    team = TeamNamespace(f"easel-{spec.name}", spec, target)
    _export(spec, target, team)


def target_of(
    spec: Spec,
    provider: pulumi.ProviderResource | None = None,
    adopting: pulumi.ProviderResource | None = None,
    depends_on: list[Any] | None = None,
) -> Target:
    """What the stack file says, as what a team's objects stand on."""
    given, images = spec.team.kubernetes, references(spec.team.image)
    volumes = given.storage
    members = spec.team.members
    return Target(
        namespace=given.namespace or f"easel-{spec.name}",
        studio_image=str(images["studio"]),
        gateway_image=str(images["gateway"]),
        placement=lambda name: _placement(given, spec.endpoints[name].shape),
        models=Volume(volumes.models, volumes.storage_class, _quantity(volumes.models_size), volumes.access),
        outputs=lambda name: Volume(
            volumes.outputs.get(name), volumes.storage_class, _quantity(volumes.outputs_size), volumes.access
        ),
        secrets=lambda name: _secrets(spec.endpoints[name]),
        edge=_edge(given.edge),
        client_secret=(
            SecretKey(*secret_entry(members.client_secret, "client_secret"))
            if members and members.client_secret
            else None
        ),
        pull_secrets=given.pull_secrets,
        keda_namespace=given.keda_namespace,
        provider=provider,
        adopting=adopting,
        depends_on=depends_on or [],
    )


def _provider(name: str, given: KubernetesSpec, **more: Any) -> kubernetes.Provider:
    # Without a file it looks where every client of Kubernetes does.
    path = str(Path(given.kubeconfig).expanduser()) if given.kubeconfig else None
    return provider_of(name, given.context, kubeconfig=path, context=given.context, **more)


def _placement(given: KubernetesSpec, shape: str) -> Placement:
    own = kubernetes_placement.own(given, shape)
    return Placement(
        node_selector=kubernetes_placement.node_selector(given, shape),
        tolerations=kubernetes_placement.tolerations(given, shape),
        gpu=kubernetes_placement.gpu(given, shape),
        runtime_class=kubernetes_placement.runtime_class(given, shape),
        cpu=own.cpu or cpu(shape),
        memory=_quantity(own.memory) if own.memory else memory(shape),
    )


def _secrets(endpoint: EndpointSpec) -> dict[str, SecretKey]:
    return {
        variable: SecretKey(*secret_entry(value, variable)) for variable, value in endpoint.secrets.items()
    }


def _edge(given: EdgeSpec) -> Edge:
    kind: EdgeKind = "address"
    if given.ingress is not None:
        kind = "ingress"
    elif given.gateway is not None:
        kind = "gateway-api"
    return Edge(
        kind,
        class_name=given.ingress,
        annotations=given.annotations,
        service_annotations=given.service_annotations,
        trusted=given.trusted,
        health_checks=given.health_checks,
        tls_secret=given.tls,
        parent=given.gateway,
        timeouts=given.timeouts,
        address=given.address,
    )


def _quantity(bytes_: int) -> str:
    """Bytes as Kubernetes writes them: `500G`, `12Gi`."""
    return size(bytes_).removesuffix("B")


def _export(spec: Spec, target: Target, team: TeamNamespace) -> None:
    """The stack's outputs. Links are secrets: `pulumi stack output endpoints --show-secrets`."""
    pulumi.export(
        "endpoints",
        {
            name: {
                "url": f"https://{host(spec, name)}",
                "link": team.endpoints[name].url,
                "shape": endpoint.shape,
                "replicas": {"min": endpoint.replicas.min, "max": endpoint.replicas.max},
            }
            for name, endpoint in spec.endpoints.items()
        },
    )
    pulumi.export("console", {"url": f"https://{host(spec, CONSOLE)}", "link": team.console.url})
    pulumi.export("namespace", target.namespace)
    pulumi.export("edge_address", team.edge_address)
    pulumi.export("kept_by_destroy", _kept(spec, target))
    pulumi.export("next", _next_steps(spec, target))


def _kept(spec: Spec, target: Target) -> list[str]:
    claims = [] if target.models.claim else ["models"]
    for name, endpoint in spec.endpoints.items():
        if keeps_outputs(endpoint) and target.outputs(name).claim is None:
            claims.append(f"outputs-{name}")
    return [
        f"namespace {target.namespace} with its claims {', '.join(claims) or '(your own)'}: models and "
        "pictures. `pulumi up` takes them back; deleting the namespace deletes them for ever"
    ]


def _next_steps(spec: Spec, target: Target) -> list[str]:
    """What a team lead does now, in order."""
    where = {
        "ingress": "the address of the ingress controller",
        "gateway-api": f"the address of Gateway {target.edge.parent}",
        "address": "your proxy, which ends TLS and leads to this address",
    }[target.edge.kind]
    steps = [f"Point *.{spec.team.domain} at {where} (`pulumi stack output edge_address`)"]
    named = sorted({key.name for name in spec.endpoints for key in _secrets(spec.endpoints[name]).values()})
    if named:
        steps.append(f"Have these Secrets in namespace {target.namespace}: {', '.join(named)}")
    if spec.endpoints:
        steps.append(
            "Open a link: `pulumi stack output endpoints --show-secrets`. The first picture wakes it"
        )
    return [*steps, "Give others a link of their own: `easel token`"]

"""What `pulumi up` of a team on a cluster ends with."""

from typing import Any

import pulumi

from infra.budget import ACTIVATE
from infra.cluster import cost
from infra.cluster.platform import EXPORT, Platform
from infra.cluster.rules import OWN
from infra.domain import Domain
from infra.filesystem import Filesystem
from infra.image import Image
from infra.namespace.component import TeamNamespace
from infra.outputs import images_kept, storage_kept
from infra.spec import Spec


def export(
    spec: Spec,
    platform: Platform,
    namespace: TeamNamespace,
    domain: Domain,
    filesystem: Filesystem | None,
    image: Image,
) -> None:
    """Export the stack's outputs. Links are secrets: `pulumi stack output endpoints --show-secrets`."""
    pulumi.export("endpoints", {name: _endpoint(spec, name, namespace, domain) for name in spec.endpoints})
    pulumi.export("console", {"url": f"https://{domain.host('console')}", "link": namespace.console.url})
    pulumi.export("floor_per_month", round(cost.floor_monthly(spec), 2))
    pulumi.export("floor", cost.floor_told(spec))
    pulumi.export("storage", {"file_system": platform.file_system})
    pulumi.export(
        "kubeconfig",
        pulumi.Output.format(
            "aws eks update-kubeconfig --region {0} --name {1}", platform.region, platform.cluster
        ),
    )
    if spec.team.platform == OWN:
        pulumi.export(EXPORT, platform.exported())
    if domain.name_servers is not None:
        pulumi.export("name_servers", domain.name_servers)
    kept = [images_kept(image), *(storage_kept(filesystem) if filesystem else [])]
    pulumi.export("kept_by_destroy", kept)
    pulumi.export("next", next_steps(spec))


def next_steps(spec: Spec) -> list[str]:
    """What a team lead does now, in order."""
    steps = []
    if spec.endpoints:
        steps.append(
            "Open a link: `pulumi stack output endpoints --show-secrets`. The first picture takes some "
            f"minutes, while {next(iter(spec.endpoints))} wakes; the console's link shows how far it is"
        )
    elif spec.team.platform == OWN:
        steps.append(
            f"Let a team share the cluster: platform: {spec.name} in its easel:team, and who runs its pulumi "
            "in this stack's easel:team.cluster.admins"
        )
    steps.append("Give others a link of their own: `easel token`")
    if spec.team.budget:
        steps.append(ACTIVATE)
    return steps


def _endpoint(spec: Spec, name: str, namespace: TeamNamespace, domain: Domain) -> dict[str, Any]:
    endpoint = spec.endpoints[name]
    costs = cost.hourly(endpoint)
    return {
        "url": f"https://{domain.host(name)}",
        "link": namespace.endpoints[name].url,
        "shape": endpoint.shape,
        "replicas": {"min": endpoint.replicas.min, "max": endpoint.replicas.max},
        "dollars_per_hour": {
            "asleep": round(costs.asleep, 4),
            "min": round(costs.min, 4),
            "max": round(costs.max, 4),
        },
    }

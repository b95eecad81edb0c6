"""What `pulumi up` ends with: where to go, what it costs, what `pulumi destroy` keeps, what to do next."""

from collections.abc import Mapping
from typing import Any

import pulumi

from infra.buckets import Buckets
from infra.budget import ACTIVATE
from infra.cost import floor_monthly, floor_told, hourly
from infra.domain import Domain
from infra.filesystem import Filesystem
from infra.image import Image
from infra.instances.gateway import GatewayHost
from infra.instances.replicas import ReplicaHosts
from infra.link import AccessLink
from infra.spec import EndpointSpec, Spec


def export(
    spec: Spec,
    endpoints: Mapping[str, ReplicaHosts],
    console: AccessLink,
    domain: Domain,
    filesystem: Filesystem,
    buckets: Buckets,
    image: Image,
    gateway: GatewayHost,
) -> None:
    """Export the stack's outputs. Links are secrets: `pulumi stack output endpoints --show-secrets`."""
    pulumi.export("endpoints", {name: _endpoint(spec.endpoints[name], at) for name, at in endpoints.items()})
    pulumi.export("console", {"url": f"https://{domain.host('console')}", "link": console.url})
    pulumi.export("floor_per_month", round(floor_monthly(spec), 2))
    pulumi.export("floor", floor_told(spec))
    pulumi.export(
        "storage",
        {"file_system": filesystem.id, "models": filesystem.models_id, "configuration": buckets.config},
    )
    if domain.name_servers is not None:
        pulumi.export("name_servers", domain.name_servers)
    pulumi.export("kept_by_destroy", _kept(filesystem, image, gateway))
    pulumi.export("next", next_steps(spec))


def next_steps(spec: Spec) -> list[str]:
    """What a team lead does now, in order."""
    steps = []
    if spec.team.zone == "create":
        steps.append(
            f"Delegate {spec.team.domain}: in the zone above it, an NS record with the servers of "
            "`pulumi stack output name_servers`. Without it there is no certificate and no address"
        )
    if spec.endpoints:
        first = next(iter(spec.endpoints))
        steps.append(
            "Open a link: `pulumi stack output endpoints --show-secrets`. The first picture takes "
            f"some minutes, while {first} wakes; the console's link shows how far it is"
        )
    steps.append("Give others a link of their own: `easel token`")
    if spec.team.budget:
        steps.append(ACTIVATE)
    return steps


def _endpoint(endpoint: EndpointSpec, at: ReplicaHosts) -> dict[str, Any]:
    costs = hourly(endpoint)
    return {
        "url": at.url,
        "link": at.link,
        "shape": endpoint.shape,
        "replicas": {"min": endpoint.replicas.min, "max": endpoint.replicas.max},
        "dollars_per_hour": {
            "asleep": round(costs.asleep, 4),
            "min": round(costs.min, 4),
            "max": round(costs.max, 4),
        },
    }


def _kept(filesystem: Filesystem, image: Image, gateway: GatewayHost) -> list[pulumi.Output[str]]:
    """The data that `pulumi destroy` leaves, and how it is had again or done away with."""
    return [
        *storage_kept(filesystem),
        pulumi.Output.format(
            "{0}: certificates, logs and counts of the gateway. Have them again with "
            "easel:team.storage.gateway: {0}; or `aws ec2 delete-volume --volume-id {0}`",
            gateway.data_id,
        ),
        images_kept(image),
    ]


def storage_kept(filesystem: Filesystem) -> list[pulumi.Output[str]]:
    """The team's files, and their backups."""
    return [
        pulumi.Output.format(
            "{0}: models and pictures. Have them again with easel:team.storage.existing: {0}", filesystem.id
        ),
        pulumi.Output.format(
            "Backups of {0}, if AWS made any: each is paid for until 35 days after it was made, also when "
            "the file system is gone. `aws backup list-recovery-points-by-resource --resource-arn {1}`",
            filesystem.id,
            filesystem.arn,
        ),
    ]


def images_kept(image: Image) -> pulumi.Output[str]:
    """The account's images."""
    return image.repository_arns.apply(
        lambda arns: f"{', '.join(arns) or 'no repository'}: images, which other teams of the account may run"
    )

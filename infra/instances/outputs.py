"""What `pulumi up` of a team on instances ends with: where to go, what it costs, what stays, what to do."""

from collections.abc import Mapping

import pulumi

from infra.buckets import Buckets
from infra.cost import floor_monthly, floor_told, hourly
from infra.domain import Domain
from infra.filesystem import Filesystem
from infra.image import Image
from infra.instances.gateway import GatewayHost
from infra.instances.replicas import ReplicaHosts
from infra.link import AccessLink
from infra.outputs import endpoint_output, images_kept, opening_steps, storage_kept
from infra.spec import Spec


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
    pulumi.export(
        "endpoints",
        {
            name: endpoint_output(spec.endpoints[name], hourly(spec.endpoints[name]), at.url, at.link)
            for name, at in endpoints.items()
        },
    )
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
    pulumi.export("next", _steps(spec))


def _steps(spec: Spec) -> list[str]:
    """What a team lead does now, in order."""
    steps = []
    if spec.team.zone == "create":
        steps.append(
            f"Delegate {spec.team.domain}: in the zone above it, an NS record with the servers of "
            "`pulumi stack output name_servers`. Without it there is no certificate and no address"
        )
    return [*steps, *opening_steps(spec)]


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

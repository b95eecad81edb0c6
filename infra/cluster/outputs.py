"""What `pulumi up` of a team on a cluster ends with."""

import pulumi

from infra.cluster import cost
from infra.cluster.platform import EXPORT, Platform
from infra.cluster.rules import OWN
from infra.domain import Domain
from infra.filesystem import Filesystem
from infra.image import Image
from infra.namespace.component import TeamNamespace
from infra.outputs import endpoint_output, images_kept, opening_steps, storage_kept
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
    pulumi.export(
        "endpoints",
        {
            name: endpoint_output(
                endpoint,
                cost.hourly(endpoint),
                f"https://{domain.host(name)}",
                namespace.endpoints[name].url,
            )
            for name, endpoint in spec.endpoints.items()
        },
    )
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
    pulumi.export("next", _steps(spec))


def _steps(spec: Spec) -> list[str]:
    """What a team lead does now, in order."""
    # A new zone is delegated to by now: the certificate waited for it.
    if spec.endpoints or spec.team.platform != OWN:
        return opening_steps(spec)
    share = (
        f"Let a team share the cluster: platform: {spec.name} in its easel:team, and who runs its pulumi "
        "in this stack's easel:team.cluster.admins"
    )
    return [share, *opening_steps(spec)]

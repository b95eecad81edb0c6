"""What stacks on AWS end with, wherever replicas run: an endpoint, what stays after `destroy`, what to do."""

from typing import Any

import pulumi

from infra.budget import ACTIVATE
from infra.cost import Hourly
from infra.filesystem import Filesystem
from infra.image import Image
from infra.spec import EndpointSpec, Spec


def endpoint_output(
    endpoint: EndpointSpec, costs: Hourly, url: pulumi.Input[str], link: pulumi.Input[str]
) -> dict[str, Any]:
    """Where an endpoint answers, and its dollars an hour. `link` is a secret: it has a token in it."""
    return {
        "url": url,
        "link": link,
        "shape": endpoint.shape,
        "replicas": {"min": endpoint.replicas.min, "max": endpoint.replicas.max},
        "dollars_per_hour": {
            "asleep": round(costs.asleep, 4),
            "min": round(costs.min, 4),
            "max": round(costs.max, 4),
        },
    }


def opening_steps(spec: Spec) -> list[str]:
    """How a team lead opens the first endpoint and lets others in."""
    steps = []
    if spec.endpoints:
        steps.append(
            "Open a link: `pulumi stack output endpoints --show-secrets`. The first picture takes "
            f"some minutes, while {next(iter(spec.endpoints))} wakes; the console's link shows how far it is"
        )
    steps.append("Give others a link of their own: `easel token`")
    if spec.team.budget:
        steps.append(ACTIVATE)
    return steps


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

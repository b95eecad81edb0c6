"""Whether whoever runs the program may do anything in the cluster that it is about."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.cluster.principals import is_among


class NotAdmin(pulumi.RunError):
    """Whoever runs the program could not speak to the cluster that it makes."""


def caller(parent: pulumi.Resource) -> str:
    """Who runs the program, as STS names it: `arn:aws:sts::111122223333:assumed-role/Admin/me`."""
    return aws.get_caller_identity(opts=pulumi.InvokeOptions(parent=parent)).arn


def check_caller(who: str, admins: Sequence[str]) -> None:
    """Raise NotAdmin unless the caller is one of the admins."""
    if not is_among(who, admins):
        raise NotAdmin(
            f"easel:team.cluster.admins: {who}, which runs this, is not among them, and could make the "
            "cluster but nothing in it: add its role or user"
        )

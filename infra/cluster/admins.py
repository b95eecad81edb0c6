"""Who may do everything in a cluster, and whether whoever runs the program is one of them."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.cluster.principals import is_among
from infra.spec import ClusterSpec


class NotAdmin(pulumi.RunError):
    """Whoever runs the program could not speak to the cluster that it is about."""


def admins_of(cluster: ClusterSpec, parent: pulumi.Resource) -> list[str]:
    """ARNs of roles and users: those of the file, or whoever runs the program. Raises NotAdmin."""
    who = caller(parent)
    if cluster.admins:
        check_caller(who, cluster.admins)
        return list(cluster.admins)
    found = aws.iam.get_session_context(arn=who, opts=pulumi.InvokeOptions(parent=parent)).issuer_arn
    pulumi.log.warn(
        f"easel:team.cluster.admins names nobody, so {found}, which runs this, is the cluster's only admin. "
        "Who runs it next takes its place: write there who may",
        parent,
    )
    return [found]


def caller(parent: pulumi.Resource) -> str:
    """Who runs the program, as STS names it: `arn:aws:sts::111122223333:assumed-role/Admin/me`."""
    return aws.get_caller_identity(opts=pulumi.InvokeOptions(parent=parent)).arn


def check_caller(who: str, admins: Sequence[str], stack: str | None = None) -> None:
    """Raise NotAdmin unless the caller is one of the admins, which `stack` names if not this one."""
    if not is_among(who, admins):
        where = f"easel:team.cluster.admins of {stack}" if stack else "easel:team.cluster.admins"
        raise NotAdmin(
            f"{where}: {who}, which runs this, is not among them, and could do nothing in the cluster: add "
            "its role or user there"
        )

"""Whether whoever runs the program may do anything in the cluster that it is about."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws


class NotAdmin(pulumi.RunError):
    """Whoever runs the program could not speak to the cluster that it makes."""


def caller(parent: pulumi.Resource) -> str:
    """Who runs the program, as STS names it: `arn:aws:sts::111122223333:assumed-role/Admin/me`."""
    return aws.get_caller_identity(opts=pulumi.InvokeOptions(parent=parent)).arn


def check_caller(who: str, admins: Sequence[str]) -> None:
    """Raise NotAdmin unless the caller, as STS names it, is one of the admins, as IAM names them.

    Of a role STS tells the name and not the path, so those two are compared: account and name.
    """
    if _principal(who) not in {_principal(arn) for arn in admins}:
        raise NotAdmin(
            f"easel:team.cluster.admins: {who}, which runs this, is not among them, and could make the "
            "cluster but nothing in it: add its role or user"
        )


def _principal(arn: str) -> tuple[str, str, str]:
    """Account, kind and name: `("111122223333", "role", "Admin")`."""
    account, kind_and_name = arn.split(":")[4], arn.split(":", 5)[5]
    parts = kind_and_name.split("/")
    if parts[0] == "assumed-role":
        return account, "role", parts[1]
    return account, parts[0], parts[-1]

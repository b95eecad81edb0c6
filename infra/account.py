"""The account and region that a stack lives in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pulumi


@dataclass(frozen=True)
class AwsAccount:
    """Where the stack lives, as ARNs are spelled."""

    partition: str
    region: str
    id: str

    def arn(self, service: str, resource: str) -> str:
        """`account.arn("logs", "log-group:/easel/art")`, in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{resource}"


def this_account(parent: pulumi.Resource) -> AwsAccount:
    """Where the stack's provider provisions."""
    # Here: `easel policy` spells ARNs too, and `make up` installs no Pulumi.
    import pulumi
    import pulumi_aws as aws

    opts = pulumi.InvokeOptions(parent=parent)
    return AwsAccount(
        aws.get_partition(opts=opts).partition,
        aws.get_region(opts=opts).region,
        aws.get_caller_identity(opts=opts).account_id,
    )

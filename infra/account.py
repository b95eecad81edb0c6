"""The account and region that a stack lives in."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


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
    opts = pulumi.InvokeOptions(parent=parent)
    return AwsAccount(
        aws.get_partition(opts=opts).partition,
        aws.get_region(opts=opts).region,
        aws.get_caller_identity(opts=opts).account_id,
    )

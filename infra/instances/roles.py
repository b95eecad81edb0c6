"""A role for instances: who takes it is EC2, what it may do is a list of statements."""

import json
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from infra.instances.policies import TRUST_OF_INSTANCES
from infra.policies import Statement, document

LONGEST_POLICY = 10_240
"""Characters that IAM lets a role's own policies have, all together and without spaces."""

OWN = 5_000
"""What of them is kept for a role's first policy, whose ARNs are not all known at preview."""


class PolicyTooLong(pulumi.RunError):
    """The endpoint names more than one role can be given."""


class InstanceRole(pulumi.ComponentResource):
    """A role, its policy and the profile that instances carry it by."""

    arn: pulumi.Output[str]
    profile_arn: pulumi.Output[str]
    profile_name: pulumi.Output[str]
    policy: pulumi.Resource
    """What must be there before an instance starts, or its first requests are refused."""

    def __init__(
        self,
        name: str,
        description: str,
        statements: pulumi.Input[Sequence[Statement]],
        tags: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("easel:instances:InstanceRole", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            description=description,
            assume_role_policy=json.dumps(TRUST_OF_INSTANCES, sort_keys=True),
            tags=tags,
            opts=inside,
        )
        self.policy = aws.iam.RolePolicy(
            name, role=role.name, policy=pulumi.Output.from_input(statements).apply(_written), opts=inside
        )
        profile = aws.iam.InstanceProfile(
            name,
            role=role.name,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.policy]),
        )
        self.arn, self.profile_arn, self.profile_name = role.arn, profile.arn, profile.name
        self._role, self._added = role, 0
        self.register_outputs({"arn": self.arn})

    def add(self, name: str, statements: Sequence[Statement], opts: pulumi.ResourceOptions) -> None:
        """Another policy of this role's, a child of whoever `opts` says; none for no statements.

        Raises PolicyTooLong when those that were added take more than what the role's own leaves them.
        """
        if not statements:
            return
        text = document(statements)
        self._added += len(text.replace(" ", ""))
        if self._added > LONGEST_POLICY - OWN:
            raise PolicyTooLong(
                f"what the endpoints' models need takes {self._added} characters of the gateway's policy, "
                f"and IAM leaves {LONGEST_POLICY - OWN}: they name too many models in s3:// or secrets. Put "
                "the models into the team's store once (`easel models add`) and take them out of models:"
            )
        aws.iam.RolePolicy(name, role=self._role.name, policy=text, opts=opts)


def _written(statements: Sequence[Statement]) -> str:
    text = document(statements)
    if len(text.replace(" ", "")) > LONGEST_POLICY:
        raise PolicyTooLong(
            f"the role's policy has {len(text)} characters, and IAM takes {LONGEST_POLICY}: the endpoint "
            "names too many secrets"
        )
    return text

"""The permissions boundary: what no role of a stack may do more than, whoever wrote its policies.

A platform team asks for it by denying `iam:CreateRole` without it. So it must be on a role from its first
request on, and on every one: it is put there in one place and not where roles are made, of which a new one
would forget it.
"""

import pulumi

from infra.spec import Spec

ROLE = "aws:iam/role:Role"


def bound_roles(spec: Spec) -> None:
    """Have every role that is registered from now on carry the team's `iam.permissions_boundary`."""
    boundary = spec.team.iam.permissions_boundary
    if boundary is None:
        return

    def carry(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if args.type_ != ROLE:
            return None
        return pulumi.ResourceTransformationResult(
            {**args.props, "permissions_boundary": boundary}, args.opts
        )

    pulumi.runtime.register_stack_transformation(carry)

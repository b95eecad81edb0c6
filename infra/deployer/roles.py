"""What the roles that a stack makes may do at most: a permissions boundary that lets them work.

By actions alone: which things each role may touch its own policy says, and a boundary only takes away.
"""

from infra.account import AwsAccount
from infra.bake.policies import build_statements
from infra.instances.policies import Host, gateway_statements, host_statements
from infra.policies import AwsSecret, Statement, allow, supply_statements

_ACCOUNT = AwsAccount("aws", "us-east-1", "111122223333")
_SECRET = AwsSecret(_ACCOUNT.arn("secretsmanager", "secret:x-AbCdEf"), _ACCOUNT.arn("kms", "key/1"))


def boundary_statements() -> list[Statement]:
    """For `runs_on: instances`. On a cluster roles carry AWS's own policies, which change with EKS."""
    host = Host(_ACCOUNT, "team", "endpoint", "b", "f", ["p"], "l", ["r"], [_SECRET])
    given = [
        *gateway_statements(_ACCOUNT, "team", "b", ["r"], "f", "m", [_SECRET]),
        *host_statements(host),
        *supply_statements(_ACCOUNT, ["s3://bucket/key"], {}),
        *build_statements("aws", "us-east-1", "111122223333", "b", "l"),
    ]
    actions: set[str] = set()
    for statement in given:
        asked = statement["Action"]
        actions.update([asked] if isinstance(asked, str) else asked)
    return [allow("WhatRolesOfEaselDo", sorted(actions), "*")]

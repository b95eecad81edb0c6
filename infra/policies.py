"""Policies as pure functions of names and ARNs: statements, and those that whatever runs the gateway needs.

Actions, resources and condition keys are those of AWS's Service Authorization Reference.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.account import AwsAccount
from infra.names import SOURCE_TOKENS
from infra.partitions import partition_of

Statement = dict[str, Any]


@dataclass(frozen=True)
class AwsSecret:
    """A secret of AWS Secrets Manager."""

    arn: str
    key_arn: str | None = None
    """The customer's key that it is encrypted with; None for AWS's own, which needs no right."""


def document(statements: Sequence[Statement]) -> str:
    """The policy's text. Equal statements give equal text, so that a preview shows no change that is none."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, sort_keys=True)


def allow(
    sid: str, action: str | list[str], resource: str | list[str], condition: dict[str, Any] | None = None
) -> Statement:
    """A statement; its `Sid` says what it is for."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def supply_statements(
    account: AwsAccount, models: Sequence[str], secrets: Mapping[str, AwsSecret]
) -> list[Statement]:
    """What the gateway needs for one endpoint's `models`, and nothing if they are public: the objects in S3
    and the tokens, each by its name. `secrets` are the endpoint's, by variable."""
    if not models:
        return []
    objects = {arn for arn in (object_arn(account.partition, model) for model in models) if arn}
    tokens = [secrets[name] for name in SOURCE_TOKENS if name in secrets]
    # The version too: where a bucket keeps versions, all ranges are asked of one.
    fetch = allow("FetchModels", ["s3:GetObject", "s3:GetObjectVersion"], sorted(objects))
    return [*([fetch] if objects else []), *secret_statements(tokens)]


def object_arn(partition: str, address: str) -> str | None:
    """The ARN of a model's `s3://bucket/key`, exactly that key; None for another kind of address."""
    # As the fetching reads it: S3 knows no query, so it belongs to the key; `#type=lora` is for the store.
    address = re.sub(r"#type=[^#&]*$", "", address)
    found = re.fullmatch(r"s3://(?P<bucket>[^/?#]+)/+(?P<key>.+)", address)
    if not found:
        return None
    # In a policy these three mean something; a key that holds one would name more than itself.
    key = re.sub(r"[*?$]", lambda sign: f"${{{sign[0]}}}", found["key"])
    return f"arn:{partition}:s3:::{found['bucket']}/{key}"


def secret_statements(secrets: Sequence[AwsSecret]) -> list[Statement]:
    """To read these secrets and no other, each with the right on the key that it is under."""
    if not secrets:
        return []
    arns = sorted({secret.arn for secret in secrets})
    statements = [allow("ReadOwnSecrets", "secretsmanager:GetSecretValue", arns)]
    if under_keys := [secret for secret in secrets if secret.key_arn]:
        # Through Secrets Manager, and for these secrets alone: the key may be under much else.
        through = {
            "kms:ViaService": sorted({_via(secret.arn) for secret in under_keys}),
            "kms:EncryptionContext:SecretARN": sorted({secret.arn for secret in under_keys}),
        }
        keys = sorted({str(secret.key_arn) for secret in under_keys})
        statements.append(allow("DecryptOwnSecrets", "kms:Decrypt", keys, {"StringEquals": through}))
    return statements


def _via(secret_arn: str) -> str:
    """The name that Secrets Manager asks KMS by, in the secret's region."""
    region = secret_arn.split(":")[3]
    return f"secretsmanager.{region}.{partition_of(region).domain}"

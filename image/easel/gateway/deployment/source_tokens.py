"""What a gateway on AWS gives the sources of models: tokens from Secrets Manager, and the region."""

from __future__ import annotations

import os
from collections.abc import Mapping

from easel.gateway.aws import Aws, AwsError
from easel.gateway.config import Endpoint
from easel.gateway.errors import SyncRefused
from easel.gateway.model_sync import SOURCE_TOKENS
from easel.remark import remark

NO_STORE = "EASEL_NO_STORE"
"""Set by the host where the team's store could not be mounted: why."""


def source_tokens(endpoint: Endpoint, region: str) -> Mapping[str, str]:
    """Variables for the process that fetches an endpoint's models. Blocks. Raises SyncRefused."""
    if why := os.environ.get(NO_STORE, ""):
        raise SyncRefused(remark("no_store", "there is no store to fetch models to: {why}", why=why))
    # As it is at home here: S3 asks for some region, and tells the bucket's own by itself.
    found = {"AWS_DEFAULT_REGION": region}
    secrets = endpoint.container.secrets if endpoint.container else {}
    for name in SOURCE_TOKENS:
        if name in secrets:
            found[name] = _secret(name, secrets[name], region)
    return found


def _secret(variable: str, arn: str, region: str) -> str:
    parts = arn.split(":")
    aws = Aws(parts[3] if arn.startswith("arn:") and len(parts) > 3 else region, attempts=2)
    try:
        answer = aws.call("secretsmanager", "get_secret_value", {"SecretId": arn})
    except AwsError as error:
        words = "secrets.{variable}: {place} cannot be read: {why}"
        refused = remark("secret_unread", words, variable=variable, place=arn, why=error)
        raise SyncRefused(refused) from None
    finally:
        aws.close()
    text = answer.get("SecretString")
    if not isinstance(text, str):
        words = "secrets.{variable}: {place} is binary: store it as text"
        raise SyncRefused(remark("secret_binary", words, variable=variable, place=arn))
    return text.strip()

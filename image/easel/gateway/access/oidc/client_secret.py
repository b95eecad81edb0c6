"""The secret that the gateway shows the identity provider: from AWS Secrets Manager, or on one machine from
the environment."""

from __future__ import annotations

import asyncio
import json
import os

from easel.remark import remark

VARIABLE = "EASEL_OIDC_CLIENT_SECRET"


class SecretMissing(Exception):
    """The secret cannot be read, in words for the operator."""


class ClientSecret:
    """Reads it when it is asked for, so that a changed one needs no restart."""

    def __init__(self) -> None:
        # Taken out: a studio runs other people's containers and models, and inherits what is left.
        self._given = os.environ.pop(VARIABLE, "").strip()

    async def read(self, name: str | None, region: str | None) -> str | None:
        """The secret; None for a client that has none, which PKCE alone guards. `name` is its ARN or name in
        Secrets Manager. Raises SecretMissing."""
        if self._given or name is None:
            return self._given or None
        return await asyncio.to_thread(_fetch, name, region)


def _fetch(name: str, region: str | None) -> str:
    # Only here: boto3 is not what a laptop needs to open the door.
    from easel.gateway.aws import Aws, AwsError

    parts = name.split(":")
    region = parts[3] if name.startswith("arn:") and len(parts) > 3 else region
    if not region:
        words = "members.client_secret: {name} names no region: write its ARN"
        raise SecretMissing(remark("client_secret_region", words, name=name))
    aws = Aws(region, attempts=2)
    try:
        answer = aws.call("secretsmanager", "get_secret_value", {"SecretId": name})
    except AwsError as error:
        words = "members.client_secret: {name} cannot be read: {why}. On one machine set {variable} instead"
        text = remark("client_secret_unread", words, name=name, why=error, variable=VARIABLE)
        raise SecretMissing(text) from None
    finally:
        aws.close()
    return _text(answer.get("SecretString"), name)


def _text(value: object, name: str) -> str:
    """A secret as people keep it: its text, or the console's JSON with one key."""
    text = value.strip() if isinstance(value, str) else ""
    if text.startswith("{"):
        try:
            found = json.loads(text).get("client_secret")
        except (ValueError, AttributeError):
            found = None
        text = found.strip() if isinstance(found, str) else ""
    if not text:
        words = (
            "members.client_secret: {name} has no text: store the secret itself, or JSON with client_secret"
        )
        raise SecretMissing(remark("client_secret_empty", words, name=name))
    return text

"""Tokens and the signing secret in the team's bucket, so that a new gateway machine knows everybody."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict

from easel.gateway.bucket import Bucket
from easel.gateway.errors import GatewayError
from easel.gateway.instances.aws import Refusal
from easel.gateway.tokens import Token

TOKENS = "run/tokens.json"
SECRET = "run/secret"  # noqa: S105 - a key of the bucket
_SHORTEST = 32


class BucketTokens:
    """`run/tokens.json`, by conditional writes.

    What was read last is kept: a request at the door is not held up by S3. `refresh` sees what others wrote.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._tokens: list[Token] = []
        self._revision = ""

    def read(self) -> tuple[list[Token], str]:
        """The tokens and their revision, from S3. Raises GatewayError."""
        try:
            stored = self._bucket.get(TOKENS)
        except Refusal as error:
            raise GatewayError(f"s3://{self._bucket.name}/{TOKENS} cannot be read: {error}") from None
        if stored is None:
            self._tokens, self._revision = [], ""
        elif stored.etag != self._revision:
            self._tokens, self._revision = _parse(stored.content, self._bucket.name), stored.etag
        return list(self._tokens), self._revision

    def known(self) -> list[Token]:
        """The tokens as they were last seen."""
        return self._tokens

    def swap(self, tokens: list[Token], revision: str) -> bool:
        """Write them if they are still at `revision`; whether they were. Raises GatewayError."""
        content = {"version": 1, "tokens": [asdict(token) for token in tokens]}
        body = (json.dumps(content, indent=1) + "\n").encode()
        try:
            etag = self._bucket.put(TOKENS, body, revision or None)
        except Refusal as error:
            raise GatewayError(f"s3://{self._bucket.name}/{TOKENS} cannot be written: {error}") from None
        if etag is None:
            return False
        self._tokens, self._revision = tokens, etag
        return True

    def changed(self) -> object:
        """The revision last seen."""
        return self._revision

    def behind(self, etag: str | None) -> bool:
        """Whether the object, whose ETag this is now, is another than what was read last."""
        return (etag or "") != self._revision

    def refresh(self) -> None:
        """See what others wrote. Raises GatewayError; what is known stays known."""
        self.read()


def secret(bucket: Bucket) -> str:
    """The key that signs browser sessions: made once, by whichever gateway is first. Raises GatewayError."""
    try:
        stored = bucket.get(SECRET)
        if stored is None:
            bucket.put(SECRET, secrets.token_urlsafe(48).encode(), None)
            # Read again, whether it was ours or another gateway's that came first.
            stored = bucket.get(SECRET)
    except Refusal as error:
        raise GatewayError(f"s3://{bucket.name}/{SECRET}: {error}") from None
    found = stored.content.decode("ascii", "replace").strip() if stored else ""
    if len(found) < _SHORTEST:
        raise GatewayError(
            f"s3://{bucket.name}/{SECRET} is cut short: remove the object; a new one is made, "
            "and everybody opens their link again"
        )
    return found


def _parse(content: bytes, bucket: str) -> list[Token]:
    try:
        return [Token(**fields) for fields in json.loads(content)["tokens"]]
    except (ValueError, KeyError, TypeError) as error:
        raise GatewayError(
            f"s3://{bucket}/{TOKENS} is not a token file ({error}): restore an earlier version of it, "
            "or remove it to start with no tokens at all"
        ) from None

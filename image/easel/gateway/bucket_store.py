"""Tokens, secrets and public keys in the team's bucket, so that a new gateway machine knows everybody."""

from __future__ import annotations

import json
from dataclasses import asdict

from easel.gateway.bucket import Bucket
from easel.gateway.errors import GatewayError
from easel.gateway.instances.aws import Refusal
from easel.gateway.tokens import Token

TOKENS = "run/tokens.json"
SECRET = "run/secret"  # noqa: S105 - a key of the bucket
KEYS = "run/keys.json"


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


class BucketSecret:
    """`run/secret`, by conditional writes; the public keys are `run/keys.json`, which hosts may read."""

    # Hosts look once a minute; S3 and their clocks may take their time.
    lead = 300.0

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.name = f"s3://{bucket.name}/{SECRET}"

    def read(self) -> tuple[str, str]:
        """The object's text and ETag. Raises GatewayError."""
        try:
            stored = self._bucket.get(SECRET)
        except Refusal as error:
            raise GatewayError(f"{self.name} cannot be read: {error}") from None
        return (stored.content.decode("ascii", "replace"), stored.etag) if stored else ("", "")

    def swap(self, text: str, revision: str) -> bool:
        """Write it if it is still at `revision`; whether it was. Raises GatewayError."""
        try:
            return self._bucket.put(SECRET, text.encode(), revision or None) is not None
        except Refusal as error:
            raise GatewayError(f"{self.name} cannot be written: {error}") from None

    def publish(self, keys: str) -> None:
        """Write `run/keys.json`. Raises GatewayError."""
        try:
            stored = self._bucket.get(KEYS)
            if stored is None or stored.content != keys.encode():
                # Refused if another gateway was faster: what it wrote follows from the same secrets.
                self._bucket.put(KEYS, keys.encode(), stored.etag if stored else None)
        except Refusal as error:
            raise GatewayError(f"s3://{self._bucket.name}/{KEYS} cannot be written: {error}") from None


def _parse(content: bytes, bucket: str) -> list[Token]:
    try:
        return [Token(**fields) for fields in json.loads(content)["tokens"]]
    except (ValueError, KeyError, TypeError) as error:
        raise GatewayError(
            f"s3://{bucket}/{TOKENS} is not a token file ({error}): restore an earlier version of it, "
            "or remove it to start with no tokens at all"
        ) from None

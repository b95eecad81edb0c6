"""Tokens, ended sessions and the signing secret in the team's bucket, so that a new gateway knows them."""

from __future__ import annotations

import secrets
from typing import Generic, TypeVar

from easel.gateway.bucket import Bucket
from easel.gateway.ended import End
from easel.gateway.errors import GatewayError
from easel.gateway.instances.aws import Refusal
from easel.gateway.records import parsed, text
from easel.gateway.tokens import Token

TOKENS = "run/tokens.json"
ENDED = "run/ended.json"
SECRET = "run/secret"  # noqa: S105 - a key of the bucket
_SHORTEST = 32
R = TypeVar("R")


class BucketRecords(Generic[R]):
    """One object of records, by conditional writes.

    What was read last is kept: a request at the door is not held up by S3. `refresh` sees what others wrote.
    """

    def __init__(self, bucket: Bucket, key: str, name: str, kind: type[R]) -> None:
        self._bucket = bucket
        self._key = key
        self._name = name
        self._kind = kind
        self._records: list[R] = []
        self._revision = ""

    def read(self) -> tuple[list[R], str]:
        """The records and their revision, from S3. Raises GatewayError."""
        try:
            stored = self._bucket.get(self._key)
        except Refusal as error:
            raise GatewayError(f"s3://{self._bucket.name}/{self._key} cannot be read: {error}") from None
        if stored is None:
            self._records, self._revision = [], ""
        elif stored.etag != self._revision:
            self._records, self._revision = self._parsed(stored.content), stored.etag
        return list(self._records), self._revision

    def known(self) -> list[R]:
        """The records as they were last seen."""
        return self._records

    def swap(self, records: list[R], revision: str, *, must: bool = False) -> bool:
        """Write them if they are still at `revision`; whether they were. Raises GatewayError."""
        body = text(records, self._name).encode()
        try:
            etag = self._bucket.put(self._key, body, revision or None)
        except Refusal as error:
            raise GatewayError(f"s3://{self._bucket.name}/{self._key} cannot be written: {error}") from None
        if etag is None:
            return False
        self._records, self._revision = records, etag
        return True

    def changed(self) -> object:
        """The revision last seen."""
        return self._revision

    def refresh(self) -> None:
        """See what others wrote. Raises GatewayError; what is known stays known."""
        self.read()

    def _parsed(self, content: bytes) -> list[R]:
        try:
            return parsed(content, self._name, self._kind)
        except (ValueError, KeyError, TypeError) as error:
            raise GatewayError(
                f"s3://{self._bucket.name}/{self._key} is not a file of {self._name} ({error}): restore an "
                f"earlier version of it, or remove it to start with no {self._name} at all"
            ) from None


def tokens_of(bucket: Bucket) -> BucketRecords[Token]:
    """`run/tokens.json`."""
    return BucketRecords(bucket, TOKENS, "tokens", Token)


def ended_of(bucket: Bucket) -> BucketRecords[End]:
    """`run/ended.json`."""
    return BucketRecords(bucket, ENDED, "ended", End)


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

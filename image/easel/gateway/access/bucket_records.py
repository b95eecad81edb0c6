"""Tokens, ended sessions, secrets and public keys in the team's bucket, so that a new gateway machine knows
everybody."""

from __future__ import annotations

from typing import Generic, TypeVar

from easel.gateway.access.ended_sessions import End
from easel.gateway.access.tokens import Token
from easel.gateway.aws import AwsError, Bucket
from easel.gateway.disk import parsed, text
from easel.gateway.errors import GatewayError

TOKENS_KEY = "run/tokens.json"
ENDED_KEY = "run/ended.json"
SECRET = "run/secret"  # noqa: S105 - a key of the bucket
KEYS = "run/keys.json"
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
        except AwsError as error:
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
        except AwsError as error:
            raise GatewayError(f"s3://{self._bucket.name}/{self._key} cannot be written: {error}") from None
        if etag is None:
            return False
        self._records, self._revision = records, etag
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
    return BucketRecords(bucket, TOKENS_KEY, "tokens", Token)


def ended_of(bucket: Bucket) -> BucketRecords[End]:
    """`run/ended.json`."""
    return BucketRecords(bucket, ENDED_KEY, "ended", End)


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
        except AwsError as error:
            raise GatewayError(f"{self.name} cannot be read: {error}") from None
        return (stored.content.decode("ascii", "replace"), stored.etag) if stored else ("", "")

    def swap(self, text: str, revision: str) -> bool:
        """Write it if it is still at `revision`; whether it was. Raises GatewayError."""
        try:
            return self._bucket.put(SECRET, text.encode(), revision or None) is not None
        except AwsError as error:
            raise GatewayError(f"{self.name} cannot be written: {error}") from None

    def publish(self, keys: str) -> None:
        """Write `run/keys.json`. Raises GatewayError."""
        try:
            stored = self._bucket.get(KEYS)
            if stored is None or stored.content != keys.encode():
                # Refused if another gateway was faster: what it wrote follows from the same secrets.
                self._bucket.put(KEYS, keys.encode(), stored.etag if stored else None)
        except AwsError as error:
            raise GatewayError(f"s3://{self._bucket.name}/{KEYS} cannot be written: {error}") from None

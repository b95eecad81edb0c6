"""Tokens, ended sessions, secrets and public keys in the team's bucket, so that a new gateway machine knows
everybody."""

from __future__ import annotations

from easel.gateway.access.ended_sessions import End
from easel.gateway.access.tokens import Token
from easel.gateway.aws import AwsError, Bucket, BucketObject
from easel.gateway.disk import RecordList
from easel.gateway.errors import unwritable

TOKENS_KEY = "run/tokens.json"
ENDED_KEY = "run/ended.json"
SECRET = "run/secret"  # noqa: S105 - a key of the bucket
KEYS = "run/keys.json"


def tokens_of(bucket: Bucket) -> RecordList[Token]:
    """`run/tokens.json`."""
    return RecordList(BucketObject(bucket, TOKENS_KEY), "tokens", Token)


def ended_of(bucket: Bucket) -> RecordList[End]:
    """`run/ended.json`."""
    return RecordList(BucketObject(bucket, ENDED_KEY), "ended", End)


class BucketSecret(BucketObject):
    """`run/secret`; the public keys are `run/keys.json`, which hosts may read."""

    # Hosts look once a minute; S3 and their clocks may take their time.
    lead = 300.0

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket, SECRET)

    def publish(self, keys: str) -> None:
        """Write `run/keys.json`. Raises GatewayError."""
        try:
            stored = self._bucket.get(KEYS)
            if stored is None or stored.content != keys.encode():
                # Refused if another gateway was faster: what it wrote follows from the same secrets.
                self._bucket.put(KEYS, keys.encode(), stored.etag if stored else None)
        except AwsError as error:
            raise unwritable(f"s3://{self._bucket.name}/{KEYS}", error) from None

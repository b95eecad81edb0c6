"""An object of the team's bucket that several gateways write: by conditional writes, none over another's."""

from __future__ import annotations

from easel.gateway.aws.bucket import Bucket
from easel.gateway.aws.calls import AwsError
from easel.gateway.errors import unreadable, unwritable


class BucketObject:
    """A `Document` in S3."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self.name = f"s3://{bucket.name}/{key}"
        self._bucket = bucket
        self._key = key

    def read(self) -> tuple[bytes, str]:
        """The object and its ETag. Raises GatewayError."""
        try:
            stored = self._bucket.get(self._key)
        except AwsError as error:
            raise unreadable(self.name, error) from None
        return (stored.content, stored.etag) if stored else (b"", "")

    def swap(self, text: str, revision: str, *, must: bool = False) -> str:
        """Write it if it is still at `revision`. Raises GatewayError."""
        try:
            return self._bucket.put(self._key, text.encode(), revision or None) or ""
        except AwsError as error:
            raise unwritable(self.name, error) from None

"""The team's configuration bucket: small objects, read by ETag and written only over what was read.

Calls block: ask in a thread. Every refusal is a `AwsError` with the action that a policy would allow it by.
"""

from __future__ import annotations

from dataclasses import dataclass

from easel.gateway.aws.calls import Aws, AwsError

# Somebody else wrote meanwhile; S3 says it in three ways.
_CONFLICTS = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


@dataclass(frozen=True)
class Stored:
    """An object's content and its ETag."""

    content: bytes
    etag: str


class Bucket:
    """One bucket."""

    def __init__(self, aws: Aws, name: str) -> None:
        self.name = name
        self._aws = aws

    def get(self, key: str) -> Stored | None:
        """The object, or None if there is none. Raises AwsError."""
        try:
            answer = self._aws.call("s3", "get_object", {"Bucket": self.name, "Key": key})
        except AwsError as error:
            if error.code == "NoSuchKey":
                return None
            raise
        return Stored(answer["Body"].read(), str(answer["ETag"]))

    def put(self, key: str, content: bytes, etag: str | None) -> str | None:
        """Write over the object of `etag`, or a new one if None; its new ETag, or None if it is another by
        now. Raises AwsError."""
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        place = {"Bucket": self.name, "Key": key, "Body": content, "ContentType": "application/json"}
        try:
            return str(self._aws.call("s3", "put_object", place | condition)["ETag"])
        except AwsError as error:
            if error.code in _CONFLICTS or (etag is not None and error.code in ("NoSuchKey", "404")):
                return None
            raise

    def place(self, key: str) -> str:
        """Where a person finds it."""
        return f"s3://{self.name}/{key}"

    def list(self, prefix: str) -> dict[str, str]:
        """The ETags of all objects below `prefix`, by key. Raises AwsError."""
        place = {"Bucket": self.name, "Prefix": prefix}
        objects = self._aws.pages("s3", "list_objects_v2", "Contents", place)
        return {one["Key"]: str(one["ETag"]) for one in objects}

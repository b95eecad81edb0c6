"""`s3://bucket/key`: an object, read with the rights that this machine has.

boto3 finds the credentials and signs an address; the bytes come by our own downloader, so that an object too
goes on after a kill, is hashed as it comes, keeps to the bandwidth limit and is fetched by one for all. A
signed address ends with the credentials it was made by; then boto3 signs another.
"""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from easel.models.source_errors import BadAddress, NoAccess, NotThere, SourceError, Unreachable
from easel.models.sources.offer import Offer, Source, key_of

_SIGNED_FOR = 3600


@dataclass(frozen=True, slots=True)
class BucketSource(Source):
    """The object `name` of `bucket`."""

    bucket: str
    name: str
    address: str
    key: str

    def offer(self, client: httpx.Client) -> Offer:
        """Size, ETag and a signed address. Raises SourceError."""
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise SourceError(
                self.address, "s3:// needs the package boto3; install it, or use https://"
            ) from None
        try:
            # A session of its own: the shared one is not for threads, and keeps credentials that have ended.
            s3 = boto3.Session().client("s3", config=Config(signature_version="s3v4"))
            head: dict[str, Any] = s3.head_object(Bucket=self.bucket, Key=self.name, ChecksumMode="ENABLED")
            which = {"Bucket": self.bucket, "Key": self.name}
            # Pinned, so that all ranges are of one version.
            if head.get("VersionId") not in (None, "null"):
                which["VersionId"] = head["VersionId"]
            url = s3.generate_presigned_url("get_object", Params=which, ExpiresIn=_SIGNED_FOR)
        except ClientError as error:
            raise self._refused(error.response) from None
        except BotoCoreError as error:
            raise Unreachable(
                self.address,
                f"S3 cannot be asked: {_first_line(error)}; check region, credentials "
                "and network (`aws sts get-caller-identity`)",
            ) from None
        return Offer(
            url,
            name=posixpath.basename(self.name),
            size=int(head["ContentLength"]),
            sha256=_sha256(head),
            etag=str(head.get("ETag", "")),
        )

    def _refused(self, response: Mapping[str, Any]) -> SourceError:
        code = str(response.get("Error", {}).get("Code", ""))
        if code in ("404", "NoSuchKey", "NotFound", "NoSuchBucket"):
            return NotThere(
                self.address, "there is no such bucket or object; `aws s3 ls` shows what there is"
            )
        if code in ("403", "AccessDenied", "Forbidden"):
            return NoAccess(
                self.address,
                "S3 refuses: whoever runs this may not read the object, or it is not there; "
                f"allow s3:GetObject on arn:aws:s3:::{self.bucket}/{self.name}",
            )
        if code in ("ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "400"):
            return NoAccess(
                self.address, f"S3 does not take the credentials ({code}); make new ones (`aws sso login`)"
            )
        return SourceError(self.address, f"S3 refuses: {code or 'no reason given'}")


def bucket_source(address: str) -> BucketSource:
    """Read an address. Raises BadAddress."""
    parts = urlsplit(address)
    # What follows "?" or "#" belongs to the key: S3 knows neither.
    name = address.removeprefix(f"s3://{parts.netloc}").lstrip("/")
    if not parts.netloc or not name or name.endswith("/"):
        raise BadAddress(address, "is not an object; write s3://bucket/path/name.safetensors")
    return BucketSource(parts.netloc, name, address, key_of(address))


def _sha256(head: Mapping[str, Any]) -> str:
    """The SHA-256 of the whole object, where S3 or the uploader kept it."""
    said = str(head.get("ChecksumSHA256", ""))
    if said and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and "-" not in said:
        try:
            digest = base64.b64decode(said, validate=True)
        except ValueError:
            digest = b""
        if len(digest) == 32:
            return digest.hex()
    noted = str(head.get("Metadata", {}).get("sha256", "")).lower()
    return noted if len(noted) == 64 else ""


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]

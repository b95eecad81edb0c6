"""`hf://org/repo/file[@revision]`: a file of a Hugging Face repository.

huggingface_hub says where the file is, how large, and its SHA-256; the bytes come by our own downloader. Its
own transfer would mean a second cache to fill and empty, a resume that starts over when another replica goes
on, no bandwidth limit, no progress for who waits, and connections that no policy checks (its Rust part asks
nobody). What that gives up is Xet's deduplication, which a first download of a checkpoint does not gain from.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import httpx

from easel.models.source_errors import (
    BadAddress,
    NeedsToken,
    NoAccess,
    NotThere,
    SourceError,
    TooManyRequests,
    Unreachable,
)
from easel.models.sources.offer import Offer, key_of, plain_refusal

HUB = "https://huggingface.co"
_SHAPE = "write hf://org/repo/file.safetensors, and @revision behind it if it must not move"
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class HubSource:
    """`file` of `repository` at `revision`."""

    repository: str
    file: str
    revision: str
    address: str
    key: str
    token: str = field(default="", repr=False)
    endpoint: str = HUB

    def offer(self, client: httpx.Client) -> Offer:
        """Ask the hub. Raises SourceError."""
        try:
            import huggingface_hub as hub
            from huggingface_hub import errors
        except ImportError:
            raise SourceError(
                self.address,
                "hf:// needs the package huggingface_hub; install it, or use the https:// address",
            ) from None
        url = hub.hf_hub_url(self.repository, self.file, revision=self.revision, endpoint=self.endpoint)
        try:
            found = hub.get_hf_file_metadata(
                url, token=self.token or False, endpoint=self.endpoint, retry_on_errors=True
            )
        except errors.HfHubHTTPError as error:
            raise self._refused(error) from None
        except errors.OfflineModeIsEnabled:
            raise Unreachable(self.address, "HF_HUB_OFFLINE is set: unset it to download") from None
        except Exception as error:
            # The library's HTTP client changed between its versions, and with it the names of its errors.
            raise Unreachable(
                self.address, f"the hub cannot be reached ({type(error).__name__}); check network and proxy"
            ) from None
        etag = found.etag or ""
        same = urlsplit(found.location)[:2] == urlsplit(url)[:2]
        secret = {"Authorization": f"Bearer {self.token}"} if self.token and same else {}
        return Offer(
            found.location,
            name=posixpath.basename(self.file),
            secret=secret,
            size=found.size,
            # Large files are named by their SHA-256, small ones by git's hash.
            sha256=etag if _SHA256.fullmatch(etag) else "",
        )

    def refusal(self, status: int, said: Mapping[str, object], retry_after: float | None) -> SourceError:
        """What the place of the bytes answered."""
        return plain_refusal(self.address, status, said, retry_after)

    def _refused(self, error: Exception) -> SourceError:
        from huggingface_hub import errors

        page = f"{self.endpoint}/{self.repository}"
        status = int(getattr(getattr(error, "response", None), "status_code", 0) or 0)
        if isinstance(error, errors.GatedRepoError):
            if not self.token:
                return NeedsToken(
                    self.address,
                    f"the repository asks for consent: agree on {page}, then set HF_TOKEN "
                    "(or HF_TOKEN_FILE) to a token with read access",
                )
            return NoAccess(
                self.address, f"the owner of HF_TOKEN has not agreed to the terms yet: do so on {page}"
            )
        if isinstance(error, errors.RevisionNotFoundError):
            return NotThere(
                self.address, f"there is no revision {self.revision!r}; {page} shows branches and tags"
            )
        if isinstance(error, errors.EntryNotFoundError):
            return NotThere(
                self.address,
                f"there is no file {self.file!r} in {self.repository}; "
                f"{page}/tree/{self.revision} shows what there is",
            )
        if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
            more = "HF_TOKEN may not read it" if self.token else "it is private: then set HF_TOKEN"
            return NotThere(
                self.address, f"there is no repository {self.repository}, or {more}; check {page}"
            )
        if status == 429:
            return TooManyRequests(
                self.address,
                "the hub wants a pause (429): try again in some minutes, or set HF_TOKEN for a higher limit",
            )
        return plain_refusal(self.address, status or 500, {}, None)


def hub_source(address: str, token: str, environment: Mapping[str, str] = os.environ) -> HubSource:
    """Read an address. Raises BadAddress."""
    path, at, revision = address.removeprefix("hf://").rpartition("@")
    if not at:
        path, revision = revision, "main"
    parts = unquote(path).split("/")
    if (
        len(parts) < 3
        or not all(parts)
        or ".." in parts
        or not all(_PART.fullmatch(one) for one in parts[:2])
    ):
        raise BadAddress(address, f"is not a file of the hub; {_SHAPE}")
    if not revision or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", revision) or ".." in revision:
        raise BadAddress(address, f"names no revision behind @; {_SHAPE}")
    repository, file = "/".join(parts[:2]), "/".join(parts[2:])
    whole = f"hf://{repository}/{file}@{revision}"
    endpoint = (environment.get("HF_ENDPOINT") or HUB).rstrip("/")
    return HubSource(repository, file, revision, whole, key_of(f"{endpoint} {whole}"), token, endpoint)

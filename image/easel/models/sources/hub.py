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
from typing import Any, cast
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
from easel.models.sources.offer import Offer, Source, key_of, plain_refusal
from easel.remark import remark

HUB = "https://huggingface.co"
_SHAPE = remark(
    "hub_shape", "write hf://org/repo/file.safetensors, and @revision behind it if it must not move"
)
_MOST_HOPS = 5
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class HubSource(Source):
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
            # A studio tells the library to ask nobody while it draws. This here is a person's wish.
            return self._ask_plainly(client, url)
        except Exception as error:
            # The library's HTTP client changed between its versions, and with it the names of its errors.
            raise Unreachable(self.address, _unreachable(error)) from None
        return self._offered(url, found.location, found.etag or "", found.size)

    def _ask_plainly(self, client: httpx.Client, url: str) -> Offer:
        """The same question by our own client: the hub answers it in headers."""
        from huggingface_hub import errors

        known = {
            "GatedRepo": errors.GatedRepoError,
            "RevisionNotFound": errors.RevisionNotFoundError,
            "EntryNotFound": errors.RemoteEntryNotFoundError,
            "RepoNotFound": errors.RepositoryNotFoundError,
        }
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        place = httpx.URL(url)
        for _ in range(_MOST_HOPS):
            try:
                answer = client.head(place, headers=own)
            except httpx.TransportError as error:
                raise Unreachable(
                    self.address,
                    _unreachable(error),
                ) from None
            said = answer.headers
            if answer.status_code >= 400:
                kind = known.get(said.get("x-error-code", ""), errors.HfHubHTTPError)
                raise self._refused(kind(f"{answer.status_code}", response=cast(Any, answer)))
            to = place.join(said.get("location", ""))
            if (
                not answer.is_redirect
                or "x-linked-etag" in said
                or (to.scheme, to.netloc)
                != (
                    place.scheme,
                    place.netloc,
                )
            ):
                size = said.get("x-linked-size") or ("" if answer.is_redirect else said.get("content-length"))
                etag = (said.get("x-linked-etag") or said.get("etag") or "").removeprefix("W/").strip('"')
                return self._offered(url, str(to), etag, int(size) if (size or "").isdigit() else None)
            place = to  # a repository that was renamed
        raise Unreachable(self.address, "the hub sends on and on; try again later")

    def _offered(self, url: str, location: str, etag: str, size: int | None) -> Offer:
        same = urlsplit(location)[:2] == urlsplit(url)[:2]
        secret = {"Authorization": f"Bearer {self.token}"} if self.token and same else {}
        return Offer(
            location,
            name=posixpath.basename(self.file),
            secret=secret,
            size=size,
            # Large files are named by their SHA-256, small ones by git's hash.
            sha256=etag if _SHA256.fullmatch(etag) else "",
        )

    def _refused(self, error: Exception) -> SourceError:
        from huggingface_hub import errors

        page = f"{self.endpoint}/{self.repository}"
        status = int(getattr(getattr(error, "response", None), "status_code", 0) or 0)
        if isinstance(error, errors.GatedRepoError):
            if not self.token:
                return NeedsToken(
                    self.address,
                    remark(
                        "hub_consent",
                        "the repository asks for consent: agree on {page}, then set HF_TOKEN "
                        "(or HF_TOKEN_FILE) to a token with read access",
                        page=page,
                    ),
                )
            return NoAccess(
                self.address,
                remark(
                    "hub_not_agreed",
                    "the owner of HF_TOKEN has not agreed to the terms yet: do so on {page}",
                    page=page,
                ),
            )
        if isinstance(error, errors.RevisionNotFoundError):
            return NotThere(
                self.address,
                remark(
                    "hub_revision",
                    "there is no revision {revision}; {page} shows branches and tags",
                    revision=repr(self.revision),
                    page=page,
                ),
            )
        if isinstance(error, errors.EntryNotFoundError):
            return NotThere(
                self.address,
                remark(
                    "hub_file",
                    "there is no file {file} in {repository}; {page} shows what there is",
                    file=repr(self.file),
                    repository=self.repository,
                    page=f"{page}/tree/{self.revision}",
                ),
            )
        if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
            words = "there is no repository {repository}, or {more}; check {page}"
            more = (
                remark("hub_may_not", "HF_TOKEN may not read it")
                if self.token
                else remark("hub_private", "it is private: then set HF_TOKEN")
            )
            return NotThere(
                self.address,
                remark("hub_repository", words, repository=self.repository, more=more, page=page),
            )
        if status == 429:
            return TooManyRequests(
                self.address,
                remark(
                    "hub_pause",
                    "the hub wants a pause (429): try again in some minutes, or set HF_TOKEN for a higher "
                    "limit",
                ),
            )
        return plain_refusal(self.address, status or 500, {}, None)


def _unreachable(error: Exception) -> str:
    words = "the hub cannot be reached ({why}); check network and proxy"
    return remark("hub_unreachable", words, why=type(error).__name__)


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
        raise BadAddress(address, remark("hub_no_file", "is not a file of the hub; {shape}", shape=_SHAPE))
    if not revision or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", revision) or ".." in revision:
        raise BadAddress(
            address, remark("hub_no_revision", "names no revision behind @; {shape}", shape=_SHAPE)
        )
    repository, file = "/".join(parts[:2]), "/".join(parts[2:])
    whole = f"hf://{repository}/{file}@{revision}"
    endpoint = (environment.get("HF_ENDPOINT") or HUB).rstrip("/")
    return HubSource(repository, file, revision, whole, key_of(f"{endpoint} {whole}"), token, endpoint)

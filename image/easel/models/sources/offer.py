"""What every source gives: a place to fetch from and what is known of the file before a byte of it came."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import httpx

from easel.models.kind import Kind
from easel.models.source_errors import (
    Archived,
    NeedsToken,
    NoAccess,
    NotThere,
    SourceError,
    TooManyRequests,
    Unreachable,
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One file, where it is now. A signed address ends after a while: then the source is asked again.

    `secret` are headers for the origin of `url` and nobody else; `size` is exact or None; hashes and `etag`
    are "" where the source says none; `info` and `preview` are Civitai's.
    """

    url: str = field(repr=False)
    name: str = ""
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)
    size: int | None = None
    sha256: str = ""
    autov3: str = ""
    etag: str = ""
    kind: Kind | None = None
    info: Mapping[str, object] = field(default_factory=dict, repr=False)
    preview: str = field(default="", repr=False)


class Source(ABC):
    """Where a model comes from.

    `address` is as people may read it, without secrets; `key` tells this source from every other: 64 digits,
    made from the whole address.
    """

    __slots__ = ()
    address: str
    key: str

    @abstractmethod
    def offer(self, client: httpx.Client) -> Offer:
        """Ask where the file is. Raises SourceError."""

    def refusal(self, status: int, said: Mapping[str, object], retry_after: float | None) -> SourceError:
        """What an answer that is no file means, in words. `said` is its JSON, if it was any."""
        return plain_refusal(self.address, status, said, retry_after)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The operator's tokens. Never logged, and sent to their own service only."""

    hub: str = field(default="", repr=False)
    civitai: str = field(default="", repr=False)


def key_of(address: str) -> str:
    """The key of an address. The address itself may hold a signature, so it is not kept."""
    return hashlib.sha256(address.encode()).hexdigest()


def shown(url: str) -> str:
    """An address without user, password and the values of its query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(f"{name}=…" for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def plain_refusal(
    address: str, status: int, said: Mapping[str, object], retry_after: float | None
) -> SourceError:
    """What a refusal means where the service has no words of its own."""
    words = message_of(said)
    tail = f" (it says: {words})" if words else ""
    if status == 401:
        return NeedsToken(
            address,
            f"the server asks who you are (401){tail}; it needs a link that bears its own "
            "key, or fetch the file by hand and use file:PATH",
        )
    if status == 403:
        return NoAccess(
            address, f"the server refuses (403){tail}; if the link was signed it has expired: make a new one"
        )
    if status == 404:
        return NotThere(address, f"there is no such file (404){tail}; check the address in a browser")
    if status == 410:
        return Archived(address, f"the file was taken away (410){tail}; look for another source")
    if status == 429:
        wait = f" in {retry_after:.0f} s" if retry_after else " in some minutes"
        return TooManyRequests(
            address,
            f"the server wants a pause (429){tail}; start it again{wait}, it goes on from where it was",
            retry_after,
        )
    if status >= 500:
        return Unreachable(address, f"the server has trouble ({status}){tail}; try again later")
    return SourceError(address, f"the server answers {status}{tail}, which is no file; check the address")


def message_of(said: Mapping[str, object]) -> str:
    """The sentence in a JSON error."""
    for name in ("message", "error", "detail", "Message"):
        value = said.get(name)
        if isinstance(value, Mapping):
            value = value.get("message")
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())[:300]
    return ""

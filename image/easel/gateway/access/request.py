"""What a request is after, by its method, path and the headers a browser cannot forge for a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

# navigation: a person opens the page. draw: makes pictures. call: anything else an API client does.
# rest: polls, assets and heartbeats of an open tab, or of a monitoring script: they never wake anybody.
Kind = Literal["navigation", "draw", "call", "rest"]

_FORBIDDEN = re.compile(r"/(easel|metrics|scale)(/|$)|/sdapi/v1/server-")
_DRAWS = re.compile(
    r"/(sdapi/v1/(txt2img|img2img|extra-single-image|extra-batch-images|interrogate)"
    r"|v1/images/(generations|edits))/?"
)
_POLLS = re.compile(
    r"/sdapi/v1/(progress|memory|interrupt|skip)/?"
    r"|/studio/(events|memory|session)/?|/jobs(/[^/]+)?/?"
    r"|/internal/.*"
    r"|/(favicon\.ico|robots\.txt|page/.*)"
    r"|/\.well-known/.*"
)


@dataclass(frozen=True)
class ForwardedRequest:
    """The caller's request, as Caddy tells it."""

    method: str
    uri: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        """The path as sent, without the query."""
        return re.split(r"[?#]", self.uri, maxsplit=1)[0]

    @property
    def query(self) -> str:
        """What follows the first question mark."""
        return self.uri.partition("?")[2]

    @property
    def address(self) -> str:
        """The caller's network address."""
        return address_of(self.headers)

    @property
    def secure(self) -> bool:
        """Whether it came by TLS. Caddy wrote the header and dropped the caller's own."""
        return self.headers.get("x-forwarded-proto") == "https"

    @property
    def from_browser(self) -> bool:
        """Whether a browser says where the request comes from; no page and no API client sends these by
        chance."""
        return any(name in self.headers for name in ("sec-fetch-mode", "sec-fetch-site", "sec-fetch-dest"))

    @property
    def from_another_site(self) -> bool:
        """Whether a browser says that a page of another origin asks."""
        return self.headers.get("sec-fetch-site") in ("cross-site", "same-site")

    @property
    def navigation(self) -> bool:
        """Whether a person waits for a page. Browsers do not say so over plain HTTP except to their own
        machine, so asking for HTML without credentials is taken for it too."""
        if self.method not in ("GET", "HEAD"):
            return False
        if "sec-fetch-mode" in self.headers:
            return self.headers["sec-fetch-mode"] == "navigate"
        return "text/html" in self.headers.get("accept", "") and "authorization" not in self.headers

    @property
    def prefetch(self) -> bool:
        """Whether the browser only guesses that somebody may come."""
        return "prefetch" in (self.headers.get("sec-purpose", "") + self.headers.get("purpose", ""))

    @property
    def poll(self) -> bool:
        """Whether it only looks: polls, assets, heartbeats, a browser's guesses. It is nobody's work."""
        return bool(_POLLS.fullmatch(normal(self.path))) or self.method == "OPTIONS" or self.prefetch

    @property
    def repeatable(self) -> bool:
        """Whether another replica may be sent the same: a picture is drawn from the request alone. What is
        answered by a ticket is not: it may be accepted already, and would be drawn twice."""
        return self.method == "POST" and bool(_DRAWS.fullmatch(normal(self.path))) and not self._later

    @property
    def _later(self) -> bool:
        """Whether the caller prefers a ticket to waiting (RFC 7240)."""
        return "respond-async" in self.headers.get("prefer", "").lower()

    @property
    def lasting(self) -> bool:
        """Whether it stays open as long as a tab does: a WebSocket or an event stream."""
        return "sec-websocket-key" in self.headers or "text/event-stream" in self.headers.get("accept", "")

    @property
    def preflight(self) -> bool:
        """Whether a browser asks if another site's page may call."""
        return self.method == "OPTIONS" and "access-control-request-method" in self.headers

    def kind(self, *, api: bool, anonymous: bool) -> Kind:
        """What it is, for a caller known by `Authorization` (`api`) or by nothing at all (`anonymous`)."""
        path = normal(self.path)
        if self.method == "POST" and _DRAWS.fullmatch(path):
            return "draw"
        if self.poll:
            return "rest"
        if self.navigation:
            # Crawlers find public endpoints and ask for HTML; only a browser that says so wakes one.
            return "rest" if anonymous and not self.from_browser else "navigation"
        return "call" if api and not self.from_browser else "rest"


def address_of(headers: Mapping[str, str]) -> str:
    """The caller's network address. Caddy wrote the header and dropped the caller's own."""
    return headers.get("x-forwarded-for", "").split(",")[-1].strip()


def forbidden(uri: str) -> bool:
    """Whether a URI reaches, by any spelling, what never passes the door: `/easel/*`, `/metrics`, `/scale`
    and A1111's `server-*`."""
    path = re.split(r"[?#]", uri, maxsplit=1)[0]
    decoded = _decoded(path)
    # Both before and after `..` is resolved: who knows what stands behind the door.
    return (
        bool(_FORBIDDEN.match(normal(path)) or _FORBIDDEN.match(re.sub("/+", "/", decoded)))
        or "\0" in decoded
    )


def normal(path: str) -> str:
    """One spelling for all spellings: decoded, small letters, single slashes, no `.`, `..` or
    `;parameters`."""
    parts: list[str] = []
    for part in _decoded(path).split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _decoded(path: str) -> str:
    for _ in range(5):
        again = unquote(path)
        if again == path:
            break
        path = again
    path = path.replace("\\", "/").casefold()
    # A `;parameter` ends at the next slash; a blank at the end is none.
    return re.sub(r";[^/]*", "", re.sub(r"(?<!\s)\s++(?=/|$)", "", path))


def local_path(target: str) -> str:
    """`target` as a place on this host, whatever it was: no redirect leads elsewhere."""
    path, mark, query = target.partition("?")
    if not target.isprintable() or path[:1] not in ("/", "\\"):
        return "/"
    # Browsers read a backslash as a slash, and two slashes as another host.
    path = "/" + path.replace("\\", "/").lstrip("/")
    return quote(path + mark + query, safe="/?#[]@!$&'()*+,;=:%-._~|{}\\^`\"<>")

"""The HTTP client: connects to exactly the address that was checked, and shows nobody a secret.

A check of a name before the request would be worth nothing: the name can resolve to another address a moment
later. So the check is where the connection is made, of the addresses that are then connected to, and it holds
for every connection, thus for every redirect.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import getproxies

import httpcore
import httpx

from easel.models.fetch.block_backend import BlockBackend, addresses_of
from easel.models.source_errors import Forbidden
from easel.models.sources.policy import METADATA_NAMES, FetchPolicy, is_public
from easel.remark import remark

USER_AGENT = "easel/0.1 (model download)"
"""Civitai's front refuses the names of libraries."""
CONNECT = 15.0
"""Seconds to wait for a connection."""
_MOST_HOPS = 5


class NotFetched(httpx.HTTPError):
    """What is there is too large or too slow, or is not given; in words that hold no address."""


def http_client(policy: FetchPolicy, *, connections: int = 8, stall: float = 20.0) -> httpx.Client:
    """A client for `connections` at once, which gives a silent server `stall` seconds.

    Follows no redirects by itself. Where only public addresses are allowed, proxies of the environment are
    not used: a proxy would do the resolving.
    """
    for name in ("httpx", "httpcore"):
        # They log addresses with their signatures, and headers with tokens.
        logging.getLogger(name).setLevel(logging.WARNING)
    timeout = httpx.Timeout(stall, connect=CONNECT)
    limits = httpx.Limits(max_connections=connections + 2, max_keepalive_connections=connections + 2)
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    # An operator's proxies are httpx's business; without any, both ways in are read in the same large blocks.
    proxied = policy.private and bool(getproxies())
    transport = None if proxied else Transport(policy, limits)
    return httpx.Client(
        timeout=timeout, limits=limits, headers=headers, transport=transport, follow_redirects=False
    )


def fetch_small(policy: FetchPolicy, url: str, *, most: int, seconds: float = math.inf) -> bytes:
    """What is at `url`, of at most so many bytes in at most so many seconds. Follows some redirects.

    Raises NotFetched, httpx.HTTPError, httpx.InvalidURL, Forbidden.
    """
    end = time.monotonic() + seconds
    with http_client(policy, connections=1) as http:
        for _ in range(_MOST_HOPS):
            with http.stream("GET", url) as answer:
                if answer.has_redirect_location:
                    url = str(answer.request.url.join(answer.headers["location"]))
                    continue
                if answer.status_code != 200:
                    raise NotFetched(f"its server answers {answer.status_code}")
                found = bytearray()
                for block in answer.iter_raw():
                    found += block
                    if len(found) > most or time.monotonic() > end:
                        raise NotFetched("it is too large or too slow")
                return bytes(found)
    raise NotFetched("its server sends on and on")


class CheckedBackend(httpcore.NetworkBackend):
    """Resolves, refuses what is not public, and connects to what it has seen."""

    def __init__(self) -> None:
        self._plain = BlockBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first public address of `host` that answers. Raises Forbidden."""
        addresses = public_addresses(host, port)
        return self._plain.connect_first(addresses, port, timeout, local_address, socket_options)


def public_addresses(host: str, port: int) -> list[str]:
    """The addresses of `host`. Raises Forbidden if one of them is not public.

    One is enough: a name that has both is made to get past a check.
    """
    if host.rstrip(".").lower() in METADATA_NAMES:
        raise Forbidden(
            host,
            remark(
                "net_metadata", "is where a cloud tells a machine its secrets; nothing is fetched from there"
            ),
        )
    addresses = addresses_of(host, port)
    for address in addresses:
        if not is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise Forbidden(
                host,
                # Which one it is, is not told: names of the operator's network would be asked for theirs.
                remark(
                    "net_private",
                    "stands for an address that is not one of the open internet; from page and API only "
                    "public https addresses may be fetched. An operator can: `easel models add` there",
                ),
            )
    return addresses


class Transport(httpx.BaseTransport):
    """httpx over httpcore, read in blocks; where the policy wants it with CheckedBackend, and https only."""

    def __init__(self, policy: FetchPolicy, limits: httpx.Limits) -> None:
        self._private = policy.private
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            network_backend=BlockBackend() if policy.private else CheckedBackend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Raises Forbidden, and httpx's errors."""
        if request.url.scheme != "https" and not self._private:
            raise Forbidden(
                request.url.host, remark("net_https", "from page and API only https:// may be fetched")
            )
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            answer = self._pool.handle_request(sent)
        stream = answer.stream
        assert isinstance(stream, Iterable)  # noqa: S101 - this is the synchronous pool
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(stream), extensions=answer.extensions
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._stream

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """httpcore's errors under the names that httpx gives them, which are the same."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        kind = getattr(httpx, type(error).__name__, httpx.TransportError)
        raise kind(str(error)) from error

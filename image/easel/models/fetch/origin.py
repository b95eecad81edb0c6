"""Opens byte ranges at a source: redirects followed by hand, secrets kept home, ended links renewed.

`Range`, `If-Range`, `Content-Range` and `Retry-After` are those of RFC 9110 (sections 14, 13.1.5 and 10.2.3).
"""

from __future__ import annotations

import email.utils
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from easel.models.source_errors import Forbidden, SourceError
from easel.models.sources.offer import Offer, Source
from easel.models.sources.policy import FetchPolicy

_MOST_HOPS = 10
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_UNSATISFIED = re.compile(r"bytes \*/(\d{1,18})", re.ASCII)
# More digits are no file's; Python makes no number of some thousands, and no text of a number beyond floats.
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
# What a signed link says when its time is over: S3 and R2 403 or 400, CDNs 401, 404 or 410.
_ENDED = (400, 401, 403, 404, 410)
_PASSING = (408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524)


class Trouble(Exception):
    """Something that may pass: try again after `pause` seconds, if the server said, and then give up."""

    def __init__(self, words: str, pause: float | None = None, refusal: SourceError | None = None) -> None:
        super().__init__(words)
        self.pause = pause
        self.refusal = refusal


class Changed(Exception):
    """The file at the source is another one now."""


@dataclass(frozen=True, slots=True)
class RangeResponse:
    """The start of a range. `begin` is where its bytes lie; `total` the file's size, None if unsaid."""

    response: httpx.Response
    begin: int
    total: int | None
    etag: str
    host: str

    @property
    def whole(self) -> bool:
        """True if the server sent everything instead of the range."""
        return self.response.status_code == 200


class Origin:
    """One source's file, open for many ranges at once. Thread-safe."""

    def __init__(
        self, source: Source, client: httpx.Client, policy: FetchPolicy, offer: Offer | None = None
    ) -> None:
        self.source = source
        self._client, self._policy = client, policy
        self._lock = threading.Lock()
        self._offer = offer
        self._resolved: tuple[httpx.URL, Mapping[str, str]] | None = None
        # Places that gave bytes: a refusal there means that a link has ended, not that nobody may.
        self._proven: set[httpx.URL] = set()

    @property
    def offer(self) -> Offer:
        """What the source said. Asks it the first time. Raises SourceError, Trouble."""
        with self._lock:
            if self._offer is None:
                self._offer = self._ask()
            return self._offer

    def renew(self, used: httpx.URL | None = None) -> None:
        """Forget where the file is; with `used`, only if nobody has found a newer place since."""
        with self._lock:
            if used is None or (self._resolved is not None and self._resolved[0] == used):
                self._offer, self._resolved = None, None

    @contextmanager
    def open(self, begin: int, end: int | None, etag: str) -> Iterator[RangeResponse]:
        """Ask for `begin` to `end` (exclusive; None for all that follows) of the file called `etag`.

        Raises Changed, Trouble, SourceError, and httpx.TransportError.
        """
        for attempt in range(3):
            response, used = self._send(begin, end, etag)
            try:
                status = response.status_code
                if status in (200, 206):
                    yield self._answer(response, begin)
                    return
                if status == 416:
                    raise self._unsatisfied(response, begin)
                said = _json(response)
                pause = _pause(response)
                refusal = self.source.refusal(status, said, pause)
                if status in _ENDED and used in self._proven and attempt < 2:
                    self.renew(used)
                    continue
                if status in _PASSING or status == 429:
                    raise Trouble(f"the server answers {status}", pause, refusal)
                raise refusal
            finally:
                response.close()
        raise Trouble("the link ends as soon as it is given")

    def _send(self, begin: int, end: int | None, etag: str) -> tuple[httpx.Response, httpx.URL]:
        """The answer that is no redirect, and the address that gave it."""
        headers = {"Range": f"bytes={begin}-{'' if end is None else end - 1}"}
        if etag and not etag.startswith("W/"):
            headers["If-Range"] = etag
        with self._lock:
            if self._resolved is None:
                if self._offer is None:
                    self._offer = self._ask()
                # The first one finds the way, and the others take it: Civitai counts requests.
                response, url, secret = self._follow(self._offer, headers)
                if response.status_code in (200, 206):
                    self._resolved = url, secret
                    self._proven.add(url)
                return response, url
            url, secret = self._resolved
        response = self._client.send(
            self._client.build_request("GET", url, headers={**headers, **secret}), stream=True
        )
        if response.is_redirect:
            # It moved: ask at the beginning again.
            response.close()
            self.renew(url)
            return self._send(begin, end, etag)
        return response, url

    def _follow(
        self, offer: Offer, headers: Mapping[str, str]
    ) -> tuple[httpx.Response, httpx.URL, Mapping[str, str]]:
        home = url = httpx.URL(offer.url)
        for _ in range(_MOST_HOPS):
            self._check(url)
            # A signed address refuses a second credential, and another host has no business with it.
            secret = offer.secret if _place(url) == _place(home) else {}
            request = self._client.build_request("GET", url, headers={**headers, **secret})
            response = self._client.send(request, stream=True)
            if not response.is_redirect:
                return response, url, secret
            response.close()
            try:
                url = url.join(response.headers["location"])
            except httpx.InvalidURL:
                raise SourceError(
                    self.source.address,
                    "the server leads to something that is no address; take another source",
                ) from None
        raise SourceError(
            self.source.address, f"{_MOST_HOPS} redirects, one after the other; check the address"
        )

    def _check(self, url: httpx.URL) -> None:
        if url.scheme not in ("http", "https") or not url.host:
            raise Forbidden(
                self.source.address, f"leads to a {url.scheme or 'nameless'}: address; only https is followed"
            )
        if url.scheme == "http" and not self._policy.private:
            raise Forbidden(
                self.source.address, "leads to an http:// address; from page and API only https:// is fetched"
            )

    def _ask(self) -> Offer:
        return self.source.offer(self._client)

    def _answer(self, response: httpx.Response, begin: int) -> RangeResponse:
        if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
            raise SourceError(
                self.source.address,
                "the server sends the file packed although it was asked not to; "
                "its bytes cannot be checked: take another source",
            )
        etag = response.headers.get("etag") or response.headers.get("last-modified", "")
        host = response.request.url.host
        if response.status_code == 200:
            length = response.headers.get("content-length", "")
            return RangeResponse(response, 0, int(length) if _LENGTH.fullmatch(length) else None, etag, host)
        found = _RANGE.fullmatch(response.headers.get("content-range", "").strip())
        if found is None or int(found[1]) != begin:
            raise Trouble("the server sends other bytes than those asked for")
        if found[3] == "*":
            raise SourceError(
                self.source.address, "the server does not say how large the file is; take another source"
            )
        return RangeResponse(response, begin, int(found[3]), etag, host)

    def _unsatisfied(self, response: httpx.Response, begin: int) -> Exception:
        found = _UNSATISFIED.fullmatch(response.headers.get("content-range", "").strip())
        if begin == 0 and (found is None or found[1] == "0"):
            return SourceError(self.source.address, "the file is empty at its source; take another one")
        return Changed()


def _place(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _json(response: httpx.Response) -> Mapping[str, object]:
    """The JSON of an answer that is no file, as far as it is any."""
    text = b""
    try:
        for block in response.iter_raw():
            text += block
            if len(text) > 20_000:
                break
        found = json.loads(text)
    except (ValueError, RecursionError, httpx.TransportError):
        return {}
    return found if isinstance(found, dict) else {}


def _pause(response: httpx.Response) -> float | None:
    """`Retry-After` in seconds, whether given as seconds or as a date."""
    said = response.headers.get("retry-after", "").strip()
    if said.isdigit() and len(said) < 8:
        return float(said)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError):
        return None

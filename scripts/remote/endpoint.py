"""An endpoint's files, as `easel files` and `easel upload` speak to it.

The operator has the console give a pass for the endpoint; who has an endpoint's link only, uses that.
"""

import functools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
import httpx

from scripts.remote.operator_api import OperatorClient
from scripts.remote.target import GatewayTarget, with_gateway
from scripts.settings import CommandFailed, CommandRefused

# As long as an endpoint may take to wake, and then some.
PATIENCE = 20 * 60.0
_AGAIN = (423, 425, 429, 502, 503, 504)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Unanswered(CommandFailed):
    """The endpoint gave no answer for too long."""


class EndpointClient:
    """Asks one endpoint for its files. `way` gives its address and a token, a new one whenever asked."""

    def __init__(self, way: Callable[[], tuple[str, str]], patience: float = PATIENCE) -> None:
        self._way = way
        self.patience = patience
        self.url, self._token = way()
        # Proxies of the environment are not used: the token would go by them.
        self._http = httpx.Client(
            timeout=httpx.Timeout(60, read=3600, connect=10), trust_env=False, verify=_trust(self.url)
        )

    def listed(self, path: str, *, deep: bool = False) -> dict[str, Any]:
        """What is at a path. Raises CommandRefused."""
        asked = {"path": path, **({"recursive": "1"} if deep else {})}
        return dict(self.ask("GET", "/files/list", params=asked).json())

    def ask(
        self,
        method: str,
        path: str,
        *,
        expected: tuple[int, ...] = (),
        patience: float | None = None,
        content: Callable[[], Iterator[bytes]] | None = None,
        **rest: Any,
    ) -> httpx.Response:
        """One answer, asked for again while there is nobody to give it. Raises CommandRefused.

        Statuses in `expected` come back as they are; `content` makes the body anew for each attempt.
        """
        until = time.monotonic() + (self.patience if patience is None else patience)
        pause, renewed = 0.5, False
        while True:
            try:
                body: dict[str, Any] = {} if content is None else {"content": content()}
                answer = self._http.request(method, self.url + path, **self._with_token(rest), **body)
            except httpx.TransportError as error:
                if time.monotonic() > until:
                    why = str(error) or type(error).__name__
                    raise Unanswered(f"{self._shown} does not answer: {why}") from None
                time.sleep(pause)
                pause = min(pause * 2, 5.0)
                continue
            if answer.status_code in expected or answer.is_success:
                return answer
            if answer.status_code == 401 and not renewed:
                renewed = self._renew()
                if renewed:
                    continue
            if answer.status_code in _AGAIN and time.monotonic() < until:
                time.sleep(min(_seconds(answer, pause), 30.0))
                pause = min(pause * 2, 5.0)
                continue
            raise refusal(answer, self._shown)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str], **rest: Any) -> Iterator[httpx.Response]:
        """An answer while it comes. Raises httpx.TransportError when it is cut."""
        request = self._http.build_request(
            "GET", self.url + path, **self._with_token({"headers": headers, **rest})
        )
        answer = self._http.send(request, stream=True)
        try:
            if answer.status_code == 401 and self._renew():
                raise httpx.ReadError("the pass had ended", request=request)
            yield answer
        finally:
            answer.close()

    @property
    def _shown(self) -> str:
        return urlsplit(self.url).netloc

    def _with_token(self, rest: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", **(rest.get("headers") or {})}
        return {**rest, "headers": headers}

    def _renew(self) -> bool:
        """Another token, if there is one: a pass lasts an hour, an upload may take longer."""
        before = self._token
        self.url, self._token = self._way()
        return self._token != before


def endpoint_of(gateway: GatewayTarget, link: str | None, name: str) -> EndpointClient:
    """The endpoint called `name`, by its own link or by the console. Raises CommandRefused."""
    if link:
        return EndpointClient(functools.partial(_linked, link))
    return EndpointClient(functools.partial(_passed, gateway.client(), name))


def with_endpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--link`, `--console` and `--token`; it gets `reach`: a name's EndpointClient."""

    @click.option(
        "--link", envvar="EASEL_LINK",
        help="The endpoint's own link: what it may, and its own pictures. Best as EASEL_LINK.",
    )  # fmt: skip
    @with_gateway
    @functools.wraps(function)
    def wrapped(*arguments: Any, link: str | None, gateway: GatewayTarget, **rest: Any) -> Any:
        return function(*arguments, reach=functools.partial(endpoint_of, gateway, link or None), **rest)

    return wrapped


def endpoint_and_path(text: str) -> tuple[str, str]:
    """`ENDPOINT[:PATH]` as its two parts. Raises CommandRefused."""
    name, _, path = text.partition(":")
    if not name or "/" in name:
        raise CommandRefused(f"{text!r} is no place of an endpoint: it looks like studio:models/Lora")
    return name, path.strip("/")


def refusal(answer: httpx.Response, where: str) -> CommandRefused:
    """The answer's own words, if it has any."""
    answer.read()
    try:
        found = answer.json()
        words = found["detail"] if isinstance(found["detail"], str) else found["errors"]
    except (ValueError, KeyError, TypeError):
        words = f"it answered {answer.status_code}; is an easel studio there?"
    kind = (
        CommandFailed
        if answer.status_code >= 500 or answer.status_code in (408, 410, 422, 423)
        else CommandRefused
    )
    return kind(f"{where}: {words}")


def printable(text: str) -> str:
    """Names from elsewhere, made harmless for a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def show_progress(text: str, *, last: bool = False) -> None:
    """Progress: a line that is written over on a terminal, silence elsewhere."""
    if sys.stderr.isatty():
        click.echo(f"\r{text}\x1b[K", nl=last, err=True)


def _passed(gateway: OperatorClient, name: str) -> tuple[str, str]:
    found = gateway.new_pass(name)
    return found["url"].rstrip("/"), found["token"]


def _linked(link: str) -> tuple[str, str]:
    parts = urlsplit(link)
    token = parse_qs(parts.query).get("token", [""])[0]
    if parts.scheme not in ("https", "http") or not parts.hostname or not token:
        raise CommandRefused(
            "EASEL_LINK is not a link: it looks like https://studio.art.example.com/?token=easel_…"
        )
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise CommandRefused(f"http://{parts.hostname} would carry the token in plain text: write https://")
    return f"{parts.scheme}://{parts.netloc}", token


def _trust(url: str) -> Any:
    import ssl

    return ssl.create_default_context() if url.startswith("https") else False


def _seconds(answer: httpx.Response, otherwise: float) -> float:
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isdecimal() and len(said) < 4 else otherwise

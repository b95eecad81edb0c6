"""Which gateway a command speaks to: the one on this machine, or one far away through its console's door."""

import functools
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click

from scripts.door import Door, NotAnswering
from scripts.settings import ROOT, Refusal, Settings, settings, shown

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_STACK_FILE = re.compile(r"Pulumi\.(.+)\.ya?ml")
# Only a stack that says so runs on this machine. Looked for, not read: reading takes as long as all the rest.
_LOCAL = re.compile(r"""^[^#\n]*\bruns_on["']?\s*:\s*["']?local\b""", re.MULTILINE)
_PATIENCE = 10.0
_OF_THE_DOOR = (401, 403, 429, 502, 503, 504)


class Far:
    """The way through the door of a console at `address`. Raises Refusal for an address that is none."""

    def __init__(self, address: str, token: str | None) -> None:
        parts = urlsplit(address if "//" in address else f"https://{address}")
        try:
            self._port, self._host = parts.port, parts.hostname or ""
        except ValueError as error:
            raise Refusal(f"{address!r} is not an address: {error}") from None
        linked = parse_qs(parts.query).get("token", [None])[0]
        self._shown = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme not in ("https", "http") or not self._host or parts.username is not None:
            raise Refusal(
                f"{self._shown!r} is not a console's address: it looks like https://console.art.example.com"
            )
        self._secure = parts.scheme == "https"
        if not self._secure and self._host not in _LOOPBACK:
            raise Refusal(f"{self._shown} would carry the token in plain text: write https://")
        if not (token or linked):
            raise Refusal(
                f"a token for {self._shown} is missing: set EASEL_TOKEN, or give the console's link "
                "as EASEL_CONSOLE"
            )
        self.token = str(token or linked).strip()
        if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise Refusal("EASEL_TOKEN is not a token: it looks like easel_…")

    def open(self) -> HTTPConnection:
        """A connection by TLS; plain only to this machine."""
        if not self._secure:
            return HTTPConnection(self._host, self._port, timeout=_PATIENCE)
        return HTTPSConnection(
            self._host, self._port, timeout=_PATIENCE, context=ssl.create_default_context()
        )

    def unreached(self, error: Exception) -> Refusal:
        """What stands between here and there, and what to do."""
        where = self._shown
        if isinstance(error, ssl.SSLCertVerificationError):
            return NotAnswering(
                f"the certificate of {where} is not trusted here ({error.verify_message}): look at the "
                "address, or name the authority's certificate by SSL_CERT_FILE"
            )
        if isinstance(error, ssl.SSLError):
            return NotAnswering(
                f"{where} has no certificate for this name: look at the address; a new console has one some "
                f"minutes after its domain is delegated ({error.reason or error})"
            )
        if isinstance(error, socket.gaierror):
            return NotAnswering(f"nobody knows the host {self._host}: look at the address, or at its domain")
        if isinstance(error, TimeoutError):
            return NotAnswering(f"{where} does not answer within {_PATIENCE:.0f} s: is there a way to it?")
        return NotAnswering(f"{where} does not answer: {error}")

    def refused(self, status: int, said: str, asked: str) -> Refusal:
        """In the gateway's words, if it is one."""
        if status == 401:
            return Refusal(
                f"{self._shown} refuses the token ({said or 'without a word'}): the console's own is needed, "
                "from its link or by `easel token new --endpoint console`"
            )
        return Refusal(
            said
            or f"{self._shown} is no easel console: it answered {status} to {asked}; endpoints have "
            "addresses of their own, the console's begins with console."
        )

    def stranger(self, response: HTTPResponse) -> bool:
        """Whether no console answered: an endpoint may answer anything to anything. What the door itself
        refuses, it refuses in the same words everywhere."""
        return response.headers.get("X-Easel-Console") is None and response.status not in _OF_THE_DOOR


@dataclass(frozen=True)
class Place:
    """Where the gateway is that was asked for: `console` and `token` as given, None if not."""

    console: str | None
    token: str | None

    def far(self, here: Settings) -> Far | None:
        """The way to a gateway elsewhere, None for the one on this machine. Raises Refusal."""
        if self.console:
            return Far(self.console, self.token)
        if not _runs_elsewhere(here):
            return None
        return Far(_console_of(here), self.token)

    def door(self) -> Door:
        """The gateway. Raises Refusal."""
        here = settings()
        far = self.far(here)
        return Door.by(far) if far else Door(here.home)


def anywhere(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--console` and `--token`; it gets a `place`."""

    @click.option(
        "--console", envvar="EASEL_CONSOLE", help="A gateway elsewhere: its console's address, or its link."
    )
    @click.option(
        "--token", envvar="EASEL_TOKEN", help="The token for it; best as EASEL_TOKEN, which no one else sees."
    )
    @functools.wraps(function)
    def wrapped(*arguments: Any, console: str | None, token: str | None, **rest: Any) -> Any:
        return function(*arguments, place=Place(console or None, token or None), **rest)

    return wrapped


def _runs_elsewhere(here: Settings) -> bool:
    try:
        return not _LOCAL.search(here.stack.read_text())
    except (OSError, UnicodeDecodeError):
        return False


def _console_of(here: Settings) -> str:
    """The console's link, from what `pulumi up` said of the stack."""
    name = _STACK_FILE.fullmatch(here.stack.name)
    pulumi = shutil.which("pulumi")
    otherwise = "set EASEL_CONSOLE to its console's link"
    if not (name and pulumi):
        raise Refusal(f"{shown(here.stack)} does not run on this machine: {otherwise}, or install pulumi")
    asked = ["stack", "output", "console", "--json", "--show-secrets", "--stack", name[1]]
    try:
        done = subprocess.run(
            [pulumi, *asked, "--non-interactive"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
        return str(json.loads(done.stdout)["link"])
    except subprocess.CalledProcessError as error:
        why = next(iter(reversed(error.stderr.strip().splitlines())), f"it ended with {error.returncode}")
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        why = str(error)
    raise Refusal(f"pulumi does not say where the console of {name[1]} is ({why}): {otherwise}")

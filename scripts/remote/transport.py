"""The ways to a gateway: by its own port on this machine, or through its console's door elsewhere."""

import json
import os
import socket
import ssl
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from scripts.settings import CommandRefused, shown

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PATIENCE = 10.0
_OF_THE_DOOR = (401, 403, 429, 502, 503, 504)


class NotRunning(CommandRefused):
    """No gateway runs under this EASEL_HOME."""

    def __init__(self, home: Path) -> None:
        super().__init__(f"nothing runs under {shown(home)}: start it with `make up`, or set EASEL_HOME")


class NotAnswering(CommandRefused):
    """A gateway runs, but does not answer (yet)."""


def running(home: Path) -> dict[str, Any] | None:
    """What `run/gateway.json` says, if the process that wrote it is still there."""
    try:
        found = json.loads((home / "run" / "gateway.json").read_text())
        os.kill(int(found["pid"]), 0)
        return {"pid": int(found["pid"]), "url": str(found["url"]), "token": str(found["token"])}
    except PermissionError:
        raise CommandRefused(
            f"{shown(home)} belongs to someone else: set EASEL_HOME to a folder of yours"
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        return None


class LocalTransport:
    """The way to the gateway under this EASEL_HOME. Raises NotRunning."""

    def __init__(self, home: Path, timeout: float = 10) -> None:
        found = running(home)
        if found is None:
            raise NotRunning(home)
        self.token = found["token"]
        self._address = urlsplit(found["url"]).netloc
        self._timeout = timeout

    def open(self) -> HTTPConnection:
        """A connection to its own port, for one request."""
        return HTTPConnection(self._address, timeout=self._timeout)

    def unreached(self, error: Exception) -> CommandRefused:
        """Why no answer came: it is starting, or hangs."""
        return NotAnswering(f"the gateway does not answer: {error}")

    def refused(self, status: int, said: str, asked: str) -> CommandRefused:
        """Why the answer is a refusal, in its words, if it has any."""
        return CommandRefused(said or f"the gateway answered {status} to {asked}")

    def stranger(self, response: HTTPResponse) -> bool:
        """Whether somebody else than a gateway answered.

        Never: the address is from a file that the gateway wrote a moment ago.
        """
        return False


class RemoteTransport:
    """The way through the door of a console. Raises CommandRefused for an address that is none."""

    def __init__(self, address: str, token: str | None) -> None:
        parts = urlsplit(address if "//" in address else f"https://{address}")
        try:
            self._port, self._host = parts.port, parts.hostname or ""
        except ValueError as error:
            raise CommandRefused(f"{address!r} is not an address: {error}") from None
        linked = parse_qs(parts.query).get("token", [None])[0]
        self._shown = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme not in ("https", "http") or not self._host or parts.username is not None:
            raise CommandRefused(
                f"{self._shown!r} is not a console's address: it looks like https://console.art.example.com"
            )
        self._secure = parts.scheme == "https"
        if not self._secure and self._host not in _LOOPBACK:
            raise CommandRefused(f"{self._shown} would carry the token in plain text: write https://")
        if not (token or linked):
            raise CommandRefused(
                f"a token for {self._shown} is missing: set EASEL_TOKEN, or give the console's link "
                "as EASEL_CONSOLE"
            )
        self.token = str(token or linked).strip()
        if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise CommandRefused("EASEL_TOKEN is not a token: it looks like easel_…")

    def open(self) -> HTTPConnection:
        """A connection by TLS; plain only to this machine."""
        if not self._secure:
            return HTTPConnection(self._host, self._port, timeout=_PATIENCE)
        return HTTPSConnection(
            self._host, self._port, timeout=_PATIENCE, context=ssl.create_default_context()
        )

    def unreached(self, error: Exception) -> CommandRefused:
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

    def refused(self, status: int, said: str, asked: str) -> CommandRefused:
        """In the gateway's words, if it is one."""
        if status == 401:
            return CommandRefused(
                f"{self._shown} refuses the token ({said or 'without a word'}): the console's own is needed, "
                "from its link or by `easel token new --endpoint console`"
            )
        return CommandRefused(
            said
            or f"{self._shown} is no easel console: it answered {status} to {asked}; endpoints have "
            "addresses of their own, the console's begins with console."
        )

    def stranger(self, response: HTTPResponse) -> bool:
        """Whether no console answered: an endpoint may answer anything to anything. What the door itself
        refuses, it refuses in the same words everywhere."""
        return response.headers.get("X-Easel-Console") is None and response.status not in _OF_THE_DOOR

"""A house under a domain: its hosts resolve to this machine, its certificates come from Pebble."""

from __future__ import annotations

import itertools
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx

from tests.gateway.conftest import House, until
from tests.gateway.proxy.pebble import Pebble

DOMAIN = "art.easel.test"
_addresses = itertools.count(2)


class Loopback(httpx.HTTPTransport):
    """Every host is this machine, as if a resolver said so."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        there = httpx.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1"),
            headers=request.headers,  # with the host that was asked for
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        return super().handle_request(there)


class Estate(House):
    """A house whose endpoints share one port, each with a host of its own."""

    def __init__(self, root: Path, pebble: Pebble, **endpoints: dict[str, Any]) -> None:
        self.port, self.pebble = pebble.https_port, pebble
        self.trusted = pebble.trusted()
        self.environment = {"EASEL_HTTP_PORT": str(pebble.http_port)}
        super().__init__(root, **endpoints)

    def team(self, **settings: Any) -> None:
        console = {"port": self.port, "host": self.host("console")}
        # As a team says it that has an authority of its own.
        acme = {
            "email": f"lead@{DOMAIN}",
            "directory": self.pebble.directory,
            "root": self.pebble.root.read_text(),
        }
        super().team(**{"domain": DOMAIN, "acme": acme, "console": console, **settings})

    def set(self, name: str, **settings: Any) -> None:
        self.ports[name] = self.port
        super().set(name, host=self.host(name), **settings)

    def host(self, name: str) -> str:
        return f"{name}.{DOMAIN}"

    def url(self, name: str) -> str:
        return f"https://{self.host(name)}:{self.port}"

    def secured(self, *names: str) -> Estate:
        """Waits until the hosts have their certificates."""
        for name in names:
            until(lambda name=name: self.certificate(name) is not None, what=f"a certificate for {name}")
        return self

    def certificate(self, name: str) -> dict[str, Any] | None:
        """What the door shows for a host, if Pebble vouches for it."""
        try:
            with self.connect(name) as connection:
                return dict(connection.getpeercert() or {})
        except ssl.SSLError:
            return None

    def connect(self, host: str | None, *protocols: str) -> ssl.SSLSocket:
        """A TLS connection that asks for a host: by an endpoint's name, by a whole name, or by none."""
        context = ssl.create_default_context(cafile=str(self.trusted))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        if host is None:
            context.check_hostname = False
        elif "." not in host:
            host = self.host(host)
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        try:
            return context.wrap_socket(connection, server_hostname=host)
        except BaseException:
            connection.close()
            raise

    def client(self, name: str, **rest: Any) -> httpx.Client:
        number = next(_addresses)
        transport = Loopback(
            local_address=f"127.7.{number // 250}.{number % 250 + 2}",
            verify=ssl.create_default_context(cafile=str(self.trusted)),
        )
        return httpx.Client(base_url=self.url(name), transport=transport, timeout=30, trust_env=False, **rest)

    def events(self, endpoint: str) -> list[dict[str, Any]]:
        return list(self.api("GET", "/api/events", params={"endpoint": endpoint}).json())

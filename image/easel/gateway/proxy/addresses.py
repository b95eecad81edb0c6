"""Where the console and the endpoints answer: the plan for Caddy, and the addresses that people are given."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from easel.gateway.config import CONSOLE, Config, Endpoint, Team
from easel.gateway.disk import write_private
from easel.gateway.errors import ConfigError
from easel.gateway.home import Home
from easel.gateway.proxy.plan import Plan, Site

# The ACME directory in the place of Caddy's own choice, such as Let's Encrypt's staging one; the file with
# the certificate that the directory itself is trusted by; the port that plain HTTP comes in on.
ACME_CA = "EASEL_ACME_CA"
ACME_CA_ROOT = "EASEL_ACME_CA_ROOT"
HTTP_PORT = "EASEL_HTTP_PORT"
# The address to listen on in the place of the team's: of several gateways with one configuration each may
# have one of its own.
BIND = "EASEL_BIND"


def plan_of(
    config: Config,
    *,
    gateway: str,
    home: Home,
    admin_socket: Path,
    relay: Path,
    environment: Mapping[str, str] = os.environ,
) -> Plan:
    """What Caddy does for `config`. Raises ConfigError for an environment that makes no sense."""
    team = config.team
    bind = bind_of(team, environment)
    sites = [_site(team, bind, CONSOLE, team.console.port, team.console.host)] + [
        replace(
            _site(team, bind, one.name, one.port, one.host),
            max_body=one.max_body,
            timeout=one.timeouts.request,
            cors=tuple(one.cors),
        )
        for one in config.endpoints.values()
    ]
    return Plan(
        gateway,
        tuple(sites),
        admin_socket,
        relay,
        storage=home.certificates,
        log=home.logs / "caddy.log",
        email=team.acme.email,
        ca=_ca(environment) or team.acme.directory,
        ca_root=_ca_root(environment) or _given_root(team, home),
        http_port=_http_port(environment),
        tls_log=home.logs / "certificates.log",
        trusted=tuple(team.edge.trusted) if team.edge else (),
    )


def bind_of(team: Team, environment: Mapping[str, str] = os.environ) -> str:
    """The local address to listen on."""
    return environment.get(BIND) or team.bind


def _site(team: Team, bind: str, name: str, port: int, host: str | None) -> Site:
    by_tls = host is not None
    return Site(
        name, port, bind, host=host, tls=by_tls and team.edge is None,
        behind_tls=by_tls and team.edge is not None,
    )  # fmt: skip


def ports_of(config: Config, environment: Mapping[str, str] = os.environ) -> dict[int, str]:
    """Who listens where, with what plain HTTP needs. Raises ConfigError if two ask for the same."""
    wanted = config.ports()
    if config.hosts and config.team.edge is None:
        port = _http_port(environment)
        if port in wanted:
            raise ConfigError(
                f"port {port} of {wanted[port]} is where plain HTTP is sent on to https: give it another, "
                f"or set {HTTP_PORT}"
            )
        wanted[port] = "plain HTTP"
    return wanted


def url_of(team: Team, endpoint: Endpoint | None) -> str:
    """The address of an endpoint, or of the console, with a slash at its end."""
    place = endpoint or team.console
    if place.host and team.edge is not None:
        return f"https://{place.host}/"
    if place.host:
        return f"https://{place.host}{'' if place.port == 443 else f':{place.port}'}/"
    everywhere = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound
    host = "127.0.0.1" if team.bind in everywhere else team.bind
    return f"http://{f'[{host}]' if ':' in host else host}:{place.port}/"


def _ca(environment: Mapping[str, str]) -> str | None:
    ca = environment.get(ACME_CA) or None
    if ca and not ca.startswith("https://"):
        raise ConfigError(f"{ACME_CA} is {ca!r}: it must be the https address of an ACME directory")
    return ca


def _ca_root(environment: Mapping[str, str]) -> Path | None:
    root = environment.get(ACME_CA_ROOT) or None
    if root and not Path(root).is_file():
        raise ConfigError(f"{ACME_CA_ROOT} is {root!r}: there is no such file; it must hold a certificate")
    return Path(root).resolve() if root else None


def _given_root(team: Team, home: Home) -> Path | None:
    """The team's own authority's certificate, as a file: Caddy takes no other form."""
    if team.acme.root is None:
        return None
    # By its content: Caddy asks for new settings when a path changes and does not look into files.
    digest = hashlib.sha256(team.acme.root.encode()).hexdigest()[:16]
    path = home.certificates / f"authority-{digest}.pem"
    if not path.is_file():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, team.acme.root)
    return path


def _http_port(environment: Mapping[str, str]) -> int:
    text = environment.get(HTTP_PORT) or "80"
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ConfigError(f"{HTTP_PORT} is {text!r}: it must be a port from 1 to 65535")
    return int(text)

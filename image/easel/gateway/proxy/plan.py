"""What Caddy is to do: its public addresses, the gateway behind them, and where it may write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from easel.gateway.config import CONSOLE
from easel.gateway.errors import ConfigError


@dataclass(frozen=True)
class Site:
    """One public address. `name` is the endpoint's, or `console`.

    With `host`, only requests for that host are taken; with `tls` too, Caddy gets its certificate by ACME.
    `behind_tls`: it is served in plain HTTP, behind a proxy that speaks TLS to people.
    `bind` is the local address to listen on, all if None. `max_body` is in bytes, `timeout` in seconds until
    an answer's first byte. `cors` are the origins whose pages may call.
    """

    name: str
    port: int
    bind: str | None = None
    host: str | None = None
    tls: bool = False
    behind_tls: bool = False
    max_body: int = 100 * 1024 * 1024
    timeout: float = 3600
    cors: tuple[str, ...] = ()


@dataclass(frozen=True)
class SiteGroup:
    """Sites that differ in nothing but name and host, which Caddy serves as one. One without a host is alone.

    A block for each of 400 hosts took Caddy 22 s to read and 680 MiB to keep.
    """

    site: Site
    hosts: tuple[str, ...] = ()

    @property
    def of_console(self) -> bool:
        """Whether it is the console's, which no replica serves."""
        return self.site.name == CONSOLE


@dataclass(frozen=True)
class Plan:
    """Everything Caddy does: where the gateway is (`host:port`) and its relay listens, the sites, and where
    Caddy may write.

    For sites with TLS: `email` is told to the authority, `ca` is its ACME directory (Caddy's own choice
    without), `ca_root` the certificate that the directory itself is trusted by (the system's without),
    `http_port` where plain requests are sent on to https, `tls_log` where it is told how certificates are
    had.

    For sites behind TLS: `trusted` are the networks of the proxies whose `X-Forwarded-For` counts.
    """

    gateway: str
    sites: tuple[Site, ...]
    admin_socket: Path
    relay: Path
    storage: Path
    log: Path
    email: str | None = None
    ca: str | None = None
    ca_root: Path | None = None
    http_port: int = 80
    tls_log: Path | None = None
    trusted: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[SiteGroup, ...]:
        """The sites as Caddy serves them."""
        alike: dict[Site, list[Site]] = {}
        for site in self.sites:
            # The console keeps its name: it is like no endpoint.
            name = "" if site.host and site.name != CONSOLE else site.name
            alike.setdefault(replace(site, name=name, host=None), []).append(site)
        return tuple(
            SiteGroup(sites[0], tuple(site.host for site in sites if site.host)) for sites in alike.values()
        )

    @property
    def secure(self) -> tuple[Site, ...]:
        """The sites that certificates are needed for."""
        return tuple(site for site in self.sites if site.tls)

    @property
    def behind_tls(self) -> tuple[Site, ...]:
        """The sites that people reach by TLS which ends elsewhere."""
        return tuple(site for site in self.sites if site.behind_tls)

    @property
    def https_port(self) -> int:
        """The port of all sites with TLS. Raises ConfigError if they have more than one."""
        ports = sorted({site.port for site in self.secure}) or [443]
        if len(ports) > 1:
            raise ConfigError(
                f"endpoints and console with a host listen on several ports ({', '.join(map(str, ports))}): "
                "give all the same, 443"
            )
        return ports[0]

    @property
    def listeners(self) -> tuple[tuple[str | None, int], ...]:
        """Every address and port that is listened on."""
        redirect = [(site.bind, self.http_port) for site in self.secure]
        return tuple(dict.fromkeys([(site.bind, site.port) for site in self.sites] + redirect))

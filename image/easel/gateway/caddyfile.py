"""Writes the Caddyfile: the same for a laptop, an instance with ACME and a container behind a load balancer.

caddyfile(Plan(gateway="127.0.0.1:9000", sites=(Site("studio", port=7860, bind="127.0.0.1"),), …))
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from easel.gateway.config import CONSOLE
from easel.gateway.errors import ConfigError

# Caddy reads both keys from its environment, so that the file holds no secret: the one it shows the gateway,
# and the one that replicas on this machine know it by.
KEY_VARIABLE = "EASEL_DOOR_KEY"
REPLICA_KEY_VARIABLE = "EASEL_REPLICA_KEY"
# What the door answers itself, below /easel.
_OWN_PATHS = ("signin", "waking", "member", "member/callback", "signout")
_WORD = re.compile(r"[0-9A-Za-z.:*-]+")


@dataclass(frozen=True)
class Site:
    """One public address. `name` is the endpoint's, or `console`.

    With `host`, only requests for that host are taken; with `tls` too, Caddy gets its certificate by ACME.
    `bind` is the local address to listen on, all if None. `max_body` is in bytes, `timeout` in seconds until
    an answer's first byte.
    """

    name: str
    port: int
    bind: str | None = None
    host: str | None = None
    tls: bool = False
    max_body: int = 100 * 1024 * 1024
    timeout: float = 3600


@dataclass(frozen=True)
class Plan:
    """Everything Caddy does: where the gateway is (`host:port`) and its relay listens, the sites, and where
    Caddy may write.

    For sites with TLS: `email` is told to the authority, `ca` is its ACME directory (Caddy's own choice
    without), `ca_root` the certificate that the directory itself is trusted by (the system's without),
    `http_port` where plain requests are sent on to https, `tls_log` where it is told how certificates are
    had. `replica_key`: replicas ask for the key of `REPLICA_KEY_VARIABLE`.
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
    replica_key: bool = False

    @property
    def secure(self) -> tuple[Site, ...]:
        """The sites that certificates are needed for."""
        return tuple(site for site in self.sites if site.tls)

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


def caddyfile(plan: Plan) -> str:
    """The text of the Caddyfile."""
    sites = [_site(plan, site) for site in plan.sites]
    return "\n".join([_options(plan), *sites, *([_redirect(plan)] if plan.secure else [])])


def _options(plan: Plan) -> str:
    return f"""\
# Written by easel.gateway; changes are lost at the next start.
{{
	# Reloads come through a socket that only the operator can open; nothing is saved elsewhere.
	admin {_quote(f"unix/{plan.admin_socket}|0600")}
	persist_config off
	{_certificates(plan) if plan.secure else "auto_https off"}
	storage file_system {_quote(str(plan.storage))}
	log default {{
		{"exclude tls" if plan.secure and plan.tls_log else ""}
		output file {_quote(str(plan.log))} {{
			roll_size 10MiB
			roll_keep 5
		}}
		# No header and no query is logged: tokens, prompts and cookies travel there.
		format filter {{
			wrap json
			fields {{
				request>headers delete
				resp_headers delete
				request>uri regexp `(\\?.*|easel_[A-Za-z0-9_-]{{16,}})` `?…`
			}}
		}}
	}}
	servers {{
		# No HTTP/3: the world reaches ports 80 and 443 by TCP alone.
		protocols h1 h2
		{"strict_sni_host on" if plan.secure else ""}
		timeouts {{
			# A caller that never finishes its headers holds a connection no longer than this.
			read_header 30s
		}}
	}}
}}
"""


def _certificates(plan: Plan) -> str:
    # Its own redirects would answer for every name and address, ours or not.
    lines = ["auto_https disable_redirects", f"http_port {plan.http_port}", f"https_port {plan.https_port}"]
    for option, value in (("email", plan.email), ("acme_ca", plan.ca), ("acme_ca_root", plan.ca_root)):
        if value:
            lines.append(f"{option} {_quote(str(value))}")
    if plan.tls_log:
        lines += [
            "log certificates {",
            "	include tls",
            f"	output file {_quote(str(plan.tls_log))} {{",
            "		roll_size 1MiB",
            "		roll_keep 2",
            "	}",
            "	format json",
            "}",
        ]
    return "\n\t".join(lines)


def _redirect(plan: Plan) -> str:
    """Plain HTTP: our own hosts are sent on to https, all else learns nothing. ACME's challenge comes first,
    by Caddy itself."""
    hosts = " ".join(site.host or "" for site in plan.secure)
    port = "" if plan.https_port == 443 else f":{plan.https_port}"
    binds = " ".join(dict.fromkeys(site.bind for site in plan.secure if site.bind))
    return f"""\
http://:{plan.http_port} {{
	{f"bind {binds}" if binds else ""}
	log
	@ours host {hosts}
	handle @ours {{
		redir https://{{host}}{port}{{uri}} 308
	}}
	handle {{
		respond 404
	}}
}}
"""


def _site(plan: Plan, site: Site) -> str:
    if not _WORD.fullmatch(f"{site.name}{site.host or ''}{site.bind or ''}"):
        raise ConfigError(
            f"Caddy cannot take {site!r}: a name or an address has more than letters, digits, . : and -"
        )
    scheme = "https" if site.tls else "http"
    console = site.name == CONSOLE
    # Of this host alone: what else there is below the domain is not ours to decide.
    hsts = 'header >Strict-Transport-Security "max-age=31536000"' if site.tls else ""
    replica = f"header_up X-Easel-Key {{env.{REPLICA_KEY_VARIABLE}}}" if plan.replica_key else ""
    door = f"header_up X-Easel-Door {{env.{KEY_VARIABLE}}}"
    own = "\n\t\t".join(_own(plan, site, path, door) for path in _OWN_PATHS)
    return f"""\
{scheme}://{site.host or ""}:{site.port} {{
	{f"bind {site.bind}" if site.bind else ""}
	log
	{hsts}
	route {{
		# What only the door may say. Deleted first: the copy below adds, it does not replace.
		request_header -X-Easel-*
		request_header -X_Easel_*
		request_header -X-Forwarded-*
		request_header -Forwarded

		{own}

		handle {{
			# In this order: Caddy would sort them otherwise, and rewrite before it asks.
			route {{
				forward_auth {plan.gateway} {{
					uri /auth/{site.name}
					{door}
					# With these the question itself would be a WebSocket, and refused.
					header_up -Connection
					header_up -Upgrade
					copy_headers X-Easel-User X-Easel-Cookie X-Easel-Pass
				}}
				# After the question: a caller who is refused need not send the body first.
				request_body {{
					max_size {site.max_body}
				}}
				log_append user {{http.request.header.X-Easel-User}}
				@cookie header X-Easel-Cookie *
				header @cookie +Set-Cookie {{http.request.header.X-Easel-Cookie}}
				{f"rewrite * /{CONSOLE}{{uri}}" if console else ""}
				# By way of the gateway's relay, which knows the replica by the number and ends the request
				# with its right.
				reverse_proxy {_quote(f"unix/{plan.relay}")} {{
					{door if console else replica}
					# Said again: who names it in `Connection` has Caddy take it off on the way.
					header_up X-Easel-Pass {{http.request.header.X-Easel-Pass}}
					header_up -X-Easel-Cookie
					# The replica knows its caller by X-Easel-User and needs no key to anything.
					header_up -Authorization
					header_up Cookie `(^|;\\s*)(__Host-)?easel_[^=;]*=[^;]*` ""
					header_up Cookie `^;\\s*` ""
					# A changed configuration does not cut a WebSocket: it may go on for an hour.
					stream_close_delay 1h
					# No `flush_interval -1`: event streams are flushed anyway, and with it Caddy would not
					# tell the replica that its caller hung up.
					transport http {{
						# One connection for each request: it is how the relay tells them apart.
						keepalive off
						dial_timeout 3s
						response_header_timeout {site.timeout:.0f}s
					}}
				}}
			}}
		}}
	}}
	handle_errors {{
		{hsts}
		header Cache-Control no-store
		{_errors(site)}
	}}
}}
"""


def _own(plan: Plan, site: Site, path: str, door: str) -> str:
    """`/easel/<path>`, which the gateway answers itself."""
    name = path.replace("/", "-")
    lines = [
        f"@{name} path /easel/{path}",
        f"handle @{name} {{",
        f"	rewrite * /door/{site.name}/{path}",
        f"	reverse_proxy {plan.gateway} {{",
        f"		{door}",
        "	}",
        "}",
    ]
    return "\n\t\t".join(lines)


def _errors(site: Site) -> str:
    """What Caddy says when the gateway or the replica cannot: a page that tries again, or A1111's JSON."""
    details = {
        "413": f"the request is larger than the {site.max_body} bytes that max_body allows",
        "504": f"no answer within the {site.timeout:.0f} s of timeouts.request",
    }
    lines = [
        "@large `{err.status_code} == 413`",
        "@late `{err.status_code} == 504`",
        '@page `header({"Accept": "*text/html*"}) && {err.status_code} >= 502`',
        "handle @page {",
        '	header Content-Type "text/html; charset=utf-8"',
        "	header Retry-After 3",
        f"	respond `{_AGAIN}` {{err.status_code}}",
        "}",
    ]
    for matcher, status in (("@large ", "413"), ("@late ", "504"), ("", "")):
        detail = details.get(
            status, "{err.status_text}: the replica or the gateway did not answer; try again soon"
        )
        name = {"413": "ContentTooLarge", "504": "GatewayTimeout"}.get(status, "{err.status_text}")
        body = json.dumps({"error": name, "detail": detail, "body": "", "errors": detail}, ensure_ascii=False)
        lines += [
            f"handle {matcher}{{",
            "	header Content-Type application/json",
            *([] if status else ["	header Retry-After 3"]),
            f"	respond `{body}` {{err.status_code}}",
            "}",
        ]
    return "\n\t\t".join(lines)


_AGAIN = (
    '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta http-equiv="refresh" content="3"><meta name="color-scheme" content="light dark">'
    '<title>One moment</title><p style="font:1.1rem system-ui;text-align:center;margin-top:30vh">'
    "The studio just went away. This page tries again in a moment.</p>"
)


def _quote(text: str) -> str:
    """A Caddyfile token. Refuses what would end it or what Caddy would replace."""
    if any(character in text for character in '"{}\n\r`'):
        raise ConfigError(
            f"Caddy cannot take this path or address: {text!r} has a quote, a brace or a line break in it"
        )
    return f'"{text}"'

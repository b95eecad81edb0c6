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

# Caddy reads the key from its environment, so that the file holds no secret.
KEY_VARIABLE = "EASEL_DOOR_KEY"
_WORD = re.compile(r"[0-9A-Za-z.:*-]+")


@dataclass(frozen=True)
class Site:
    """One public address. `name` is the endpoint's, or `console`.

    With `host`, only requests for that host are taken; with `tls` too, Caddy gets its certificate by ACME.
    `bind` is the
    local address to listen on, all if None. `max_body` is in bytes, `timeout` in seconds until an answer's
    first byte.
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
    """Everything Caddy does: where the gateway is (`host:port`), the sites, and where Caddy may write."""

    gateway: str
    sites: tuple[Site, ...]
    admin_socket: Path
    storage: Path
    log: Path
    email: str | None = None


def caddyfile(plan: Plan) -> str:
    """The text of the Caddyfile."""
    return "\n".join([_options(plan), *(_site(plan, site) for site in plan.sites)])


def _options(plan: Plan) -> str:
    tls = any(site.tls for site in plan.sites)
    return f"""\
# Written by easel.gateway; changes are lost at the next start.
{{
	# Reloads come through a socket that only the operator can open; nothing is saved elsewhere.
	admin {_quote(f"unix/{plan.admin_socket}|0600")}
	persist_config off
	{f"email {_quote(plan.email)}" if tls and plan.email else ""}
	{"" if tls else "auto_https off"}
	storage file_system {_quote(str(plan.storage))}
	log default {{
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
		timeouts {{
			# A caller that never finishes its headers holds a connection no longer than this.
			read_header 30s
		}}
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
    door = f"header_up X-Easel-Door {{env.{KEY_VARIABLE}}}"
    return f"""\
{scheme}://{site.host or ""}:{site.port} {{
	{f"bind {site.bind}" if site.bind else ""}
	log
	route {{
		# What only the door may say. Deleted first: the copy below adds, it does not replace.
		request_header -X-Easel-*
		request_header -X_Easel_*
		request_header -X-Forwarded-*
		request_header -Forwarded

		@signin path /easel/signin
		handle @signin {{
			rewrite * /door/{site.name}/signin
			reverse_proxy {plan.gateway} {{
				{door}
			}}
		}}
		@waking path /easel/waking
		handle @waking {{
			rewrite * /door/{site.name}/waking
			reverse_proxy {plan.gateway} {{
				{door}
			}}
		}}

		handle {{
			# In this order: Caddy would sort them otherwise, and rewrite before it asks.
			route {{
				forward_auth {plan.gateway} {{
					uri /auth/{site.name}
					{door}
					# With these the question itself would be a WebSocket, and refused.
					header_up -Connection
					header_up -Upgrade
					copy_headers X-Easel-User X-Easel-Upstream X-Easel-Cookie
				}}
				# After the question: a caller who is refused need not send the body first.
				request_body {{
					max_size {site.max_body}
				}}
				log_append user {{http.request.header.X-Easel-User}}
				@cookie header X-Easel-Cookie *
				header @cookie +Set-Cookie {{http.request.header.X-Easel-Cookie}}
				{f"rewrite * /{CONSOLE}{{uri}}" if console else ""}
				reverse_proxy {{http.request.header.X-Easel-Upstream}} {{
					{door if console else ""}
					header_up -X-Easel-Upstream
					header_up -X-Easel-Cookie
					# The replica knows its caller by X-Easel-User and needs no key to anything.
					header_up -Authorization
					header_up Cookie `(^|;\\s*)easel_[^=;]*=[^;]*` ""
					header_up Cookie `^;\\s*` ""
					# A changed configuration does not cut a WebSocket: it may go on for an hour.
					stream_close_delay 1h
					# No `flush_interval -1`: event streams are flushed anyway, and with it Caddy would not
					# tell the replica that its caller hung up.
					transport http {{
						dial_timeout 3s
						response_header_timeout {site.timeout:.0f}s
					}}
				}}
			}}
		}}
	}}
	handle_errors {{
		header Cache-Control no-store
		{_errors(site)}
	}}
}}
"""


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

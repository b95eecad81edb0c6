"""Writes the Caddyfile: the same for a laptop, an instance with ACME and a container behind a load balancer.

caddyfile(Plan(gateway="127.0.0.1:9000", sites=(Site("studio", port=7860, bind="127.0.0.1"),), …))
"""

from __future__ import annotations

import re

from easel.gateway.config import CONSOLE
from easel.gateway.errors import ConfigError
from easel.gateway.proxy.caddy_errors import broken_body, refusals
from easel.gateway.proxy.plan import Plan, Site

# Caddy reads the key that it shows the gateway from its environment, so that the file holds no secret.
KEY_VARIABLE = "EASEL_DOOR_KEY"
# What the door answers itself, below /easel.
_OWN_PATHS = ("signin", "waking", "member", "member/callback", "signout")
_DOOR = f"header_up X-Easel-Door {{env.{KEY_VARIABLE}}}"
# Bytes of a drawing request's body that are kept until its answer begins.
_KEPT_BODY = 8 * 1024 * 1024
_WORD = re.compile(r"[0-9A-Za-z.:*-]+")


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
    own = "\n\t\t".join(_own(plan, site, path) for path in _OWN_PATHS)
    return f"""\
{scheme}://{site.host or ""}:{site.port} {{
	{f"bind {site.bind}" if site.bind else ""}
	log
	{hsts}
	{_others(site)}
	{_readable(site)}
	route {{
		{_preflight(site)}
		# What only the door may say, in any spelling. Deleted first: the copy below adds to what is there.
		request_header -*Easel*
		request_header -X-Forwarded-*
		request_header -X_Forwarded_*
		request_header -Forwarded
		# A header that is named in Connection is taken off on the way (RFC 9110, 7.6.1), ours too if it were
		# named there. Nobody's caller needs it for anything but to become a WebSocket.
		@upgrade header_regexp Connection (?i)upgrade
		@plain not header_regexp Connection (?i)upgrade
		request_header @upgrade Connection Upgrade
		request_header @plain -Connection

		{own}

		handle {{
			# In this order: Caddy would sort them otherwise, and rewrite before it asks.
			route {{
				{_indented(_question(plan, site), 4)}
				# After the question: a caller who is refused need not send the body first.
				request_body {{
					max_size {site.max_body}
				}}
				log_append user {{http.request.header.X-Easel-User}}
				@cookie header X-Easel-Cookie *
				header @cookie +Set-Cookie {{http.request.header.X-Easel-Cookie}}
				{f"rewrite * /{CONSOLE}{{uri}}" if console else ""}
				{"" if console else _kept_for_another_try(site)}
				{_indented(_upstream(plan, site), 4)}
			}}
		}}
	}}
	handle_errors {{
		{hsts}
		{_readable(site)}
		header Cache-Control no-store
		{broken_body()}
		{"" if console else _another_try(plan, site)}
		{refusals(site)}
	}}
}}
"""


def _question(plan: Plan, site: Site, more: str = "") -> str:
    """Who may pass, whether, and where to: asked of the gateway."""
    return f"""\
forward_auth {plan.gateway} {{
	uri /auth/{site.name}
	{_DOOR}
	# With these the question itself would be a WebSocket, and refused.
	header_up -Connection
	header_up -Upgrade
	{more}
	copy_headers X-Easel-User X-Easel-Assertion X-Easel-Cookie X-Easel-Pass X-Easel-Again
}}"""


def _upstream(plan: Plan, site: Site) -> str:
    """The bytes, by way of the gateway's relay, which knows the replica by the number and ends the request
    with its right."""
    return f"""\
reverse_proxy {_quote(f"unix/{plan.relay}")} {{
	# Said again: what is set here comes after all that is taken off on the way.
	header_up X-Easel-Pass {{http.request.header.X-Easel-Pass}}
	header_up X-Easel-User {{http.request.header.X-Easel-User}}
	header_up X-Easel-Assertion {{http.request.header.X-Easel-Assertion}}
	header_up -X-Easel-Cookie
	header_up -X-Easel-Again
	# The replica knows its caller by the assertion and needs no key to anything.
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
}}"""


def _may_go_again(site: Site) -> str:
    """A request that the door lets be sent a second time, and whose body can be kept for it."""
    length = "{http.request.header.Content-Length}"
    most = min(site.max_body, _KEPT_BODY)
    return f'{{http.request.header.X-Easel-Again}} != "" && {length} != "" && int({length}) <= {most}'


def _kept_for_another_try(site: Site) -> str:
    """Keep the body: what was sent once is gone from the connection."""
    lines = [
        f"@again `{_may_go_again(site)}`",
        "vars @again body {http.request.body}",
        # The placeholder read the body of another copy of the request: without this, nothing is left of it.
        "request_body @again {",
        "	set {vars.body}",
        "}",
    ]
    return "\n\t\t\t\t".join(lines)


def _another_try(plan: Plan, site: Site) -> str:
    """A replica that went away before it answered: the gateway is asked for another one, once. It waits
    until there is one, as it does for who comes anew."""
    lines = [
        f"@another `{{err.status_code}} == 502 && {_may_go_again(site)}`",
        "handle @another {",
        "	route {",
        "		vars lost {http.request.header.X-Easel-Pass}",
        "		request_header -*Easel*",
        "		request_body {",
        "			set {vars.body}",
        "		}",
        "		" + _indented(_question(plan, site, "header_up X-Easel-Lost {vars.lost}"), 4),
        "		" + _indented(_upstream(plan, site), 4),
        "	}",
        "}",
    ]
    return "\n\t\t".join(lines)


def _from_others(site: Site) -> list[str]:
    """Matches a request of a page that may call. Values of one header are alternatives."""
    return [f"	header Origin {_quote(origin)}" for origin in site.cors]


def _others(site: Site) -> str:
    return "\n\t".join(["@others {", *_from_others(site), "}"]) if site.cors else ""


def _readable(site: Site) -> str:
    """Answers, errors too, that a page of another origin may read. No credentials are named, so that no
    cookie counts there: whoever calls shows a token."""
    if not site.cors:
        return ""
    lines = [
        # Deferred: what stands behind the door has no say in it.
        "header @others {",
        "	Access-Control-Allow-Origin {http.request.header.Origin}",
        f'	Access-Control-Expose-Headers "{_EXPOSED}"',
        "	-Access-Control-Allow-Credentials",
        "	defer",
        "}",
        "header {",
        "	+Vary Origin",
        "	defer",
        "}",
    ]
    return "\n\t".join(lines)


def _preflight(site: Site) -> str:
    """The browser's question before a page's request, answered here: it wakes nobody and needs no token."""
    if not site.cors:
        return ""
    lines = [
        "@preflight {",
        "	method OPTIONS",
        "	header Access-Control-Request-Method *",
        *_from_others(site),
        "}",
        "handle @preflight {",
        '	header Access-Control-Allow-Methods "GET, HEAD, POST, PUT, PATCH, DELETE"',
        f'	header Access-Control-Allow-Headers "{_ASKED}"',
        "	header Access-Control-Max-Age 600",
        "	respond 204",
        "}",
    ]
    return "\n\t\t".join(lines)


def _indented(text: str, tabs: int) -> str:
    return text.replace("\n", "\n" + "\t" * tabs)


# What pages may send and read: the token, JSON, and what an upload by tus needs.
_ASKED = "Authorization, Content-Type, Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata"
_EXPOSED = (
    "Location, Retry-After, X-Process-Time, X-Easel-Notes, Tus-Resumable, Upload-Length, Upload-Offset, "
    "Upload-Expires"
)


def _own(plan: Plan, site: Site, path: str) -> str:
    """`/easel/<path>`, which the gateway answers itself."""
    name = path.replace("/", "-")
    lines = [
        f"@{name} path /easel/{path}",
        f"handle @{name} {{",
        f"	rewrite * /door/{site.name}/{path}",
        f"	reverse_proxy {plan.gateway} {{",
        f"		{_DOOR}",
        "	}",
        "}",
    ]
    return "\n\t\t".join(lines)


def _quote(text: str) -> str:
    """A Caddyfile token. Refuses what would end it or what Caddy would replace."""
    if any(character in text for character in '"{}\n\r`'):
        raise ConfigError(
            f"Caddy cannot take this path or address: {text!r} has a quote, a brace or a line break in it"
        )
    return f'"{text}"'

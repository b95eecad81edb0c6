"""What Caddy itself says: to who sends a broken body, and where gateway or replica are silent."""

from __future__ import annotations

import json

from easel.gateway.proxy.plan import Site


def broken_body() -> str:
    """400 for a body that is broken. To come first, as Caddy takes it for the replica's fault."""
    detail = "the body is not what its headers or its chunks say that it is, or ends too soon"
    lines = [
        f"@broken `{{err.message}}.matches({json.dumps(BROKEN)})`",
        *_refusal("@broken", "400", "BadRequest", detail),
    ]
    return "\n\t\t".join(lines)


def refusals(site: Site) -> str:
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
    lines += _refusal("@large", "413", "ContentTooLarge", details["413"])
    lines += _refusal("@late", "504", "GatewayTimeout", details["504"])
    gone = "{err.status_text}: the replica or the gateway did not answer; try again soon"
    lines += _refusal("", "{err.status_code}", "{err.status_text}", gone, "	header Retry-After 3")
    return "\n\t\t".join(lines)


def _refusal(matcher: str, status: str, name: str, detail: str, *headers: str) -> list[str]:
    body = json.dumps({"error": name, "detail": detail, "body": "", "errors": detail}, ensure_ascii=False)
    return [
        f"handle {matcher} {{" if matcher else "handle {",
        "	header Content-Type application/json",
        *headers,
        f"	respond `{body}` {status}",
        "}",
    ]


# What Go's net/http says of a request's body that it cannot read. Of an answer's it says the same, but behind
# other words, so that this must be all there is.
BROKEN = (
    r"^(readfrom (tcp|unix) [^ ]+: )?(invalid byte in chunk length|http chunk length too large"
    r"|empty hex number for chunk length|malformed chunked encoding|chunked line ends with bare LF"
    r"|invalid CR in chunked line|header line too long|chunked encoding contains too much non-data"
    r"|malformed MIME header.*|http: suspiciously long trailer after chunked body|(http: )?unexpected EOF.*"
    r"|http: ContentLength=[0-9]+ with Body length [0-9]+)$"
)


_AGAIN = (
    '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta http-equiv="refresh" content="3"><meta name="color-scheme" content="light dark">'
    '<title>One moment</title><p style="font:1.1rem system-ui;text-align:center;margin-top:30vh">'
    "The studio just went away. This page tries again in a moment.</p>"
)

"""What a request is after, and what no spelling of a path gets past the door."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as some

from easel.gateway.access.cookies import cookie_values
from easel.gateway.access.request import ForwardedRequest, forbidden, local_path, normal

FORBIDDEN = [
    "/easel/load",
    "/metrics",
    "/scale",
    "/sdapi/v1/server-kill",
    "/sdapi/v1/server-stop",
    "/sdapi/v1/server-restart",
]
TRICKS = [
    "//easel/load",
    "/%65asel/load",
    "/%2565asel/load",
    "/x/../easel/load",
    "/easel/../easel/load",
    "/EASEL/load",
    "/Easel/Load",
    "/./easel/load",
    "/easel//load",
    "/easel%2fload",
    "/%2e/easel/load",
    "/x/%2e%2e/easel/load",
    "/easel;a=b/load",
    "/;x/easel/load",
    "\\easel\\load",
    "/x\\..\\easel/load",
    "/easel/load?x=1",
    "/easel/load#x",
    "/easel",
    "/easel/",
    "/metrics/",
    "/METRICS",
    "/metrics?x",
    "//metrics",
    "/scale/",
    "/sdapi/v1//server-kill",
    "/sdapi/v1/SERVER-KILL",
    "/sdapi/v1/%73erver-kill",
    "/sdapi/v1/x/../server-stop",
    "/sdapi//v1/server-anything",
    "/easel/load/../../x",
    "/metrics%20",
    "/x%00/easel",
]


@pytest.mark.parametrize("path", FORBIDDEN + TRICKS)
def test_no_spelling_passes(path: str) -> None:
    """What never passes the door passes by no spelling of it either."""
    assert forbidden(path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/easels",
        "/my/easel/x",
        "/sdapi/v1/options",
        "/metrics-page",
        "/scales",
        "/file=/metrics.png",
        "/?next=/easel/load",
    ],
)
def test_what_only_looks_alike_passes(path: str) -> None:
    """Neighbours of a forbidden path are not forbidden, nor is its name in a query."""
    assert not forbidden(path)


@given(some.sampled_from(FORBIDDEN), some.integers(0, 2), some.data())
def test_no_encoding_passes(path: str, times: int, data: some.DataObject) -> None:
    """Any character may be percent-encoded, several times over, and any letter may be a capital."""
    for _ in range(times):
        path = "".join(f"%{ord(c):02X}" if c != "/" and data.draw(some.booleans()) else c for c in path)
    path = "".join(c.upper() if data.draw(some.booleans()) else c for c in path)
    assert forbidden(path)


@given(some.text())
def test_any_text_is_judged(text: str) -> None:
    """Nothing a caller writes makes the judge fail, and its normal form is normal."""
    forbidden(text)
    assert normal(normal(text)).startswith("/")
    target = local_path(text)
    assert target.isascii()
    assert target[0] == "/"
    assert target[1:2] not in ("/", "\\")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", "/"),
        ("/a?b=c", "/a?b=c"),
        ("//evil.example", "/evil.example"),
        ("/\\evil.example", "/evil.example"),
        ("\\\\evil.example", "/evil.example"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        ("/\r\nSet-Cookie: a=b", "/"),
        ("/é", "/%C3%A9"),
        ("///a//b", "/a//b"),
        ("/%0d%0ax", "/%0d%0ax"),
    ],
)
def test_redirects_stay_here(target: str, expected: str) -> None:
    """A redirect's target is a path of this host, whatever somebody put there."""
    assert local_path(target) == expected


def kind(method: str, uri: str, *, api: bool = False, anonymous: bool = False, **headers: str) -> str:
    return ForwardedRequest(
        method, uri, {key.replace("_", "-"): value for key, value in headers.items()}
    ).kind(api=api, anonymous=anonymous)


def test_kinds() -> None:
    """docs/decisions/0004: people who open the page, and whoever draws, wake; tabs and polls do not."""
    browser = {"sec_fetch_mode": "cors", "sec_fetch_site": "same-origin"}
    assert kind("GET", "/", sec_fetch_mode="navigate") == "navigation"
    assert kind("GET", "/", sec_fetch_mode="navigate", sec_purpose="prefetch") == "rest"
    assert kind("GET", "/", accept="text/html") == "navigation"
    assert kind("GET", "/", accept="text/html", anonymous=True) == "rest"
    assert kind("GET", "/", sec_fetch_mode="navigate", anonymous=True) == "navigation"
    for path in (
        "/sdapi/v1/txt2img",
        "/sdapi/v1/img2img",
        "/sdapi/v1/extra-single-image",
        "/v1/images/generations",
        "/v1/images/edits",
    ):
        assert kind("POST", path, api=True) == "draw"
        assert kind("POST", path, **browser) == "draw"
        assert kind("GET", path, **browser) == "rest"
    assert kind("POST", "/sdapi/v1/txt2img?x=1", **browser) == "draw"
    assert kind("GET", "/sdapi/v1/sd-models", api=True) == "call"
    assert kind("GET", "/sdapi/v1/sd-models", **browser) == "rest"
    for path in (
        "/sdapi/v1/progress?skip_current_image=true",
        "/sdapi/v1/memory",
        "/internal/ping",
        "/studio/events",
        "/studio/memory",
        "/studio/session",
        "/jobs",
        "/jobs/0123456789abcdef",
        "/favicon.ico",
        "/page/0123456789ab/first.js",
    ):
        assert kind("GET", path, api=True) == "rest"
    assert kind("OPTIONS", "/sdapi/v1/txt2img", api=True) == "rest"


@given(some.text(), some.text())
def test_any_request_has_a_kind(method: str, uri: str) -> None:
    """No request line confuses the door."""
    assert kind(method, quote(uri), api=True) in ("navigation", "draw", "call", "rest")


def test_what_may_be_sent_again() -> None:
    """A picture that a caller waits for is drawn from the request alone, and may be asked of another replica;
    what is answered by a ticket may be accepted already."""
    path = "/sdapi/v1/txt2img"
    assert ForwardedRequest("POST", path, {}).repeatable
    assert ForwardedRequest("POST", path, {"prefer": "return=minimal"}).repeatable
    assert not ForwardedRequest("POST", path, {"prefer": "respond-async, wait=5"}).repeatable
    assert (
        ForwardedRequest("POST", path, {"prefer": "respond-async"}).kind(api=True, anonymous=False) == "draw"
    )


def test_no_path_takes_its_square() -> None:
    """Space that ends nowhere, as long as Caddy lets an address be: a stranger's is looked at before it is
    known who asks, and 15 kB of it held everybody up for a second and a half."""
    began = time.thread_time()
    for path in ("/" + "%20" * 6000 + "x", "/" + " " * 20_000 + "x", "/" + " x" * 10_000, "/" + ";" * 20_000):
        assert not forbidden(path)
    assert time.thread_time() - began < 0.5
    assert forbidden("/easel%20%20/load")
    assert normal("/a%20%20/b c/ d ") == "/a/b c/ d"


def test_no_header_of_cookies_takes_long() -> None:
    """Of one name some are looked at, each of which is a signature to check; of others none."""
    began = time.thread_time()
    assert len(cookie_values("easel_studio=a; " * 5000, "easel_studio")) == 10
    assert cookie_values("x=1; " * 5000 + "easel_studio=b", "easel_studio") == ["b"]
    assert time.thread_time() - began < 0.3

"""What the replica sees of a request that passes, and what never passes, through real Caddy."""

from __future__ import annotations

import httpx
import pytest

from tests.gateway.access.test_request import FORBIDDEN, TRICKS
from tests.gateway.conftest import FETCHES, House, headers, raw, user

COOKIE = "easel_studio"


# ── what the replica sees ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shown", [{}, {"X-Easel-Assertion": "x"}, {"X-Easel-Assertion": ""}])
def test_a_replicas_own_port_is_the_gateways_alone(house: House, shown: dict[str, str]) -> None:
    """Everybody on this machine can reach it, and it takes `X-Easel-User` at its word; the key it asks for is
    in no file."""
    (port, *_) = [
        line[line.index("--port") + 1]
        for line in (process.cmdline() for process in house.processes())
        if "--port" in line
    ]
    answer = httpx.get(f"http://127.0.0.1:{port}/", headers={"X-Easel-User": "eve", **shown})
    assert answer.status_code == 403


def test_forged_headers_are_gone(house: House) -> None:
    """Nobody names themselves, picks a replica, or says where they come from."""
    forged = {
        "X-Easel-User": "eve",
        "x-easel-upstream": "127.0.0.1:1",
        "X-EASEL-COOKIE": "a=b",
        "X-Easel-Door": "x",
        "X-Easel-Assertion": "forged",
        "X-Easel-Anything": "x",
        "X_Easel_User": "eve",
        "X-Forwarded-For": "8.8.8.8",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Uri": "/easel/load",
        "X-Forwarded-Method": "OPTIONS",
        "X-Forwarded-Prefix": "/x",
        "Forwarded": "for=8.8.8.8",
    }
    stranger = house.client("studio").get("/", headers=forged)
    assert stranger.status_code == 401
    answer = house.caller("studio").get("/", headers=forged)
    seen = headers(answer)
    assert seen["x-easel-user"] == "link"
    assert seen["x-forwarded-for"].startswith("127.0.")
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-host"] == seen["host"]
    assert {name for name in seen if "easel" in name} == {"x-easel-user", "x-easel-assertion"}
    assert not {"forwarded", "x-forwarded-prefix", "x-forwarded-uri", "x-forwarded-method"} & set(seen)
    assert not any(cookie.startswith("a=") for cookie in answer.headers.get_list("set-cookie"))


def test_forged_headers_do_not_pass_a_public_door_either(house: House) -> None:
    """At a public endpoint the forged name would be the only one."""
    assert user(house.client("gallery").get("/", headers={"X-Easel-User": "link"})).startswith("anonymous/")


def test_easel_cookies_and_authorization_stop_at_the_door(house: House) -> None:
    """The replica cannot take anybody's key: neither cookie nor token reaches it; its own cookies do."""
    browser = house.browser("studio")
    cookies = f"a=1; {COOKIE}={browser.cookies[COOKIE]}; easel_other=x; b=2"
    seen = headers(house.client("studio").get("/", headers={"Cookie": cookies}))
    assert seen["cookie"] == "a=1; b=2"
    assert (
        "cookie" not in headers(house.caller("studio").get("/"))
        or not headers(house.caller("studio").get("/"))["cookie"]
    )
    assert "authorization" not in headers(house.caller("studio").get("/"))


@pytest.mark.parametrize(
    "path", FORBIDDEN + [path for path in TRICKS if "#" not in path and "\\" not in path]
)
def test_what_never_passes(house: House, path: str) -> None:
    """`/easel/*`, `/metrics`, `/scale` and `server-*` reach no replica by any spelling, token or not."""
    bearer = f"Authorization: Bearer {house.token('studio')}"
    for method in ("GET", "POST"):
        assert " 404 " in raw(house, method, path, bearer).splitlines()[0]


# ── a session is not for other sites' pages ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "origin",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {},
    ],
)
def test_other_pages_cannot_act_with_a_session(house: House, origin: dict[str, str]) -> None:
    """Another program's page on this machine is the same site to a cookie, but not to the door."""
    cookies = {COOKIE: house.browser("studio").cookies[COOKIE]}
    answer = house.client("studio", cookies=cookies).post("/sdapi/v1/interrupt", headers=origin)
    assert answer.status_code == 403


def test_own_pages_can_act_with_a_session(house: House) -> None:
    """The endpoint's own page, told by Sec-Fetch-Site or, over plain HTTP, by Origin."""
    cookies = {COOKIE: house.browser("studio").cookies[COOKIE]}
    own = house.url("studio")
    for origin in (FETCHES, {"Origin": own}):
        assert (
            house.client("studio", cookies=cookies).post("/sdapi/v1/txt2img", headers=origin).status_code
            == 200
        )
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert house.client("studio", cookies=cookies).get("/", headers=foreign).status_code == 200
    frame = foreign | {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "iframe"}
    assert house.client("studio", cookies=cookies).get("/", headers=frame).status_code == 403
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert house.client("studio", cookies=cookies).get("/file=a.png", headers=image).status_code == 403

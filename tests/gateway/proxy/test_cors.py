"""Web pages of other origins: through real Caddy, as browsers ask."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import APP, House, until, user

PREFLIGHT = {
    "Origin": APP,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Dest": "empty",
}
# What a page's script sends after it.
CALL = {"Origin": APP, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "empty"}
STRANGERS = [
    "https://evil.example", "https://app.example.com.evil.example", "https://app.example.co", "null",
    "http://app.example.com", "https://app.example.com:444", "HTTPS://APP.EXAMPLE.COM",
]  # fmt: skip


def readable(answer: httpx.Response) -> str | None:
    """Whose page may read an answer; what must hold for every answer holds."""
    assert "access-control-allow-credentials" not in answer.headers
    allowed = answer.headers.get_list("access-control-allow-origin")
    assert len(allowed) <= 1
    assert "*" not in allowed
    return allowed[0] if allowed else None


@pytest.mark.parametrize("origin", [APP, "http://localhost:3000"])
def test_a_named_page_is_answered(house: House, origin: str) -> None:
    """The preflight names methods and headers, without a token; the call with one is readable to the page."""
    stranger = house.client("other")
    answer = stranger.options("/sdapi/v1/txt2img", headers=PREFLIGHT | {"Origin": origin})
    assert answer.status_code == 204
    assert readable(answer) == origin
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert {"Authorization", "Content-Type"} <= set(
        answer.headers["access-control-allow-headers"].split(", ")
    )
    assert "Origin" in answer.headers["vary"]
    called = house.caller("other").post("/sdapi/v1/txt2img", json={}, headers=CALL | {"Origin": origin})
    assert readable(called) == origin
    assert user(called) == "link"
    assert "Retry-After" in called.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", STRANGERS)
def test_no_other_page_is(house: House, origin: str) -> None:
    """Origins are compared whole; a stranger's preflight is 403, and no answer is readable to them."""
    answer = house.client("other").options("/sdapi/v1/txt2img", headers=PREFLIGHT | {"Origin": origin})
    assert answer.status_code == 403
    assert readable(answer) is None
    called = house.caller("other").get("/sdapi/v1/samplers", headers=CALL | {"Origin": origin})
    assert readable(called) is None


def test_an_endpoint_without_the_field_has_none(house: House) -> None:
    """What one endpoint allows is no other's."""
    assert house.client("studio").options("/sdapi/v1/txt2img", headers=PREFLIGHT).status_code == 403
    assert readable(house.caller("studio").get("/sdapi/v1/samplers", headers=CALL)) is None
    plain = house.caller("other").get("/sdapi/v1/samplers")
    assert readable(plain) is None
    assert "Origin" in plain.headers["vary"]


def test_private_stays_private(house: House) -> None:
    """A page needs a token as everyone does, and may read why it was refused; a cookie opens nothing."""
    for headers in ({}, {"Authorization": "Bearer easel_wrong"}):
        answer = house.client("other").post("/sdapi/v1/txt2img", json={}, headers=CALL | headers)
        assert answer.status_code == 401
        assert readable(answer) == APP
    cookies = {"easel_other": house.browser("other").cookies["easel_other"]}
    answer = house.client("other", cookies=cookies).post("/sdapi/v1/txt2img", json={}, headers=CALL)
    assert answer.status_code == 403
    forbidden = house.caller("other").get("/easel/load", headers=CALL)
    assert forbidden.status_code == 404


def test_basic_and_errors_are_readable(house: House) -> None:
    """Either way of showing a token counts, and Caddy's own errors are readable too."""
    basic = base64.b64encode(f"any:{house.token('other')}".encode()).decode()
    answer = house.client("other").get("/x", headers=CALL | {"Authorization": f"Basic {basic}"})
    assert (user(answer), readable(answer)) == ("link", APP)


def test_a_visiting_page_of_a_public_endpoint_is_one_caller(house: House) -> None:
    """It keeps no cookie, so it is told apart as programs are: its progress is that of its own pictures."""
    visitor = house.client("gallery")
    answers = [visitor.post("/sdapi/v1/txt2img", json={}, headers=CALL) for _ in range(2)]
    assert {readable(answer) for answer in answers} == {APP}
    assert len({user(answer) for answer in answers}) == 1
    assert not any("easel_" in answer.headers.get("set-cookie", "") for answer in answers)


def test_a_preflight_wakes_nobody(build: Callable[..., Any]) -> None:
    """A page's question is answered while the endpoint sleeps, and it sleeps on; its call wakes it."""
    house = build(studio={"replicas": {"min": 0, "max": 1}, "cors": [APP]}).start()
    assert house.client("studio").options("/sdapi/v1/txt2img", headers=PREFLIGHT).status_code == 204
    asleep = house.caller("studio").get("/sdapi/v1/progress", headers=CALL)
    assert (asleep.status_code, readable(asleep)) == (503, APP)
    assert house.state("studio") == "asleep"
    drawn = house.caller("studio").post("/sdapi/v1/txt2img", json={}, headers=CALL)
    assert readable(drawn) == APP
    assert user(drawn) == "link"
    house.set("studio", replicas={"min": 0, "max": 1})

    def taken_away() -> bool:
        try:
            return readable(house.caller("studio").get("/x", headers=CALL)) is None
        except httpx.TransportError:
            return False  # the change may reset who waits to be accepted: see Caddy.follow

    until(taken_away)

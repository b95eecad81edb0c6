"""A link from another site changes nobody into somebody else unasked."""

from __future__ import annotations

import itertools
import re

import httpx
import pytest

from tests.gateway.conftest import FETCHES, NAVIGATES, House, user
from tests.gateway.relay.test_revoking import page

_names = itertools.count(1)

CROSS = {"Sec-Fetch-Site": "cross-site"}


def kim(house: House, endpoint: str = "studio") -> httpx.Client:
    browser = page(house, house.token(endpoint), endpoint)
    browser.headers = NAVIGATES  # type: ignore[assignment]
    return browser


@pytest.mark.parametrize(
    "led",
    [CROSS, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": ""}, {"Sec-Fetch-Site": "same-origin, none"}],
)
def test_a_link_from_elsewhere_asks(house: House, led: dict[str, str]) -> None:
    """Another site's page, a sibling's, or one that the browser does not tell of: one stays who one is until
    one says so on the page, which no other site can do in one's place."""
    lee = house.new_token("studio", f"lee-{next(_names)}")
    browser = kim(house)
    before = user(browser.get("/"))
    asked = browser.get("/", params={"token": lee, "x": "1"}, headers=led)
    assert asked.status_code == 409
    assert "set-cookie" not in asked.headers
    assert "signed in as link" in asked.text
    assert "frame-ancestors 'none'" in asked.headers["content-security-policy"]
    assert asked.headers["cache-control"] == "no-store"
    assert user(browser.get("/")) == before
    form = dict(re.findall(r'name="([a-z]+)" value="([^"]*)"', asked.text))
    assert form == {"next": "/?x=1", "token": lee}
    assert 'method="post" action="/easel/signin"' in asked.text
    foreign = browser.post("/easel/signin", data=form, headers={**CROSS, "Origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert user(browser.get("/")) == before
    answer = browser.post("/easel/signin", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/?x=1")
    assert user(browser.get("/")).startswith("lee")


def test_a_visitor_is_asked_too(house: House) -> None:
    """Who draws at a public endpoint has pictures of their own there."""
    browser = house.client("gallery", headers=NAVIGATES)
    before = user(browser.get("/"))
    asked = browser.get("/", params={"token": house.token("gallery")}, headers=CROSS)
    assert asked.status_code == 409
    assert "as a visitor" in asked.text
    assert user(browser.get("/")) == before


def test_who_means_it_is_not_asked(house: House) -> None:
    """A typed or bookmarked address, the endpoint's own page, one's own link again, a first visit."""
    lee = house.new_token("studio", "lee-means-it")
    for led in ("none", "same-origin"):
        answer = kim(house).get("/", params={"token": lee}, headers={"Sec-Fetch-Site": led})
        assert answer.status_code == 303, led
    browser = kim(house)
    assert browser.get("/", params={"token": house.token("studio")}, headers=CROSS).status_code == 303
    stranger = house.client("studio", headers=NAVIGATES)
    assert stranger.get("/", params={"token": lee}, headers=CROSS).status_code == 303
    # A wrong link is no question.
    assert browser.get("/", params={"token": "easel_" + "w" * 43}, headers=CROSS).status_code == 401
    # Neither does a page's picture or script make one somebody else.
    hidden = browser.get("/", params={"token": lee}, headers={**FETCHES, **CROSS})
    assert hidden.status_code == 409
    assert "set-cookie" not in hidden.headers

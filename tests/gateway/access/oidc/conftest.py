"""A gateway with members, its identity provider, and browsers that walk between them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.gateway.access.oidc.identity_provider import SECRET, IdentityProvider
from tests.gateway.conftest import NAVIGATES, House

COOKIE = "easel_studio"
# From a bookmark or the address bar, without the browser saying more: it is not sent about unasked.
PLAIN = {"Accept": "text/html"}


@pytest.fixture(scope="session")
def provider() -> Iterator[IdentityProvider]:
    provider = IdentityProvider()
    yield provider
    provider.close()


@pytest.fixture(scope="session")
def club(provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway with members."""
    house = House(tmp_path_factory.mktemp("club"), studio={}, other={}, gallery={"public": True})
    house.environment = {"EASEL_OIDC_CLIENT_SECRET": SECRET}
    house.look = 1.0
    domains = ["example.com", "kites.example"]
    house.team(endpoints=["studio", "other", "gallery"], members=provider.members(domains=domains))
    house.start()
    yield house
    assert house.stop() == 0


@pytest.fixture(autouse=True)
def _behaves(provider: IdentityProvider) -> None:
    provider.reset()


def walk(browser: httpx.Client, url: str, **headers: str) -> httpx.Response:
    """Go somewhere as a browser does: by redirects, and saying where each step comes from."""
    headers = {"Sec-Fetch-Site": "none", **headers}
    for _ in range(12):
        answer = browser.get(url, headers=headers)
        if answer.status_code not in (302, 303, 307):
            return answer
        onward = urljoin(str(answer.url), answer.headers["location"])
        if urlsplit(onward).netloc != urlsplit(str(answer.url)).netloc:
            headers["Sec-Fetch-Site"] = "cross-site"
        url = onward
    raise AssertionError("led round in circles")


def person(house: House, name: str = "studio") -> httpx.Client:
    return house.client(name, headers=NAVIGATES)


def signed_in(house: House, name: str = "studio") -> httpx.Client:
    browser = person(house, name)
    assert walk(browser, "/easel/member").status_code == 200
    return browser


def session(browser: httpx.Client) -> str | None:
    return browser.cookies.get(COOKIE)


def answered(browser: httpx.Client, house: House, **query: str) -> str:
    """Signs in up to the provider's answer: the console's address with it, which was not gone to yet."""
    off = browser.get("/easel/member", params=query)
    back = browser.get(off.headers["location"])
    assert back.status_code == 302
    assert back.headers["location"].startswith(house.url("console") + "/easel/member/callback?")
    return str(back.headers["location"])


def callback(browser: httpx.Client, house: House, **query: str) -> str:
    """Signs in up to where the console sends the answer on to, which was not gone to yet."""
    onward = browser.get(answered(browser, house, **query), headers={"Sec-Fetch-Site": "cross-site"})
    assert onward.status_code == 303
    assert onward.headers["location"].startswith(house.url("studio") + "/easel/member/callback?")
    return str(onward.headers["location"])


def events(house: House) -> str:
    return " ".join(event["text"] for event in house.api("GET", "/api/events?endpoint=team").json())

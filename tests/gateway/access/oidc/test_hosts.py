"""Members under a domain: by TLS, each endpoint a host of its own, one address at the provider for all."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.gateway.access.oidc.conftest import walk
from tests.gateway.access.oidc.identity_provider import SECRET, IdentityProvider
from tests.gateway.conftest import NAVIGATES, user
from tests.gateway.proxy.estate import Estate, Loopback
from tests.gateway.proxy.pebble import Pebble, built, go

pytestmark = pytest.mark.skipif(go() is None, reason="Pebble is built by Go, which is not here")


@pytest.fixture(scope="module")
def estate(provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Two endpoints and the console, each with a host and a certificate."""
    built()
    pebble = Pebble(tmp_path_factory.mktemp("authority") / "pebble").start()
    estate = Estate(tmp_path_factory.mktemp("estate") / "home", pebble, studio={}, other={})
    estate.environment = {**estate.environment, "EASEL_OIDC_CLIENT_SECRET": SECRET}
    estate.team(endpoints=["studio", "other"], members=provider.members())
    try:
        estate.start()
        yield estate.secured("studio", "other", "console")
        assert estate.stop() == 0
    finally:
        pebble.stop()


def every_host(estate: Estate) -> Loopback:
    """A way to each host of the domain, by a connection of its own: they are all one address here."""
    trusted = ssl.create_default_context(cafile=str(estate.trusted))
    return Loopback(verify=trusted, limits=httpx.Limits(max_keepalive_connections=0))


@pytest.fixture
def browser(estate: Estate) -> Iterator[httpx.Client]:
    """One that goes to every host of the domain, and to the provider beside it."""
    mounts = {"https://": every_host(estate), "http://": httpx.HTTPTransport()}
    with httpx.Client(headers=NAVIGATES, mounts=mounts, timeout=30, trust_env=False) as browser:
        yield browser


def test_signing_in_goes_by_the_console_and_ends_at_the_endpoint(
    estate: Estate, provider: IdentityProvider, browser: httpx.Client
) -> None:
    """The session is of the endpoint's host alone; at the console, which was on the way, nobody is in yet."""
    answer = walk(browser, estate.url("studio") + "/easel/member?next=/deep%3Fx%3D1")
    assert user(answer) == "ann@example.com"
    assert str(answer.url) == estate.url("studio") + "/deep?x=1"
    back = estate.url("console") + "/easel/member/callback"
    assert provider.authorizations[-1]["redirect_uri"] == provider.exchanges[-1]["redirect_uri"] == back
    ours = [(cookie.name, cookie.domain) for cookie in browser.cookies.jar if "easel" in cookie.name]
    assert ("__Host-easel_studio", estate.host("studio")) in ours
    assert {domain for _, domain in ours} == {estate.host("studio")}
    assert all(cookie.secure for cookie in browser.cookies.jar if "easel" in cookie.name)


def test_the_next_host_opens_without_a_question(
    estate: Estate, provider: IdentityProvider, browser: httpx.Client
) -> None:
    """By way of the provider and the console, each with a session of its own."""
    walk(browser, estate.url("studio") + "/easel/member")
    for name in ("other", "console"):
        answer = walk(browser, estate.url(name) + "/")
        assert answer.status_code == 200
        assert urlsplit(str(answer.url)).hostname == estate.host(name)
        assert provider.authorizations[-1]["prompt"] == "none"


def test_an_answer_that_is_caught_at_the_console_opens_no_host(
    estate: Estate, provider: IdentityProvider, browser: httpx.Client
) -> None:
    """Whoever reads it there, on its way, has not the cookie of the endpoint's host."""
    off = browser.get(estate.url("studio") + "/easel/member")
    caught = browser.get(off.headers["location"]).headers["location"]
    asked = len(provider.exchanges)
    with httpx.Client(headers=NAVIGATES, transport=every_host(estate), trust_env=False) as thief:
        answer = walk(thief, caught)
    assert answer.status_code == 400
    assert not [cookie for cookie in thief.cookies.jar if "easel" in cookie.name]
    assert len(provider.exchanges) == asked

"""What comes back from the provider: faulty tokens, forged and repeated answers, and from one in trouble."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc.jwk import OctKey, RSAKey
from starlette.requests import Request
from starlette.responses import Response

from easel.gateway.access.oidc.login import Login
from easel.gateway.access.oidc.login_state import LoginStates
from easel.gateway.access.request import ForwardedRequest
from easel.gateway.audit.log import AuditLog
from easel.gateway.config import Team
from easel.gateway.door.member_routes import MemberRoutes
from tests.gateway.access.oidc.conftest import (
    PLAIN,
    answered,
    callback,
    events,
    person,
    session,
    signed_in,
    walk,
)
from tests.gateway.access.oidc.identity_provider import CLIENT, SECRET, IdentityProvider
from tests.gateway.conftest import House, user
from tests.gateway.rings import ring

TEAM = Team.model_validate(
    {"members": {"issuer": "https://idp.example", "client_id": "c", "domains": ["example.com"]}}
)

# ── ID tokens ────────────────────────────────────────────────────────────────────────────────────


def unsigned(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({"alg": "none"}, claims)]
    return b".".join([*(part.rstrip(b"=") for part in parts), b""]).decode()


def with_shared_key(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    return provider.signed(claims, OctKey.import_key(SECRET), alg="HS256", kid="one")


def with_public_key(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    # By hand: no library signs with a public key any more.
    header = {"alg": "HS256", "kid": provider.key.kid}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    digest = hmac.digest(provider.key.as_pem(private=False), b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(digest).rstrip(b"=")]).decode()


def with_another_key(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    return provider.signed(claims, RSAKey.generate_key(2048, {"kid": provider.key.kid}))


TOKENS: dict[str, Callable[[IdentityProvider, dict[str, Any]], str]] = {
    "unsigned": unsigned,
    "signed with the client's secret": with_shared_key,
    "signed with the public key as a secret": with_public_key,
    "another's key of the same name": with_another_key,
    "an unknown key": lambda p, c: p.signed(c, RSAKey.generate_key(2048, {"kid": "else"})),
    "RS512": lambda p, c: p.signed(c, alg="RS512"),
    "PS256": lambda p, c: p.signed(c, alg="PS256"),
    "changed on the way": lambda p, c: p.signed(c)[:-6] + "AAAAAA",
    "no token": lambda p, c: "",
    "no JWT": lambda p, c: "a.b",
    "a list": lambda p, c: [p.signed(c)],  # type: ignore[dict-item, list-item]
    "huge": lambda p, c: "x" * 100_000,
}


@pytest.mark.parametrize("make", TOKENS.values(), ids=TOKENS)
def test_a_token_that_is_not_the_providers_counts_for_nothing(
    club: House, provider: IdentityProvider, make: Callable[[IdentityProvider, dict[str, Any]], str]
) -> None:
    """Only RS256 and ES256 by a key that the provider shows."""
    provider.token = lambda claims: make(provider, claims)
    refused_token(club)


CLAIMS: dict[str, dict[str, Any]] = {
    "of another issuer": {"iss": "https://accounts.example.org"},
    "for another client": {"aud": "someone-else"},
    "for several, by nobody": {"aud": [CLIENT, "someone-else"]},
    "for us, asked by another": {"azp": "someone-else"},
    "for several, asked by another": {"aud": [CLIENT, "b"], "azp": "b"},
    "no audience": {"aud": None},
    "ended": {"exp": int(time.time()) - 120},
    "without an end": {"exp": None},
    "never ending": {"exp": float("inf")},
    "with a word for an end": {"exp": "tomorrow"},
    "not yet": {"nbf": int(time.time()) + 3600},
    "made in the future": {"iat": int(time.time()) + 3600},
    "made long ago": {"iat": int(time.time()) - 7200},
    "for another sign-in": {"nonce": "x" * 43},
    "for no sign-in": {"nonce": None},
    "about nobody": {"sub": None},
    "about a number": {"sub": 7},
}


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS)
def test_a_token_for_something_else_counts_for_nothing(
    club: House, provider: IdentityProvider, claims: dict[str, Any]
) -> None:
    """Issuer, audience, party, time and nonce are each looked at."""
    provider.claims = lambda honest: {
        key: value for key, value in (honest | claims).items() if value is not None
    }
    refused_token(club)


def refused_token(club: House) -> None:
    browser = person(club)
    answer = browser.get(callback(browser, club))
    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")
    assert session(browser) is None
    assert "ID token does not count" in events(club)


@pytest.mark.parametrize(
    "claims",
    [{"aud": [CLIENT]}, {"aud": [CLIENT, "b"], "azp": CLIENT}, {"nbf": 0}, {}],
)
def test_what_the_standard_allows_is_taken(
    club: House, provider: IdentityProvider, claims: dict[str, Any]
) -> None:
    """A list as audience, a party that is us, clocks that differ a little."""
    # Its clock is half a minute behind, and its tokens are short-lived.
    provider.claims = lambda honest: honest | {"exp": honest["iat"], "iat": honest["iat"] - 30} | claims
    assert user(signed_in(club).get("/")) == "ann@example.com"


def test_new_keys_are_taken_at_once(club: House, provider: IdentityProvider) -> None:
    """A provider that changed its keys, even their kind or without naming them, locks nobody out."""
    for name, kind in (("two", "RSA"), ("three", "EC"), (None, "RSA"), ("one", "RSA")):
        provider.rotate(name or "", kind)
        assert user(signed_in(club).get("/")) == "ann@example.com"


def test_the_provider_is_not_asked_about_itself_each_time(club: House, provider: IdentityProvider) -> None:
    """Discovery and keys are kept."""
    signed_in(club)
    before = len([path for path in provider.fetched if path != "/authorize"])
    signed_in(club)
    assert len([path for path in provider.fetched if path != "/authorize"]) == before


# ── forged and repeated ──────────────────────────────────────────────────────────────────────────


def test_an_answer_counts_once(club: House, provider: IdentityProvider) -> None:
    """The same address again, in the same browser, begins no session and asks the provider nothing."""
    browser = person(club)
    way = callback(browser, club)
    assert browser.get(way).status_code == 303
    asked = len(provider.exchanges)
    again = browser.get(way)
    assert again.status_code == 400
    assert "set-cookie" not in again.headers
    assert len(provider.exchanges) == asked


def test_nobody_is_signed_in_as_another(club: House, provider: IdentityProvider) -> None:
    """An answer to somebody else's sign-in counts in no other browser (login CSRF)."""
    way = callback(person(club), club)
    asked = len(provider.exchanges)
    victim = person(club)
    assert victim.get(way).status_code == 400
    victim.get("/easel/member")  # with a trip of their own under way
    assert victim.get(way).status_code == 400
    assert session(victim) is None
    assert len(provider.exchanges) == asked


def test_a_stolen_code_is_worth_nothing(club: House) -> None:
    """Somebody else's code under one's own state: PKCE tells."""
    thief, victim = person(club), person(club)
    stolen = parse_qs(urlsplit(callback(victim, club)).query)
    own = parse_qs(urlsplit(callback(thief, club)).query)
    answer = thief.get(
        "/easel/member/callback",
        params={"code": stolen["code"][0], "state": own["state"][0], "iss": own["iss"][0]},
    )
    assert answer.status_code == 400
    assert session(thief) is None


def test_an_answer_is_of_one_endpoint(club: House) -> None:
    """The state of one opens no other, though locally their cookies travel together."""
    browser = person(club)
    query = urlsplit(callback(browser, club)).query
    assert browser.get(f"{club.url('other')}/easel/member/callback?{query}").status_code == 400


def test_the_console_sends_an_answer_on_to_where_it_was_begun_and_nowhere_else(club: House) -> None:
    """Only a state that the gateway signed says where; begun at another endpoint, it opens nothing here."""
    browser = person(club)
    way = answered(browser, club)
    state = parse_qs(urlsplit(way).query)["state"][0]
    onward = browser.get(way)
    assert onward.headers["location"].partition("?")[2] == urlsplit(way).query
    assert "set-cookie" not in onward.headers
    for forged in (way.replace(state, state[:-2] + "xx"), way.replace(state, "eyJlIjoib3RoZXIifQ.a.b")):
        refused = browser.get(forged)
        assert refused.status_code == 400
        assert "location" not in refused.headers


def test_an_answer_for_an_endpoint_that_is_gone_leads_nowhere(tmp_path: Path) -> None:
    """An address that is not known any more is the console's own: it must not send itself in circles."""
    signed = Login(ring(), lambda: TEAM, None, None)  # type: ignore[arg-type]
    urls = {"studio": "https://studio.art.example.com/"}
    url = lambda name: urls.get(name, "https://console.art.example.com/")  # noqa: E731
    door = MemberRoutes(None, signed, url, AuditLog(tmp_path))  # type: ignore[arg-type]
    assert TEAM.members
    headers = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"console.art.example.com")]

    def arrived(endpoint: str) -> Response:
        ask = ForwardedRequest("GET", "/", {"x-forwarded-proto": "https"})
        assert TEAM.members
        trip = LoginStates(ring()).begin(endpoint, ask, "/", TEAM.members.fingerprint, quiet=False)
        scope = {
            "type": "http", "method": "GET", "path": "/", "headers": headers,
            "query_string": urlencode({"state": trip.state, "code": "x"}).encode(),
            "path_params": {"endpoint": "console"}, "scheme": "https", "server": ("127.0.0.1", 1),
        }  # fmt: skip
        return asyncio.run(door.arrive(Request(scope)))

    onward = arrived("studio")
    assert onward.status_code == 303
    assert onward.headers["location"].startswith(
        "https://studio.art.example.com/easel/member/callback?state="
    )
    assert arrived("gone").status_code == 404


def test_an_answer_that_somebody_else_catches_is_worth_nothing(
    club: House, provider: IdentityProvider
) -> None:
    """Seen on its way by the console, it counts in the browser alone that began: by cookie and by PKCE."""
    victim = person(club)
    way = answered(victim, club)
    asked = len(provider.exchanges)
    thief = person(club)
    there = walk(thief, way)
    assert there.status_code == 400
    assert session(thief) is None
    assert len(provider.exchanges) == asked
    assert walk(victim, way).status_code == 200, "and it still counts for who began"


@pytest.mark.parametrize(
    "change",
    [
        lambda q: {**q, "state": q["state"][:-2] + "xx"},
        lambda q: {**q, "state": ""},
        lambda q: {**q, "code": ""},
        lambda q: {**q, "code": "a\x00b"},
        lambda q: {**q, "code": "x" * 9000},
        lambda q: {**q, "iss": "https://evil.example"},
        lambda q: {key: q[key] for key in ("code", "state")},  # this provider always says who it is
        lambda q: {key: q[key] for key in ("code", "iss")},
        lambda q: {**q, "state": [q["state"], q["state"]]},
        lambda q: {"state": "x" * 20_000},
        lambda q: {},
    ],
)
def test_answers_that_are_none(club: House, change: Callable[[dict[str, str]], dict[str, Any]]) -> None:
    """Each is a page that says so, never a mistake of ours."""
    browser = person(club)
    found = {key: values[0] for key, values in parse_qs(urlsplit(callback(browser, club)).query).items()}
    answer = browser.get("/easel/member/callback", params=change(found))
    assert answer.status_code == 400
    assert "Sign in with" in answer.text
    assert session(browser) is None


def test_what_the_provider_says_never_becomes_a_page(club: House) -> None:
    """Anybody may write an error into an address."""
    browser = person(club)
    found = parse_qs(urlsplit(callback(browser, club)).query)
    answer = browser.get(
        "/easel/member/callback",
        params={
            "state": found["state"][0],
            "iss": found["iss"][0],
            "error": "access_denied",
            "error_description": "<b>call 555-0100</b>",
        },
    )
    assert answer.status_code == 403
    assert "555-0100" not in answer.text


# ── a provider in trouble ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ((401, {"error": "invalid_client", "error_description": f"not {SECRET}"}), "members.client_id"),
        ((500, {"error": "server_error"}), "server_error"),
        ((200, {"access_token": "x"}), "no ID token"),
        ((302, {}), "is not followed"),
    ],
)
def test_a_token_endpoint_in_trouble_is_told(
    club: House, provider: IdentityProvider, answer: tuple[int, dict[str, Any]], detail: str
) -> None:
    """People get plain words, the operator an event with the reason, and nobody the client's secret."""
    provider.answer = answer
    browser = person(club)
    page = browser.get(callback(browser, club))
    assert page.status_code == 502
    assert "does not work at the moment" in page.text
    assert "invalid_client" not in page.text
    assert detail in events(club)
    assert SECRET not in events(club)


def test_a_provider_that_is_down_leaves_links_and_tokens(
    build: Callable[..., House], provider: IdentityProvider
) -> None:
    """The sign-in page still comes, quickly; the button leads to a page in plain words; the reason is an
    event. What becomes of the configuration is followed: sessions end with the domains they are of."""
    house = build(studio={})
    house.environment = {"EASEL_OIDC_CLIENT_SECRET": SECRET}
    house.team(endpoints=["studio"], members=provider.members(issuer="http://127.0.0.1:9"))
    house.start()
    browser = person(house)
    assert browser.get("/").status_code == 401
    answer = browser.get("/easel/member")
    assert answer.status_code == 502
    assert "a link or a token still opens this" in answer.text
    assert "127.0.0.1:9" in events(house)
    assert user(house.browser("studio").get("/")).startswith("link/")

    def follows(done: Callable[[], bool], **members: Any) -> None:
        house.team(endpoints=["studio"], members=provider.members(**members) if members else None)
        deadline = time.monotonic() + 15
        while not done():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    follows(lambda: walk(person(house), "/easel/member").status_code == 200, domains=["Example.com"])
    member = signed_in(house)
    assert user(member.get("/")) == "ann@example.com"
    # A changed secret's name ends no session, changed domains end all.
    follows(lambda: member.get("/", headers=PLAIN).status_code == 401, domains=["example.org"])
    follows(lambda: member.get("/easel/member").status_code == 404)
    assert "not set up" in member.get("/easel/member").text

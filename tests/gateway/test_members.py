"""Members sign in by the team's identity provider: a real gateway and Caddy, a small provider on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey

from tests.gateway.conftest import FETCHES, NAVIGATES, House, user
from tests.gateway.identity_provider import ANN, CLIENT, SECRET, IdentityProvider

COOKIE = "easel_studio"
# From a bookmark or the address bar, without the browser saying more: it is not sent about unasked.
PLAIN = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    provider = IdentityProvider()
    yield provider
    provider.close()


@pytest.fixture(scope="module")
def club(provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway with members."""
    house = House(tmp_path_factory.mktemp("club"), studio={}, other={}, gallery={"public": True})
    house.environment = {"EASEL_OIDC_CLIENT_SECRET": SECRET}
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


def callback(browser: httpx.Client, house: House) -> str:
    """Signs in up to the provider's answer; its address, which was not gone to yet."""
    off = browser.get("/easel/member")
    back = browser.get(off.headers["location"])
    assert back.status_code == 302
    assert back.headers["location"].startswith(house.url("studio") + "/easel/member/callback?")
    return str(back.headers["location"])


def events(house: House) -> str:
    return " ".join(event["text"] for event in house.api("GET", "/api/events?endpoint=team").json())


# ── in ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_sign_in_page_offers_the_provider(club: House) -> None:
    """A button by the provider's name, with the way back to where the person wanted to go."""
    answer = club.client("studio").get("/some/page?x=1&y=2", headers=PLAIN)
    assert answer.status_code == 401
    assert "Sign in with 127.0.0.1" in answer.text
    assert 'href="/easel/member?next=%2Fsome%2Fpage%3Fx%3D1%26y%3D2"' in answer.text
    assert 'action="/easel/signin"' in answer.text


def test_a_member_signs_in_and_comes_where_they_wanted_to_go(club: House, provider: IdentityProvider) -> None:
    """By code, PKCE, state and nonce; the replica learns their mail address, the browser gets a session."""
    browser = person(club)
    answer = walk(browser, "/easel/member?next=/deep/page%3Fx%3D1")
    assert user(answer) == "ann@example.com"
    assert answer.url.path == "/deep/page"
    assert answer.url.query == b"x=1"
    asked, exchanged = provider.authorizations[-1], provider.exchanges[-1]
    assert set(asked["scope"].split()) == {"openid", "email"}
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["nonce"]) >= 40
    assert exchanged["how"] == "basic"
    assert len(exchanged["code_verifier"]) >= 43
    assert asked["redirect_uri"] == exchanged["redirect_uri"] == club.url("studio") + "/easel/member/callback"
    # Whoever reads the address learns neither nonce nor verifier from the state.
    body = asked["state"].split(".")[0]
    assert exchanged["code_verifier"].encode() not in base64.urlsafe_b64decode(body + "==")


def test_the_session_is_the_browsers_alone_and_ends(club: House) -> None:
    """HttpOnly, for this host, and for twelve hours, however often it is used."""
    browser = person(club)
    answer = browser.get(callback(browser, club))
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"):
        assert part in cookie
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "easel" not in browser.get("/").headers["set-cookie"]


def test_one_sign_in_serves_all_endpoints(club: House) -> None:
    """Who is signed in at the provider is led by it and back without a question, the console included."""
    browser = signed_in(club)
    for name in ("other", "console"):
        there = walk(browser, club.url(name) + "/")
        assert there.status_code == 200
        assert there.url.path == "/"
    assert user(browser.get(club.url("other") + "/")) == "ann@example.com"


def test_a_stranger_is_asked_once_and_then_sees_the_page(club: House, provider: IdentityProvider) -> None:
    """Without a session at the provider the quiet trip ends at the sign-in page, and is not tried again at
    once."""
    browser = person(club)
    answer = walk(browser, "/pictures")
    assert provider.authorizations[-1]["prompt"] == "none"
    assert answer.status_code == 401
    assert answer.url.path == "/pictures"
    assert "Sign in with" in answer.text
    assert 'role="alert"' not in answer.text
    trips = len(provider.authorizations)
    assert browser.get("/pictures").status_code == 401
    assert len(provider.authorizations) == trips


def test_two_tabs_may_sign_in_at_once(club: House) -> None:
    """A restored window opens them all together."""
    browser = person(club)
    first, second = callback(browser, club), callback(browser, club)
    for way in (first, second):
        assert browser.get(way).status_code == 303
    assert user(browser.get("/")) == "ann@example.com"


def test_programs_are_answered_as_before(club: House, provider: IdentityProvider) -> None:
    """JSON 401 and no redirect; tokens and links go on to work beside members."""
    trips = len(provider.authorizations)
    answer = club.client("studio").post("/sdapi/v1/txt2img", json={})
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "detail", "body", "errors"}
    for headers in (FETCHES, {"Accept": "*/*"}, {**NAVIGATES, "Sec-Fetch-Dest": "iframe"}):
        assert club.client("studio").get("/x", headers=headers).status_code == 401
    assert (
        club.client("studio").get("/x", headers={**NAVIGATES, "Sec-Purpose": "prefetch"}).status_code == 401
    )
    assert user(club.caller("studio").get("/")) == "link"
    assert user(club.browser("studio").get("/")).startswith("link/")
    assert len(provider.authorizations) == trips


def test_a_wrong_link_is_told_and_not_covered_up(club: House) -> None:
    """A wrong token is no reason to be sent to the provider: its fault is shown."""
    answer = person(club).get("/?token=easel_" + "x" * 43)
    assert answer.status_code == 401
    assert "not valid" in answer.text


def test_a_member_at_a_public_endpoint_keeps_their_name(club: House) -> None:
    """Anybody is anonymous there unless they signed in."""
    assert user(person(club, "gallery").get("/")).startswith("anonymous/")
    assert user(signed_in(club, "gallery").get("/")) == "ann@example.com"


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:x"],
)
def test_no_way_leads_elsewhere(club: House, target: str) -> None:
    """A crafted address of ours sends nobody to another site after they signed in."""
    browser = person(club)
    off = browser.get("/easel/member", params={"next": target})
    back = browser.get(off.headers["location"])
    answer = browser.get(back.headers["location"])
    assert answer.status_code == 303
    assert answer.headers["location"][0] == "/"
    assert answer.headers["location"][1:2] not in ("/", "\\")


# ── who is a member ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "ann@gmail.com"},
        {"email": "ann@evil-example.com"},
        {"email": "ann@example.com.evil.org"},
        {"email": "ann@sub.example.com"},
        {"email": "ann@example.com@evil.org"},
        {"email": "ann@evil.org@example.com"},
        {"email": "ann@example.com "},
        {"email": "ann@example.com."},
        {"email": "ann@\u212aites.example"},
        {"email": "@example.com"},
        {"email": "example.com"},
        {"email": ["ann@example.com"]},
        {"email": None},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": 1},
        {"email_verified": None},
    ],
    ids=str,
)
def test_everybody_else_is_told_so(club: House, provider: IdentityProvider, claims: dict[str, Any]) -> None:
    """Exactly the team's domains, and only addresses that the provider verified: a page, and no session."""
    provider.person = ANN | claims
    browser = person(club)
    answer = browser.get(callback(browser, club))
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert session(browser) is None
    assert browser.get("/", headers=PLAIN).status_code == 401


def test_an_outsider_may_choose_another_account(club: House, provider: IdentityProvider) -> None:
    """The provider would send them back with the same one for ever."""
    provider.person = ANN | {"email": "ann@gmail.com"}
    browser = person(club)
    answer = walk(browser, "/easel/member")
    assert "example.com" in answer.text
    assert 'href="/easel/member?another=1"' in answer.text
    provider.person = ANN
    assert walk(browser, "/easel/member?another=1").status_code == 200
    assert provider.authorizations[-1]["prompt"] == "select_account"


@pytest.mark.parametrize(
    ("mail", "name"),
    [
        ("Ann@EXAMPLE.com", "ann@example.com"),
        ("ann.b+easel@example.com", "ann.b+easel@example.com"),
        ("jörg@example.com", None),
        ("a b@example.com", None),
        ("link/abc@example.com", None),
        ("a{b}\r\nX-Easel-User: root@example.com", None),
        ("x" * 65 + "@example.com", None),
    ],
)
def test_a_members_name_is_fit_for_a_header(
    club: House, provider: IdentityProvider, mail: str, name: str | None
) -> None:
    """Their address in small letters; where that will not do, a name that is theirs alone."""
    provider.person = ANN | {"email": mail}
    said = user(signed_in(club).get("/"))
    if name:
        assert said == name
    else:
        assert said.startswith("member-")
        assert said.endswith("@example.com")
        assert said == user(signed_in(club).get("/"))
        provider.person = ANN | {"email": mail, "sub": "another"}
        assert user(signed_in(club).get("/")) != said


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


# ── out, and beside ──────────────────────────────────────────────────────────────────────────────


def test_signing_out_lasts(club: House, provider: IdentityProvider) -> None:
    """The session is gone, nobody is signed in again unasked, and asking brings them back."""
    browser = signed_in(club)
    assert browser.get("/easel/signout").status_code == 200
    assert user(browser.get("/")) == "ann@example.com"
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert browser.post("/easel/signout", headers=foreign).status_code == 403
    assert user(browser.get("/")) == "ann@example.com"
    out = browser.post("/easel/signout", headers={"Sec-Fetch-Site": "same-origin"})
    assert out.status_code == 303
    trips = len(provider.authorizations)
    assert browser.get("/").status_code == 401
    assert len(provider.authorizations) == trips
    assert walk(browser, "/easel/member").status_code == 200


def test_a_member_sees_the_console_and_changes_nothing(club: House) -> None:
    """No link, no token, no button, no log: an operator comes by a token of the console, as ever."""
    browser = person(club, "console")
    page = walk(browser, "/easel/member")
    assert page.status_code == 200
    assert "studio" in page.text
    for forbidden in (
        *(club.token(name) for name in club.ports),
        'data-do="wake"',
        "data-revoke",
        "data-logs",
    ):
        assert forbidden not in page.text
    assert browser.get("/live").status_code == 200
    status = browser.get("/api/status", headers={**FETCHES}).json()
    assert {place["link"] for place in (status["console"], *status["endpoints"])} == {None}
    own = {"Sec-Fetch-Site": "same-origin"}
    for method, path in [
        ("GET", "/api/tokens"),
        ("POST", "/api/tokens"),
        ("DELETE", "/api/tokens/studio/link"),
        ("POST", "/api/endpoints/studio/sleep"),
        ("POST", "/api/endpoints/studio/pass"),
        ("GET", "/api/logs/studio/0"),
        ("GET", "/logs/studio/0/follow"),
        ("POST", "/live"),
        ("GET", "/static/..%2fapi/tokens"),
        ("GET", "//api/tokens"),
    ]:
        answer = browser.request(method, path, headers=own, json={} if method == "POST" else None)
        assert answer.status_code == 403, path
    operator = club.browser("console").get("/")
    assert club.token("studio") in operator.text
    assert 'data-do="wake"' in operator.text


def test_a_session_is_of_one_endpoint(club: House) -> None:
    """A member's cookie under another endpoint's name opens nothing, nor does one that was altered."""
    browser = signed_in(club)
    value = session(browser)
    assert value
    stranger = club.client("other", headers=PLAIN)
    for cookie in (value, value[:-1] + ("A" if value[-1] != "A" else "B")):
        assert stranger.get("/", headers={"Cookie": f"easel_other={cookie}"}).status_code == 401


def test_nothing_secret_is_written(club: House, provider: IdentityProvider) -> None:
    """Neither the client's secret nor codes, states, verifiers and tokens are in any log, file or replica."""
    browser = signed_in(club)
    provider.answer = (401, {"error": "invalid_client", "error_description": f"not {SECRET}"})
    walk(person(club), "/easel/member")
    secrets = {SECRET, *provider.given, *(each["code_verifier"] for each in provider.exchanges)}
    secrets |= {each["state"] for each in provider.authorizations} | {session(browser) or ""}
    secrets -= {""}
    assert len(secrets) > 4
    written = [path for path in club.root.rglob("*") if path.is_file()]
    assert any(path.name == "caddy.log" for path in written)
    for path in written:
        text = path.read_bytes()
        assert not [one for one in secrets if one.encode() in text], path
    for process in club.processes():
        assert "EASEL_OIDC_CLIENT_SECRET" not in process.environ()
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    assert digest not in Path(club.root / "logs" / "gateway.log").read_text()

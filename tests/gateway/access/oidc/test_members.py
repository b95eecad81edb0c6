"""Members sign in by the team's identity provider: a real gateway and Caddy, a small provider on loopback."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.access.oidc.conftest import COOKIE, PLAIN, callback, person, session, signed_in, walk
from tests.gateway.access.oidc.identity_provider import ANN, SECRET, IdentityProvider
from tests.gateway.conftest import FETCHES, NAVIGATES, House, user

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
    assert (
        asked["redirect_uri"] == exchanged["redirect_uri"] == club.url("console") + "/easel/member/callback"
    )
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


def test_the_provider_knows_one_address_of_the_team(club: House, provider: IdentityProvider) -> None:
    """The console's, whichever endpoint somebody comes from: a new endpoint needs nothing at the provider."""
    before = len(provider.authorizations)
    for name in ("studio", "other", "gallery", "console"):
        signed_in(club, name)
    asked = {each["redirect_uri"] for each in provider.authorizations[before:]}
    assert asked == {club.url("console") + "/easel/member/callback"}


def test_a_laptop_by_another_name_keeps_it_all_the_way(club: House, provider: IdentityProvider) -> None:
    """Cookies go by the name that the browser knows the machine by."""
    port = club.ports["studio"]
    with httpx.Client(headers=NAVIGATES, base_url=f"http://localhost:{port}", trust_env=False) as browser:
        answer = walk(browser, "/easel/member?next=/deep")
    assert user(answer) == "ann@example.com"
    assert str(answer.url) == f"http://localhost:{port}/deep"
    console = club.url("console").rpartition(":")[2]
    there = f"http://localhost:{console}/easel/member/callback"
    assert provider.authorizations[-1]["redirect_uri"] == there


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
    answer = browser.get(callback(browser, club, next=target))
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

"""A member's sessions end: one, all of them, by the member or the operator, and with what they were of."""

from __future__ import annotations

import json

import httpx

from tests.gateway.access.oidc.conftest import COOKIE, session, signed_in
from tests.gateway.conftest import FETCHES, House, until
from tests.gateway.relay.test_revoking import WITHIN, Open, ends, stream


def scripts(browser: httpx.Client) -> httpx.Client:
    browser.headers = FETCHES  # type: ignore[assignment]
    return browser


def both(club: House) -> tuple[list[httpx.Client], list[Open]]:
    browsers = [scripts(signed_in(club)), scripts(signed_in(club, "other"))]
    return browsers, [stream(one, "/test/events") for one in browsers]


def test_signing_out_here_leaves_the_other_sessions(club: House) -> None:
    """One session alone: its copies and streams end, the member's at another endpoint do not."""
    (here, there), (mine, theirs) = both(club)
    copy = club.client("studio", headers=FETCHES, cookies={COOKIE: session(here) or ""})
    assert copy.get("/").status_code == 200
    assert here.post("/easel/signout").status_code == 303
    ends([mine], "the session's stream ends")
    assert copy.get("/").status_code == 401
    assert not theirs.over
    assert there.get("/").status_code == 200


def test_signing_out_everywhere(club: House) -> None:
    """All of a member's sessions at all endpoints, at once; signing in again works at once too."""
    browsers, streams = both(club)
    offered = browsers[0].get("/easel/signout")
    assert "ann@example.com out everywhere" in offered.text
    assert browsers[0].post("/easel/signout", data={"everywhere": "1"}).status_code == 303
    ends(streams, "all of the member's streams end")
    assert browsers[1].get("/").status_code == 401
    assert scripts(signed_in(club)).get("/").status_code == 200


def test_the_operator_ends_a_members_sessions(club: House) -> None:
    """By their address, however it is written."""
    browsers, streams = both(club)
    assert club.api("DELETE", "/api/sessions", params={"member": "Ann@Example.com"}).status_code == 200
    ends(streams, "all of the member's streams end")
    assert [one.get("/").status_code for one in browsers] == [401, 401]


def test_a_change_of_who_is_a_member_ends_streams(club: House) -> None:
    """The configuration says what members' sessions are of; it is followed within a second."""
    browsers, streams = both(club)
    path = club.root / "config" / "team.json"
    before = path.read_text()
    try:
        team = json.loads(before)
        team["members"]["domains"] = ["kites.example"]
        path.write_text(json.dumps(team))
        until(lambda: all(one.over for one in streams), WITHIN)
        assert browsers[0].get("/").status_code == 401
    finally:
        path.write_text(before)
        until(lambda: browsers[0].get("/").status_code == 200)


def test_a_members_link_from_elsewhere_asks(club: House) -> None:
    """A member does not become a token's guest because another site says so."""
    browser = signed_in(club)
    asked = browser.get("/", params={"token": club.token("studio")}, headers={"Sec-Fetch-Site": "cross-site"})
    assert asked.status_code == 409
    assert "signed in as ann@example.com" in asked.text

"""Who passes the door, and as whom: through real Caddy, to a real replica."""

from __future__ import annotations

import base64
import time

import httpx
import pytest

from tests.gateway.conftest import FETCHES, NAVIGATES, House, raw, user

COOKIE = "easel_studio"


# ── nobody ───────────────────────────────────────────────────────────────────────────────────────


def test_a_browser_without_a_token_sees_the_sign_in_page(house: House) -> None:
    """Private by default: a person gets a page to sign in on, and no pop-up of the browser's."""
    answer = house.client("studio").get("/some/page?x=1&x=2", headers=NAVIGATES)
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert "Basic" not in answer.headers["www-authenticate"]
    assert 'action="/easel/signin"' in answer.text
    assert 'value="/some/page?x=1&amp;x=2"' in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert 'role="alert"' not in answer.text


def test_an_api_client_without_a_token_gets_json(house: House) -> None:
    """A program gets A1111's error shape, and is told what to send."""
    for path in ("/sdapi/v1/txt2img", "/", "/docs"):
        answer = house.client("studio").post(path, json={})
        assert answer.status_code == 401
        assert set(answer.json()) == {"error", "detail", "body", "errors"}
        assert "Bearer" in answer.json()["detail"]
        assert answer.headers["www-authenticate"].startswith("Basic")


def test_scripts_of_a_page_never_make_the_browser_pop_up(house: House) -> None:
    """A tab whose session ended polls on: its 401 must not open the browser's own password window."""
    answer = house.client("studio").get("/sdapi/v1/progress", headers=FETCHES)
    assert answer.status_code == 401
    assert "Basic" not in answer.headers["www-authenticate"]
    assert answer.json()["error"] == "Unauthorized"


def test_head_and_preflight(house: House) -> None:
    """HEAD has no body; a preflight is answered without leave for other sites, and never passed on."""
    stranger = house.client("studio")
    assert stranger.head("/").status_code == 401
    preflight = stranger.options(
        "/sdapi/v1/txt2img",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST", **FETCHES},
    )
    assert preflight.status_code == 403
    assert not any(name.startswith("access-control") for name in preflight.headers)
    assert stranger.options("/").status_code == 401
    assert house.caller("studio").head("/x").status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "BREW"])
def test_other_methods_are_no_way_in(house: House, method: str) -> None:
    """No verb is forgotten."""
    assert house.client("studio").request(method, "/").status_code == 401


# ── a link ───────────────────────────────────────────────────────────────────────────────────────


def test_a_link_becomes_a_session_and_a_clean_address(house: House) -> None:
    """`?token=` sets an HttpOnly SameSite cookie and leads to the same address without the token."""
    browser = house.client("studio", headers=NAVIGATES)
    answer = browser.get("/a/b?x=1&token=" + house.token("studio") + "&y=%C3%A9")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/a/b?x=1&y=%C3%A9"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert part in cookie
    assert house.token("studio") not in cookie
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert user(browser.get("/")).startswith("link/")


def test_two_people_with_one_link_are_two(house: House) -> None:
    """Each browser has its own name, so its own queue and gallery; the same browser keeps its name."""
    one, two = house.browser("studio"), house.browser("studio")
    names = user(one.get("/")), user(two.get("/"))
    assert names[0] != names[1]
    one.get("/", params={"token": house.token("studio")})
    assert user(one.get("/")) == names[0]


@pytest.mark.parametrize(
    "path", ["//evil.example/", "/\\evil.example/", "///evil.example", "/%09/evil.example/"]
)
def test_a_link_leads_nowhere_else(house: House, path: str) -> None:
    """No crafted link with a good token sends anybody to another site."""
    answer = raw(house, "GET", f"{path}?token={house.token('studio')}")
    assert "303" in answer.splitlines()[0]
    location = next(line for line in answer.splitlines() if line.lower().startswith("location:")).split(
        ": ", 1
    )[1]
    assert location[0] == "/"
    assert location[1:2] not in ("/", "\\", "\t")


def test_a_wrong_link_is_told(house: House) -> None:
    """A revoked or mistyped link says so, on the sign-in page, and keeps the token out of it."""
    answer = house.client("studio", headers=NAVIGATES).get("/?token=easel_" + "x" * 43)
    assert answer.status_code == 401
    assert "not valid" in answer.text
    assert "xxxxx" not in answer.text
    other = house.client("studio", headers=NAVIGATES).get("/", params={"token": house.token("other")})
    assert other.status_code == 401


def test_tokens_of_the_replicas_own_pass(house: House) -> None:
    """`?token=` that is not ours belongs to whoever stands behind the door."""
    answer = house.caller("studio").get("/own?token=civitai123")
    assert answer.json()["target"] == "/own?token=civitai123"


# ── the sign-in page ─────────────────────────────────────────────────────────────────────────────


def test_signing_in(house: House) -> None:
    """The token pasted into the form opens the page that was asked for."""
    browser = house.client("studio", headers=NAVIGATES | {"Sec-Fetch-Site": "same-origin"})
    form = {"token": f" {house.token('studio')}\n", "next": "/deep/page?a=b"}
    answer = browser.post("/easel/signin", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/deep/page?a=b")
    assert user(browser.get("/")).startswith("link/")


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1", "\r\nX: y"]
)
def test_signing_in_leads_nowhere_else(house: House, target: str) -> None:
    """`next` is a path of this endpoint or nothing."""
    answer = house.client("studio").post(
        "/easel/signin", data={"token": house.token("studio"), "next": target}
    )
    browser = house.client("studio", headers=NAVIGATES | {"Sec-Fetch-Site": "same-origin"})
    answer = browser.post("/easel/signin", data={"token": house.token("studio"), "next": target})
    assert answer.status_code == 303
    assert httpx.URL(answer.headers["location"]).host == ""
    assert "x" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {},
    ],
)
def test_no_other_site_signs_anybody_in(house: House, origin: dict[str, str]) -> None:
    """A form on another site cannot put somebody into the attacker's session."""
    form = {"token": house.token("studio")}
    answer = house.client("studio").post("/easel/signin", data=form, headers=origin)
    assert answer.status_code in (401, 403)
    assert "set-cookie" not in answer.headers


def test_a_wrong_token_is_told_on_the_page(house: House) -> None:
    """What was typed is not repeated, and nothing of `next` becomes HTML."""
    browser = house.client("studio", headers=NAVIGATES | {"Sec-Fetch-Site": "same-origin"})
    answer = browser.post("/easel/signin", data={"token": "hunter2", "next": '/"><script>alert(1)</script>'})
    assert answer.status_code == 401
    assert "hunter2" not in answer.text
    assert "<script>alert" not in answer.text
    assert browser.post("/easel/signin", data={"token": "x" * 100_000}).status_code == 413
    assert browser.post("/easel/signin", content=b"\xff\xfe=\xff").status_code == 401
    assert browser.get("/easel/signin").status_code == 303


def test_guessing_is_slowed_down(house: House) -> None:
    """After ten wrong tokens: 429 and when to come again; the right token still passes, and others are
    untouched."""
    guesser = house.client("studio")
    wrong = {"Authorization": "Bearer easel_wrong"}
    codes = [guesser.get("/", headers=wrong).status_code for _ in range(12)]
    assert codes == [401] * 10 + [429] * 2
    answer = guesser.get("/", headers=wrong)
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert guesser.get("/", headers={"Authorization": f"Bearer {house.token('studio')}"}).status_code == 200
    assert house.client("studio").get("/", headers=wrong).status_code == 401


# ── the API ──────────────────────────────────────────────────────────────────────────────────────


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_bearer_and_basic(house: House) -> None:
    """Bearer, Basic with any user name, Basic with the token as the name: the caller is the token's name."""
    token = house.token("studio")
    client = house.client("studio")
    for credentials in (
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"bearer  {token}"},
        basic("anybody", token),
        basic("", token),
        basic("ü", token),
        basic(token, ""),
        basic(token, "x-oauth-basic"),
        basic("easel_old", token),
    ):
        assert user(client.post("/sdapi/v1/txt2img", json={}, headers=credentials)) == "link"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer easel_x",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"x").decode(),
        "Digest x",
        "Token y",
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Bearer " + "x" * 8000,
    ],
)
def test_wrong_credentials(house: House, value: str) -> None:
    """Whatever stands in `Authorization`, it is a token or a 401."""
    answer = house.client("studio").get("/sdapi/v1/options", headers={"Authorization": value})
    assert answer.status_code == 401


def test_wrong_credentials_beat_a_good_cookie_and_a_public_endpoint(house: House) -> None:
    """Who shows a wrong token is told so, not silently taken for somebody else."""
    wrong = {"Authorization": "Bearer easel_old"}
    assert house.browser("studio").get("/", headers=wrong).status_code == 401
    assert house.client("gallery").get("/", headers=wrong).status_code == 401


def test_tokens_of_another_endpoint_are_refused(house: House) -> None:
    """A token opens the endpoint it was made for."""
    for credentials in (
        {"Authorization": f"Bearer {house.token('other')}"},
        basic("x", house.token("console")),
    ):
        assert house.client("studio").get("/", headers=credentials).status_code == 401


def test_cookies_of_another_endpoint_are_refused(house: House) -> None:
    """One host, many ports: cookies are sent to all of them, and renamed by whoever likes to."""
    value = house.browser("other").cookies["easel_other"]
    for cookies in ({"easel_other": value}, {COOKIE: value}):
        assert house.client("studio", cookies=cookies).get("/").status_code == 401
    both = house.client(
        "studio", cookies={"easel_other": value, COOKIE: house.browser("studio").cookies[COOKIE]}
    )
    assert both.get("/").status_code == 200


def test_a_tampered_cookie_is_refused(house: House) -> None:
    """One changed character, and it is nobody's."""
    value = house.browser("studio").cookies[COOKIE]
    for place in (0, len(value) // 2, len(value) - 2):
        changed = value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]
        assert house.client("studio", cookies={COOKIE: changed}).get("/").status_code == 401


def test_revoking_ends_sessions_and_api_access_at_once(house: House) -> None:
    """A revoked token opens nothing, nor do the sessions it gave."""
    token = house.new_token("studio", "guest")
    browser = house.client("studio", headers=NAVIGATES)
    assert browser.get("/", params={"token": token}).status_code == 303
    assert user(browser.get("/")).startswith("guest/")
    assert house.api("DELETE", "/api/tokens/studio/guest").status_code == 200
    assert browser.get("/").status_code == 401
    assert house.client("studio").get("/", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_an_expired_token_opens_nothing(house: House) -> None:
    """Expiry ends the token and its sessions."""
    token = house.new_token("studio", "brief", time.time() + 1.0)
    browser = house.client("studio", headers=NAVIGATES)
    assert browser.get("/", params={"token": token}).status_code == 303
    assert browser.get("/").status_code == 200
    time.sleep(1.1)
    assert browser.get("/").status_code == 401
    assert house.client("studio").get("/", headers=basic("x", token)).status_code == 401


# ── public ───────────────────────────────────────────────────────────────────────────────────────


def test_public_opens_it(house: House) -> None:
    """`public: true`: everybody is somebody, each browser its own, by a cookie it gets on the way."""
    one, two = house.client("gallery", headers=NAVIGATES), house.client("gallery", headers=NAVIGATES)
    first = one.get("/")
    # The replica's own cookie comes along untouched.
    assert first.headers.get_list("set-cookie")[-1].startswith("own=") or "own=replica" in str(first.headers)
    assert user(first).startswith("anonymous/")
    assert user(first) == user(one.get("/x"))
    assert user(first) != user(two.get("/"))


def test_public_api_callers_are_told_apart_by_address(house: House) -> None:
    """An API client keeps no cookie: its network address, hashed, is its name."""
    one, two = house.client("gallery"), house.client("gallery")
    names = user(one.post("/sdapi/v1/txt2img", json={})), user(two.get("/sdapi/v1/options"))
    assert names[0] == user(one.get("/"))
    assert names[0] != names[1]
    assert all(name.startswith("anonymous/") and "127." not in name for name in names)
    assert user(house.caller("gallery").get("/")) == "link"


def test_an_anonymous_cookie_opens_no_private_endpoint(house: House) -> None:
    """Being anonymous at a public endpoint is worth nothing at a private one."""
    browser = house.client("gallery", headers=NAVIGATES)
    browser.get("/")
    value = browser.cookies["easel_gallery"]
    assert house.client("studio", cookies={COOKIE: value, "easel_gallery": value}).get("/").status_code == 401

"""The operator API and the console that uses it."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import FETCHES, NAVIGATES, House, until

# ── the operator API ─────────────────────────────────────────────────────────────────────────────


def test_status(house: House) -> None:
    """What `easel status --json` prints: the contract's fields, links that work, times in Unix seconds."""
    status = house.status()
    assert status["console"]["url"] == house.url("console") + "/"
    assert status["console"]["link"] == f"{house.url('console')}/?token={house.token('console')}"
    endpoint = house.endpoint("studio")
    assert endpoint["url"] == house.url("studio") + "/"
    assert endpoint["link"] == f"{house.url('studio')}/?token={house.token('studio')}"
    assert endpoint["state"] == "ready"
    (replica,) = endpoint["replicas"]
    assert {"id", "state", "since", "detail"} <= set(replica)
    assert time.time() - 600 < replica["since"] <= time.time()


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer x"}, {"X-Easel-Door": ""}, {"X-Easel-Door": "x"}]
)
@pytest.mark.parametrize(
    "path",
    [
        "/api/status",
        "/console/api/status",
        "/console/",
        "/auth/studio",
        "/door/studio/signin",
        "/door/studio/waking",
        "/",
    ],
)
def test_the_gateways_own_port_is_for_its_own(house: House, path: str, headers: dict[str, str]) -> None:
    """Everybody on this machine can reach the gateway's port: without a key it answers nothing."""
    assert house.json
    answer = httpx.get(house.json["url"] + path, headers=headers)
    assert answer.status_code in (401, 403, 404)
    assert "studio" not in answer.text


def test_tokens_come_and_go(house: House) -> None:
    """Made, shown once, listed without the secret, used, revoked."""
    token = house.new_token("other", "kim-laptop", "1h30m")
    listed = house.api("GET", "/api/tokens", params={"endpoint": "other"}).json()
    kim = next(each for each in listed if each["name"] == "kim-laptop")
    assert set(kim) == {"name", "endpoint", "created", "expires", "last_used"}
    assert 5390 < kim["expires"] - kim["created"] < 5410
    assert kim["last_used"] is None
    assert token not in json.dumps(listed)
    house.client("other").get("/internal/ping", headers={"Authorization": f"Bearer {token}"})
    listed = house.api("GET", "/api/tokens", params={"endpoint": "other"}).json()
    assert next(each for each in listed if each["name"] == "kim-laptop")["last_used"] >= kim["created"]
    assert house.api("DELETE", "/api/tokens/other/kim-laptop").json() == {}
    missing = house.api("DELETE", "/api/tokens/other/kim-laptop")
    assert missing.status_code == 404
    assert "it has: link" in missing.json()["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "endpoint and name"),
        ({"endpoint": "nobody", "name": "x"}, "there is no endpoint 'nobody'"),
        ({"endpoint": "other", "name": "a/b"}, "letters, digits"),
        ({"endpoint": "other", "name": 3}, "as text"),
        ({"endpoint": "other", "name": "x", "expires": "soon"}, "write 12h, 30d"),
        ({"endpoint": "other", "name": "x", "expires": "2001-01-01"}, "has passed"),
        ({"endpoint": "other", "name": "x", "expires": 5}, "has passed"),
        ({"endpoint": "other", "name": "x", "expires": True}, "write 12h"),
        ({"endpoint": "other", "name": "x", "expires": "999999999w"}, "9999"),
        ({"endpoint": "other", "name": "link"}, "revoke it first"),
        ([], "JSON object"),
        ("{", "JSON"),
        ("\xff", "JSON"),
        ('{"name": "' + "x" * 70_000 + '"}', "more than"),
    ],
)
def test_bad_tokens_are_refused_in_words(house: House, body: Any, said: str) -> None:
    """What is wrong, and what is allowed."""
    content = body if isinstance(body, str) else json.dumps(body)
    answer = house.api("POST", "/api/tokens", content=content.encode("latin-1"))
    assert answer.status_code in (404, 422)
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/logs/nobody/1"),
        ("POST", "/api/endpoints/nobody/wake"),
        ("POST", "/api/endpoints/nobody/sleep"),
        ("GET", "/api/nothing"),
        ("GET", "/api/logs/studio/..%2f..%2fgateway"),
    ],
)
def test_strangers_are_404(house: House, method: str, path: str) -> None:
    """No endpoint, no answer; and no path out of the logs."""
    answer = house.api(method, path)
    assert answer.status_code == 404 or answer.text == ""


def test_events_and_logs(house: House) -> None:
    """What happened in words, and what a replica wrote."""
    events = house.api("GET", "/api/events", params={"endpoint": "studio"}).json()
    assert {"at", "endpoint", "replica", "kind", "text"} == set(events[0])
    assert {event["endpoint"] for event in events} == {"studio"}
    assert [event["kind"] for event in events if event["replica"]][-1] == "ready"
    assert "replica" in house.api("GET", "/api/logs/studio/1", params={"tail": "5"}).text
    for tail in ("-1", "x", "", "99999999999999999999"):
        assert house.api("GET", "/api/logs/studio/1", params={"tail": tail}).status_code == 200


# ── the console ──────────────────────────────────────────────────────────────────────────────────


def test_the_console_is_private(house: House) -> None:
    """Its own link, its own cookie; an endpoint's token opens nothing here."""
    stranger = house.client("console", headers=NAVIGATES)
    assert "The console is private" in stranger.get("/").text
    assert stranger.get("/", params={"token": house.token("studio")}).status_code == 401
    for path in (
        "/live",
        "/api/status",
        "/api/tokens",
        "/static/console.js",
        "/logs/studio/1/follow",
        "/../auth/studio",
    ):
        assert stranger.get(path).status_code == 401
    assert stranger.post("/api/endpoints/studio/sleep").status_code == 401
    cookie = house.browser("studio").cookies["easel_studio"]
    assert house.client("console", cookies={"easel_console": cookie}).get("/live").status_code == 401


def test_the_console_shows_everything(house: House) -> None:
    """Endpoints, replicas, events and tokens on one page, under a policy that runs no script but its own."""
    page = house.browser("console").get("/")
    assert page.status_code == 200
    for name in ("studio", "other", "gallery"):
        assert f'data-endpoint="{name}"' in page.text
    assert 'data-logs="studio/1"' in page.text
    assert house.endpoint("studio")["link"] in page.text
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in page.text
    assert "style=" not in page.text
    assert page.headers["x-frame-options"] == "DENY"
    browser = house.browser("console")
    assert "data-live" in browser.get("/live", headers=FETCHES).text
    assert (
        browser.get("/static/console.js", headers=FETCHES)
        .headers["content-type"]
        .startswith("text/javascript")
    )
    assert browser.get("/static/..%2fapp.py", headers=FETCHES).status_code == 404
    assert browser.get("/nothing", headers=FETCHES).status_code == 404


def test_the_console_acts_for_its_own_page_only(house: House) -> None:
    """Wake, sleep and tokens with a session: from this page yes, from any other no."""
    browser = house.browser("console")
    cookies = {"easel_console": browser.cookies["easel_console"]}
    body = {"endpoint": "gallery", "name": "from-console", "expires": "30d"}
    for origin in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": house.url("studio")},
        {"Origin": "null"},
        {},
    ):
        stranger = house.client("console", cookies=cookies)
        assert stranger.post("/api/tokens", json=body, headers=origin).status_code == 403
        assert stranger.post("/api/endpoints/studio/sleep", headers=origin).status_code == 403
        assert stranger.delete("/api/tokens/gallery/link", headers=origin).status_code == 403
    assert house.state("studio") == "ready"
    made = browser.post("/api/tokens", json=body, headers=FETCHES).json()
    assert made["link"] == f"{house.url('gallery')}/?token={made['token']}"
    assert browser.delete("/api/tokens/gallery/from-console", headers=FETCHES).status_code == 200


def test_logs_are_followed(house: House) -> None:
    """The log's last lines at once, new lines as they are written."""
    browser = house.browser("console")
    with browser.stream("GET", "/logs/studio/1/follow", headers=FETCHES) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        line = next(line for line in stream.iter_lines() if line.startswith("data:"))
        assert any("replica" in each for each in json.loads(line.removeprefix("data: ")))


def test_names_never_become_html(house: House) -> None:
    """What a replica says of itself is text, whatever it looks like."""
    caller = house.caller("gallery")
    caller.post("/test/set", json={"detail": "<img src=x onerror=alert(1)>"})
    browser = house.browser("console")
    until(lambda: "&lt;img src=x" in browser.get("/live", headers=FETCHES).text)
    assert "<img" not in browser.get("/").text
    caller.post("/test/set", json={"detail": "ready"})


# ── never in a log ───────────────────────────────────────────────────────────────────────────────


def pid(house: House) -> int | None:
    answer = house.caller("studio").get("/test/pid")
    return int(answer.json()["pid"]) if answer.status_code == 200 else None


def test_no_token_is_ever_logged(house: House) -> None:
    """Used in every way, right and wrong, through the door and past it, no token and no cookie is in any
    log."""
    token, wrong = house.new_token("studio", "loud"), "easel_" + "w" * 43
    client = house.client("studio", headers={"Referer": f"http://a/?token={token}"})
    cookie = ""
    for secret in (token, wrong):
        before = pid(house)
        answer = client.get("/x", params={"token": secret}, headers=NAVIGATES)
        cookie = answer.cookies.get("easel_studio") or cookie
        client.get(f"/{secret}/x?%74oken={secret}&prompt=a+red+fox")
        client.get("/x", headers={"Authorization": f"Bearer {secret}"})
        client.get("/x", auth=("kim", secret))
        client.post("/easel/signin", data={"token": secret}, headers={"Sec-Fetch-Site": "same-origin"})
        client.post(
            "/test/set",
            json={"crash": True},
            params={"token": secret},
            headers={"Authorization": f"Bearer {token}"},
        )
        client.get(f"/{secret}?token={secret}", headers={"Authorization": f"Bearer {token}"})
        house.api("POST", "/api/tokens", json={"endpoint": "studio", "name": secret})
        house.api("GET", f"/api/logs/{secret}/{secret}")
        until(lambda: pid(house) not in (None, before))  # noqa: B023 - called here and now
    assert cookie
    house.api("DELETE", "/api/tokens/studio/loud")
    access = (house.root / "logs" / "caddy.log").read_text()
    assert '"handled request"' in access
    assert '"user":"loud"' in access
    secrets = [token, wrong, cookie, house.token("studio"), house.token("console"), house.json["token"]]  # type: ignore[index]
    secrets += ["red+fox"]
    logs = [
        *(house.root / "logs").iterdir(),
        house.root / "run" / "caddy.out",
        house.root / "run" / "Caddyfile",
    ]
    for log in logs:
        text = log.read_text()
        for secret in secrets:
            assert secret not in text, f"{secret} is in {log.name}"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "[NaN]", '{"deep": NaN}'])
def test_a_number_that_is_none_is_refused(house: House, value: str) -> None:
    """JSON has no NaN and no infinity, though Python's reader takes them: 422 in every route with a body, and
    nothing is made."""
    before = house.api("GET", "/api/tokens").json()
    for path, fields in [
        ("/api/tokens", f'"endpoint": "studio", "name": "none", "expires": {value}'),
        ("/api/tokens", f'"endpoint": "studio", "name": "none", "odd": {value}'),
        ("/api/secret/rotation", f'"now": false, "odd": {value}'),
    ]:
        answer = house.api("POST", path, content=f"{{{fields}}}")
        assert answer.status_code == 422, answer.text
        assert set(answer.json()) == {"error", "detail", "body", "errors"}
    assert house.api("GET", "/api/tokens").json() == before

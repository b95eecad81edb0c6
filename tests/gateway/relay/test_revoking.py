"""Nothing outlives its right: streams, waiting calls, passes, copied cookies end with what they came by."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.gateway.conftest import FETCHES, NAVIGATES, House, until, user
from tests.gateway.relay.test_streams import say, websocket

WITHIN = 5.0
COOKIE = "easel_studio"
Build = Callable[..., House]
_names = itertools.count(1)


class Open:
    """Something that goes on by itself until it is ended."""

    def __init__(self, run: Callable[[Open], None]) -> None:
        self.begun = threading.Event()
        self.status = 0
        self.text = ""
        self._run = run
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()
        assert self.begun.wait(10)

    def _go(self) -> None:
        with contextlib.suppress(httpx.HTTPError, OSError, IndexError, ValueError):
            self._run(self)

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()


def stream(client: httpx.Client, path: str) -> Open:
    def run(it: Open) -> None:
        with client.stream("GET", path) as answer:
            it.status = answer.status_code
            for _ in answer.iter_lines():
                it.begun.set()

    return Open(run)


def call(client: httpx.Client, method: str, path: str, content: object = None) -> Open:
    """An API call whose answer does not come."""

    def run(it: Open) -> None:
        it.begun.set()
        answer = client.request(method, path, content=content)  # type: ignore[arg-type]
        it.status, it.text = answer.status_code, answer.text

    it = Open(run)
    time.sleep(0.5)
    return it


def socket_of(house: House, line: str) -> Open:
    connection, head = websocket(house, line)
    assert head.startswith(b"HTTP/1.1 101")

    def run(it: Open) -> None:
        connection.settimeout(20)
        while True:
            assert say(connection, b"x").startswith(b"echo")
            it.begun.set()
            time.sleep(0.1)

    return Open(run)


def endless() -> Iterator[bytes]:
    for _ in range(200):
        yield b"x" * 16_000
        time.sleep(0.1)


@pytest.fixture
def token(house: House) -> Iterator[tuple[str, str]]:
    """A token of `studio` of a test's own: its name and itself."""
    name = f"right-{next(_names)}"
    yield name, house.new_token("studio", name)
    house.api("DELETE", f"/api/tokens/studio/{name}")


def bearer(house: House, plaintext: str, endpoint: str = "studio") -> httpx.Client:
    return house.client(endpoint, headers={"Authorization": f"Bearer {plaintext}"})


def page(house: House, plaintext: str, endpoint: str = "studio") -> httpx.Client:
    """A script of the page of somebody who opened the link."""
    browser = house.client(endpoint, headers=NAVIGATES)
    assert browser.get("/", params={"token": plaintext}).status_code == 303
    browser.headers = FETCHES  # type: ignore[assignment]
    return browser


def cookie_line(browser: httpx.Client, house: House) -> str:
    return f"Cookie: {COOKIE}={browser.cookies[COOKIE]}\r\nOrigin: {house.url('studio')}"


def ends(opened: list[Open], what: str) -> None:
    until(lambda: all(each.over for each in opened), WITHIN, what)


def test_revoking_a_token_ends_all_that_came_by_it(house: House, token: tuple[str, str]) -> None:
    """Event streams, WebSockets, a waiting call and an upload, by Bearer and by session, within 5 s; those of
    another go on, and a call that had no answer yet is told why."""
    name, plaintext = token
    api, browser, other = bearer(house, plaintext), page(house, plaintext), house.caller("studio")
    mine = [
        stream(api, "/test/events"),
        stream(browser, "/test/events"),
        socket_of(house, f"Authorization: Bearer {plaintext}"),
        socket_of(house, cookie_line(browser, house)),
        call(bearer(house, plaintext), "POST", "/x", endless()),
    ]
    waiting = call(bearer(house, plaintext), "GET", "/test/hang")
    theirs = [
        stream(other, "/test/events"),
        socket_of(house, f"Authorization: Bearer {house.token('studio')}"),
    ]
    assert house.api("DELETE", f"/api/tokens/studio/{name}").status_code == 200
    ends([*mine, waiting], "what came by the token ends")
    assert waiting.status == 401
    assert "has ended" in waiting.text
    assert not any(each.over for each in theirs)
    until(lambda: "hang" in other.get("/test/pid").json()["gone"])
    assert api.get("/").status_code == 401


def test_signing_out_ends_the_session_in_every_copy(house: House, token: tuple[str, str]) -> None:
    """Not the cookie alone: a copy of it is dead, its streams end, the token and another browser's session
    go on."""
    _, plaintext = token
    browser, other = page(house, plaintext), page(house, plaintext)
    copy = house.client("studio", headers=FETCHES, cookies={COOKIE: browser.cookies[COOKIE]})
    mine, theirs = (
        [stream(browser, "/test/events"), stream(copy, "/test/events")],
        stream(other, "/test/events"),
    )
    assert user(copy.get("/")) == user(browser.get("/"))
    foreign = copy.post("/easel/signout", headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert copy.get("/").status_code == 200
    answer = browser.post("/easel/signout")
    assert answer.status_code == 303
    assert f"{COOKIE}=;" in answer.headers["set-cookie"]
    ends(mine, "the session's streams end")
    assert copy.get("/").status_code == 401
    assert not theirs.over
    assert other.get("/").status_code == 200
    assert bearer(house, plaintext).get("/").status_code == 200


def test_the_operator_signs_everybody_of_a_token_out(house: House, token: tuple[str, str]) -> None:
    """All sessions so far; the token stays good, for programs and for who opens the link again."""
    name, plaintext = token
    browsers = [page(house, plaintext) for _ in range(2)]
    mine, theirs = [stream(one, "/test/events") for one in browsers], page(house, house.token("studio"))
    answer = house.api("DELETE", "/api/sessions", params={"endpoint": "studio", "token": name})
    assert answer.status_code == 200
    ends(mine, "the sessions' streams end")
    assert [one.get("/").status_code for one in browsers] == [401, 401]
    assert theirs.get("/").status_code == 200
    assert bearer(house, plaintext).get("/").status_code == 200
    assert page(house, plaintext).get("/").status_code == 200
    for wrong in ({}, {"token": name}, {"member": "a@b.c", "token": name}):
        assert house.api("DELETE", "/api/sessions", params=wrong).status_code == 422
    gone = house.api("DELETE", "/api/sessions", params={"endpoint": "studio", "token": "nobody"})
    assert gone.status_code == 404


def test_an_expired_token_ends_its_streams(house: House) -> None:
    """An hour's token is worth an hour, also to who began within it."""
    plaintext = house.new_token("studio", f"right-{next(_names)}", time.time() + 2)
    mine = [stream(bearer(house, plaintext), "/test/events"), stream(page(house, plaintext), "/test/events")]
    until(lambda: all(each.over for each in mine), 2 + WITHIN)


def test_a_console_token_takes_its_followers_and_passes_along(house: House) -> None:
    """Revoked, it ends the log that it follows at the console, and the passes that were made with it, by
    Bearer or by a session; a pass of the machine's own operator goes on."""
    plaintext = house.new_token("console", name := f"right-{next(_names)}")
    console, browser = bearer(house, plaintext, "console"), page(house, plaintext, "console")
    replica = house.endpoint("studio")["replicas"][0]["id"]
    follow = f"/logs/studio/{replica}/follow"
    passes = [
        console.post("/api/endpoints/studio/pass").json()["token"],
        browser.post("/api/endpoints/studio/pass").json()["token"],
    ]
    own = house.api("POST", "/api/endpoints/studio/pass").json()["token"]
    assert {user(bearer(house, one).get("/")) for one in [*passes, own]} == {"@operator"}
    mine = [stream(console, follow), stream(browser, follow)]
    mine += [stream(bearer(house, one), "/test/events") for one in passes]
    theirs = stream(bearer(house, own), "/test/events")
    assert house.api("DELETE", f"/api/tokens/console/{name}").status_code == 200
    ends(mine, "followers and passes end")
    assert [bearer(house, one).get("/").status_code for one in passes] == [401, 401]
    assert not theirs.over
    assert user(bearer(house, own).get("/")) == "@operator"


def test_a_pass_ends_with_the_session_that_made_it(house: House) -> None:
    """Who signs out of the console leaves no key to an endpoint behind."""
    browser = page(house, house.token("console"), "console")
    made = browser.post("/api/endpoints/other/pass").json()["token"]
    assert user(bearer(house, made, "other").get("/")) == "@operator"
    assert browser.post("/easel/signout").status_code == 303
    assert bearer(house, made, "other").get("/").status_code == 401


@pytest.mark.parametrize("line", ["X-Easel-Pass: 1", "X_Easel_Pass: 1", "x-easel-pass: 99999999"])
def test_a_number_of_ones_own_leads_nowhere_else(house: House, line: str) -> None:
    """The number that the relay goes by is the gateway's, whatever the caller names or has taken off."""
    name, _, value = line.partition(": ")
    headers = {name: value, "Connection": f"keep-alive, {name}"}
    answer = house.caller("studio").get("/", headers=headers)
    assert user(answer) == "link"
    assert not [key for key, _ in answer.json()["headers"] if "pass" in key]


def test_nobody_reaches_a_replica_by_the_relay_itself(house: House) -> None:
    """Without a number that the door gave, or with one that was used, it says 401."""
    transport = httpx.HTTPTransport(uds=str(house.root / "run" / "relay.sock"))
    client = httpx.Client(transport=transport, base_url="http://x")
    for number in ({}, {"X-Easel-Pass": "1"}, {"X-Easel-Pass": "x"}):
        assert client.get("/", headers=number).status_code == 401
    assert (house.root / "run" / "relay.sock").stat().st_mode & 0o077 == 0


# ── what needs a gateway of its own ──────────────────────────────────────────────────────────────


def test_ended_sessions_stay_so_over_restarts_and_waiting_ends(build: Build) -> None:
    """A restart forgets no ended session; whoever waits for a replica is told when their right has ended; a
    visitor's streams end when an endpoint is public no longer."""
    slow = {"replicas": {"min": 0, "max": 1}, "env": {"EASEL_TEST_SLOW": "60"}}
    house = build(studio={}, slow=slow, gallery={"public": True}).start()
    browser, other = page(house, house.token("studio")), page(house, house.token("studio"))
    copy = house.client("studio", headers=FETCHES, cookies={COOKIE: browser.cookies[COOKIE]})
    assert browser.post("/easel/signout").status_code == 303
    plaintext = house.new_token("slow", "kim")
    waiting = call(bearer(house, plaintext, "slow"), "POST", "/sdapi/v1/txt2img")
    house.api("DELETE", "/api/tokens/slow/kim")
    visitor = stream(house.client("gallery", headers=FETCHES), "/test/events")
    house.set("gallery", public=False)
    ends([waiting, visitor], "who waits, and a visitor")
    assert waiting.status == 401
    assert house.stop() == 0
    house.start()
    assert copy.get("/").status_code == 401
    assert other.get("/").status_code == 200

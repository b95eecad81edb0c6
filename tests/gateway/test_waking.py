"""Sleeping and waking: who wakes an endpoint, who waits, and what everybody else is told."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from tests.gateway.conftest import FETCHES, NAVIGATES, House, until, user

# Idle tabs of a team.
TABS = 50
SLEEPER = {"replicas": {"min": 0, "max": 1}, "env": {"EASEL_TEST_SLOW": "0.6"}}
NEVER = {"env": {"EASEL_TEST_SLOW": "60"}}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As long as this file is there, the replicas of `crashing` crash."""
    path = tmp_path_factory.mktemp("broken") / "broken"
    path.touch()
    return path


@pytest.fixture(scope="module")
def asleep(tmp_path_factory: pytest.TempPathFactory, broken: Path) -> Iterator[House]:
    """One gateway with an endpoint for each test: starting a gateway takes longer than most of them."""
    house = House(
        tmp_path_factory.mktemp("asleep"),
        untouched=SLEEPER,
        closed=SLEEPER | {"public": True},
        navigated=SLEEPER | {"env": {"EASEL_TEST_SLOW": "1.5"}},  # both of its phases are looked for
        posted=SLEEPER,
        crowded=SLEEPER,
        asked=SLEEPER,
        visited=SLEEPER | {"public": True},
        returned=SLEEPER | {"public": True},
        idle=SLEEPER | {"idle": 1.5},
        drawing=SLEEPER | {"idle": 1.5},
        limited=SLEEPER | NEVER | {"timeouts": {"wake": 1.5}},
        left=SLEEPER | NEVER,
        failing={"env": {"EASEL_TEST_PHASE": "failed"}},
        crashing={"env": {"EASEL_TEST_CRASH_WHILE": str(broken)}},
        rested={},
        kept={},
        loaded={"replicas": {"min": 1, "max": 2}, "concurrency": 1},
    )
    house.start(wait=None)
    yield house
    assert house.stop() == 0


def test_a_navigation_gets_the_waking_page_at_once(asleep: House) -> None:
    """A person sees within a moment that the studio wakes, and then the studio."""
    browser = asleep.browser("navigated")
    answer = browser.get("/")
    # Held, it would be 200.
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["cache-control"] == "no-store"
    assert "is waking up" in answer.text
    seen = set()

    def ready() -> bool:
        now = browser.get("/easel/waking").json()
        seen.add(now["state"])
        assert now["detail"]
        return bool(now["state"] == "ready")

    until(ready)
    # how it loads shows for a moment that may lie between two looks of the gateway
    assert {"starting", "ready"} <= seen <= {"asleep", "starting", "loading", "ready"}
    assert user(browser.get("/")).startswith("link/")


def test_a_post_is_held_until_a_replica_is_ready(asleep: House) -> None:
    """An API call that draws wakes the endpoint and waits; its 3 MB arrive whole."""
    body = os.urandom(3_000_000)
    began = time.monotonic()
    answer = asleep.caller("posted").post("/sdapi/v1/img2img", content=body)
    assert time.monotonic() - began > 0.6
    assert answer.status_code == 200
    assert answer.json()["length"] == len(body)
    assert answer.json()["sha256"] == hashlib.sha256(body).hexdigest()


def test_callers_at_once_are_all_held_and_one_replica_starts(asleep: House) -> None:
    """Twelve callers of a sleeping endpoint with room for one replica: one start, twelve answers."""
    caller = asleep.caller("crowded")
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: caller.post("/sdapi/v1/txt2img", json={}), range(12)))
    assert [answer.status_code for answer in answers] == [200] * 12
    assert len({answer.json()["pid"] for answer in answers}) == 1
    events = [
        event["kind"] for event in asleep.api("GET", "/api/events", params={"endpoint": "crowded"}).json()
    ]
    assert events.count("waking") == 1


def test_api_clients_may_begin_with_a_question(asleep: House) -> None:
    """Clients ask for the checkpoints first: that wakes too, and waits (docs/decisions/0004)."""
    assert asleep.caller("asked").get("/sdapi/v1/sd-models").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/sdapi/v1/progress", {}),
        ("GET", "/sdapi/v1/memory", {}),
        ("GET", "/internal/ping", {}),
        ("POST", "/sdapi/v1/interrupt", {}),
        ("GET", "/studio/events", {**FETCHES, "Accept": "text/event-stream"}),
        ("GET", "/assets/index.js", FETCHES),
        ("GET", "/sdapi/v1/options", FETCHES),
        ("GET", "/", NAVIGATES | {"Sec-Purpose": "prefetch;prerender"}),
        ("OPTIONS", "/sdapi/v1/txt2img", {}),
    ],
)
def test_polls_and_open_tabs_wake_nobody(
    asleep: House, method: str, path: str, headers: dict[str, str]
) -> None:
    """An open tab and a monitoring script get 503 and when to come again, or sleeping would never last."""
    answer = asleep.caller("untouched").request(method, path, headers=headers)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    if "text/html" not in answer.headers["content-type"]:
        assert "asleep" in answer.json()["detail"]
        assert answer.json()["kind"] == "asleep"
    time.sleep(0.1)
    assert asleep.state("untouched") == "asleep"


def test_strangers_wake_nobody(asleep: House) -> None:
    """Without a token nothing wakes; at a public endpoint a crawler does not either."""
    stranger = asleep.client("untouched")
    assert stranger.post("/sdapi/v1/txt2img", json={}).status_code == 401
    assert stranger.get("/", headers=NAVIGATES).status_code == 401
    crawler = asleep.client("closed")
    page = crawler.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 503
    assert "is asleep" in page.text
    assert crawler.get("/sdapi/v1/sd-models").status_code == 503
    assert asleep.client("untouched").get("/easel/waking").status_code == 401
    time.sleep(0.1)
    assert [asleep.state(name) for name in ("untouched", "closed")] == ["asleep", "asleep"]


def test_a_visitor_of_a_public_endpoint_wakes_it(asleep: House) -> None:
    """A real browser, and whoever draws, wakes a public endpoint."""
    assert "is waking up" in asleep.client("visited").get("/", headers=NAVIGATES).text
    assert asleep.client("visited").post("/sdapi/v1/txt2img", json={}).status_code == 200


def test_a_browser_that_says_little_wakes_it_when_it_comes_back(asleep: House) -> None:
    """Over plain HTTP browsers send no Sec-Fetch-*: the cookie that one brings back tells it from a
    crawler."""
    browser = asleep.client("returned", headers={"Accept": "text/html"})
    assert "is asleep" in browser.get("/").text
    assert "is waking up" in browser.get("/").text


def test_idle_stops_and_asking_wakes_again(asleep: House) -> None:
    """Nobody draws for `idle`: the process is gone, however many streams are open; the next caller gets a new
    one."""
    caller = asleep.caller("idle")
    first = caller.post("/sdapi/v1/txt2img", json={}).json()["pid"]
    with ExitStack() as tabs:
        for _ in range(TABS):
            stream = tabs.enter_context(caller.stream("GET", "/test/events"))
            assert next(stream.iter_lines()) == "data: 0"
        until(lambda: asleep.state("idle") == "asleep", 15)
    assert not psutil.pid_exists(first)
    assert caller.get("/sdapi/v1/progress").status_code == 503
    assert caller.post("/sdapi/v1/txt2img", json={}).json()["pid"] != first


def test_drawing_keeps_awake(asleep: House) -> None:
    """While a picture is drawn nothing sleeps, however long it takes."""
    caller = asleep.caller("drawing")
    caller.post("/sdapi/v1/txt2img", json={})
    caller.post("/test/set", json={"running": 1})
    time.sleep(3)
    assert asleep.state("drawing") == "ready"
    caller.post("/test/set", json={"running": 0})
    until(lambda: asleep.state("drawing") == "asleep", 15)


def test_the_wait_is_limited_and_says_why(asleep: House) -> None:
    """After `timeouts.wake` a held call gets 503 in A1111's shape, with the state and when to come again."""
    began = time.monotonic()
    answer = asleep.caller("limited").post("/sdapi/v1/txt2img", json={})
    assert 1.4 < time.monotonic() - began < 4
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert set(answer.json()) == {"error", "detail", "body", "errors", "kind"}
    assert "starting: " in answer.json()["detail"]


def test_who_hangs_up_waits_no_longer(asleep: House) -> None:
    """A held caller that leaves is not counted as waiting any more. (Of a POST Caddy notices only later.)"""
    caller = asleep.caller("left")
    with pytest.raises(httpx.ReadTimeout):
        caller.get("/sdapi/v1/sd-models", timeout=1)
    until(lambda: asleep.endpoint("left")["waiting"] == 0)


def test_what_failed_is_said(asleep: House, broken: Path) -> None:
    """What cannot start says why: to the API at once, to a person on the page; `wake` tries again."""
    until(lambda: asleep.state("failing") == "failed" and asleep.state("crashing") == "failed")
    answer = asleep.caller("failing").post("/sdapi/v1/txt2img", json={})
    assert answer.status_code == 503
    assert "failed now" in answer.json()["detail"]
    page = asleep.browser("failing").get("/")
    assert page.status_code == 503
    assert "could not start" in page.text
    assert "failed now" in page.text
    until(lambda: "no paint left" in str(asleep.endpoint("crashing")["detail"]))
    broken.unlink()
    assert asleep.api("POST", "/api/endpoints/crashing/wake").status_code == 200
    until(lambda: asleep.state("crashing") == "ready")


def test_sleep_by_hand_lasts_until_somebody_comes(asleep: House) -> None:
    """The operator's `sleep` counts even against `replicas.min`, until a person or a drawing call asks."""
    assert asleep.api("POST", "/api/endpoints/rested/sleep").status_code == 200
    until(lambda: asleep.state("rested") == "asleep")
    assert asleep.caller("rested").get("/sdapi/v1/progress").status_code == 503
    time.sleep(1.5)
    assert asleep.endpoint("rested")["detail"] == "put to sleep by hand"
    assert asleep.caller("rested").post("/sdapi/v1/txt2img", json={}).status_code == 200


def test_load_adds_replicas_and_people_stay_with_theirs(asleep: House) -> None:
    """More pictures than one replica draws start another; a browser stays where its page lives; calm ends
    it."""
    one = asleep.browser("loaded")
    home = one.get("/").json()["pid"]
    caller = asleep.caller("loaded")
    assert caller.post("/test/set", json={"running": 1, "queued": 1}).status_code == 200
    until(lambda: [each["state"] for each in asleep.endpoint("loaded")["replicas"]] == ["ready", "ready"])
    assert one.get("/").json()["pid"] == home
    # The caller's replica is full: it goes to the other.
    assert caller.post("/sdapi/v1/txt2img", json={}).json()["pid"] != home
    two = asleep.browser("loaded")
    assert two.get("/").json()["pid"] != home
    pids = {two.get("/").json()["pid"] for _ in range(5)}
    assert len(pids) == 1


def test_who_comes_while_it_falls_asleep_keeps_it_awake(asleep: House) -> None:
    """Asked for while its only replica finishes its pictures: it serves on; no second process starts."""
    until(lambda: asleep.state("kept") == "ready")
    caller = asleep.caller("kept")
    before = caller.get("/test/pid").json()["pid"]
    with concurrent.futures.ThreadPoolExecutor() as people:
        work = people.submit(caller.post, "/sdapi/v1/txt2img?seconds=3", json={})
        until(lambda: asleep.endpoint("kept")["running"])
        asleep.api("POST", "/api/endpoints/kept/sleep")
        until(lambda: asleep.state("kept") == "draining")
        answer = caller.post("/sdapi/v1/txt2img", json={})
        assert (answer.status_code, answer.json()["pid"]) == (200, before)
        assert work.result(20).json()["pid"] == before
    told = [event["text"] for event in asleep.api("GET", "/api/events?endpoint=kept").json()]
    assert "kept: it is wanted again" in told
    assert sum(text.startswith("ready after") for text in told) == 1

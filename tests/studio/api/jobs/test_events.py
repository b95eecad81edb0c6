"""`GET /studio/events`: an open page hears of its owner's own, and nobody pays for one that is idle."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from easel.studio.api.events import HEARTBEAT, HEARTBEAT_LINE

BYTES_A_MINUTE = 100
ASYNC = {"Prefer": "respond-async"}
SMALL = {"prompt": "a red circle on blue", "steps": 3, "width": 64, "height": 64, "seed": 7}


class Listener:
    """An open page: all that it heard, on a thread."""

    def __init__(self, client: httpx.Client) -> None:
        self.heard: list[tuple[float, str, dict[str, Any]]] = []
        self._client = client
        self.headers: dict[str, str] = {}
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            with self._client.stream("GET", "/studio/events", timeout=None) as answer:
                self.headers = dict(answer.headers)
                name = ""
                for line in answer.iter_lines():
                    if line.startswith("event: "):
                        name = line[7:]
                    elif line.startswith("data: "):
                        self.heard.append((time.monotonic(), name, json.loads(line[6:])))
        except (httpx.HTTPError, httpx.StreamError, OSError, RuntimeError):
            return  # the test is over

    def of(self, name: str) -> list[dict[str, Any]]:
        return [data for _, one, data in list(self.heard) if one == name]

    def until(self, found: Any, seconds: float = 100) -> None:
        end = time.monotonic() + seconds
        while not found():
            assert time.monotonic() < end, [(name, data.get("state")) for _, name, data in self.heard][-20:]
            time.sleep(0.02)


@pytest.fixture
def ada(running, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    with running.ask(request.node.name) as client:
        yield client
        client.post("/sdapi/v1/interrupt")


def test_a_life_is_told(running, ada: httpx.Client) -> None:
    """`hello` first, the engine, each change of a ticket in its order, looks at the picture that grows, and
    the picture; to its owner alone."""
    eve = Listener(running.ask("eve-who-listens"))
    page = Listener(running.ask("test_a_life_is_told"))
    page.until(lambda: page.of("engine"))
    assert page.heard[0][1:] == ("hello", {"version": page.of("hello")[0]["version"]})
    assert page.headers["x-accel-buffering"] == "no"
    assert page.headers["content-type"].startswith("text/event-stream")
    asked = {**SMALL, "steps": 60, "width": 256, "height": 256}
    ticket = ada.post("/sdapi/v1/txt2img", json=asked, headers=ASYNC).json()
    page.until(lambda: any(one["state"] == "done" for one in page.of("job")))
    mine = [one for one in page.of("job") if one["id"] == ticket["id"]]
    order = ["queued", "loading", "drawing", "saving", "done"]
    states = [order.index(one["state"]) for one in mine]
    assert states == sorted(states)
    assert [one["fraction"] for one in mine] == sorted(one["fraction"] for one in mine)
    shown = [one["preview"] for one in mine if one["preview"]]
    assert shown
    look = Image.open(io.BytesIO(base64.b64decode(shown[0].partition(",")[2])))
    assert max(look.size) <= 320
    page.until(lambda: page.of("picture"))
    assert page.of("picture")[0] == mine[-1]["results"][0]
    times = [at for at, name, data in page.heard if name == "job" and data["id"] == ticket["id"]]
    assert len(times) <= 5 * (times[-1] - times[0]) + 3
    assert eve.of("job") == eve.of("picture") == []


def test_models_and_deletions(running, ada: httpx.Client) -> None:
    """A new file in the store is told to everybody, what leaves somebody's gallery to them."""
    page = Listener(running.ask("test_models_and_deletions"))
    page.until(lambda: page.of("hello"))
    running.studio.events.tell("test_models_and_deletions", "gone", {"pictures": ["2026-01-01/00001-1.png"]})
    page.until(lambda: page.of("gone"))
    new = running.home / "models" / "Stable-diffusion" / "new.safetensors"
    new.write_bytes(b"no model")
    try:
        ada.post("/sdapi/v1/refresh-checkpoints")
        page.until(lambda: page.of("models"))
        cards = ada.get("/studio/session").json()["checkpoints"]
        assert next(one for one in cards if one["name"] == "new.safetensors")["problem"]
    finally:
        new.unlink()
        ada.post("/sdapi/v1/refresh-checkpoints")


# Between two looks at the store, 3 s, of which the first is told; the engine's news wait for a second.
LONGEST_PAUSE = 4


def at_rest(pages: list[Listener]) -> list[int]:
    """How much each page has heard, once none has heard anything for longer than the store is looked at."""
    end = time.monotonic() + 60
    while True:
        heard = [len(page.heard) for page in pages]
        time.sleep(LONGEST_PAUSE)
        if [len(page.heard) for page in pages] == heard:
            return heard
        assert time.monotonic() < end, [page.heard[-1][1] for page in pages][-5:]


@pytest.mark.slow
def test_idle_pages_cost_nothing(running, ada: httpx.Client) -> None:
    """Fifty open pages: nobody looks at anything while nothing happens, they hear nothing but that the line
    is there, and the engine and the studio count as idle."""
    from easel.studio.api.jobs.ticket_views import TicketViews

    pages = [Listener(running.ask(f"idle {number}")) for number in range(50)]
    for page in pages:
        page.until(lambda page=page: page.of("engine"))
    looks = []
    look = TicketViews.all
    TicketViews.all = lambda views, owner: looks.append(owner) or look(views, owner)  # type: ignore[method-assign]
    heard = at_rest(pages)  # what opening them told, and whatever went before, has come
    looks.clear()
    before = ada.get("/easel/load").json()["idle_seconds"]
    try:
        time.sleep(1.5)
    finally:
        TicketViews.all = look  # type: ignore[method-assign]
    assert looks == []
    assert [page.heard[before:] for page, before in zip(pages, heard, strict=True)] == [[]] * 50
    assert len(HEARTBEAT_LINE) * 60 / HEARTBEAT <= BYTES_A_MINUTE
    now = ada.get("/easel/load").json()
    assert (now["phase"], now["running"], now["queued"]) == ("ready", 0, 0)
    assert now["idle_seconds"] > before + 1

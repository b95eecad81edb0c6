"""Too much work is refused with its number; a caller who is gone costs nothing, also behind Caddy."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from easel.gateway.proxy.caddy import binary
from easel.studio.engine import Limits, TextToImage
from easel.studio.engine.loop import Loop
from easel.studio.engine.picture import Picture
from tests.ports import free_port

# Running and queued: eight under way at the most, the others wait.
BATCH = {"prompt": "x", "steps": 150, "width": 256, "height": 256, "batch_size": 16, "n_iter": 4}


def refused(answer: httpx.Response, status: int, error: str) -> dict[str, Any]:
    """A1111's error body, of this kind."""
    assert answer.status_code == status, answer.text[:500]
    body = answer.json()
    assert set(body) == {"error", "detail", "body", "errors"}
    assert body["error"] == error
    return body


def wait_for(found: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not found():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        (
            {"width": 2048, "height": 2048, "batch_size": 16, "n_iter": 100, "steps": 150},
            "n_iter",
            ("1,006,633 megapixel-steps", "10,000", "up to 15", "EASEL_WORK_PER_REQUEST"),
        ),
        (
            {"width": 2048, "height": 2048, "batch_size": 16, "n_iter": 100, "steps": 1},
            "n_iter",
            ("6,711 megapixels", "256", "up to 61", "EASEL_PIXELS_PER_REQUEST"),
        ),
        (
            {
                "width": 1024,
                "height": 1024,
                "batch_size": 16,
                "n_iter": 10,
                "steps": 75,
                "sampler_name": "Heun",
            },
            "n_iter",
            ("25,166 megapixel-steps", "up to 63"),
        ),
    ],
)
def test_too_much_for_one_request(
    running, fields: dict[str, object], field: str, words: tuple[str, ...]
) -> None:
    """422 at once, pointing at a field: what was asked for, what may be, and what would be taken."""
    body = refused(running.draw("greedy", **fields), 422, "TooMuchWork")
    assert body["detail"][0]["loc"] == ["body", field]
    assert all(word in body["errors"] for word in words), body["errors"]
    assert running.studio.engine.jobs("greedy") == []


def test_too_much_for_one_person(running, monkeypatch: pytest.MonkeyPatch) -> None:
    """429 with Retry-After and the numbers while there is something to wait for, 422 where nothing waits;
    another person is not affected."""
    engine, much = running.studio.engine, {"steps": 150, "width": 128, "height": 128}
    monkeypatch.setattr(engine._queue, "_limits", Limits(work_per_person=3))
    waiting = engine.submit("greedy", TextToImage(prompt="x", **much))
    try:
        answer = running.draw("greedy", **much)
    finally:
        waiting.cancel()
    body = refused(answer, 429, "QueueFull")
    assert int(answer.headers["retry-after"]) > 0
    for word in ("megapixel-steps waiting", "2 more", "the 3 that", "EASEL_WORK_PER_PERSON"):
        assert word in body["errors"]
    body = refused(running.draw("greedy", **much, batch_size=2), 422, "TooMuchWork")
    assert "5 megapixel-steps are more than the 3 that one person may have" in body["errors"]
    assert running.draw("modest").status_code == 200


def test_a_step_too_long(running, monkeypatch: pytest.MonkeyPatch) -> None:
    """422: how long it takes, how long it may, and the largest size that fits; measured first where nothing
    is known, told at once from then on."""
    step_times = running.studio.engine._step_times
    monkeypatch.setattr(step_times, "limit", 1e-6)
    step_times._known.clear()
    for _ in range(2):
        body = refused(running.draw("greedy", width=512, height=512), 422, "StepTooLong")
        assert "512x512" in body["errors"]
        assert "up to 128x128" in body["errors"]
    assert running.draw("greedy", width=128, height=128).status_code == 200
    step_times._known.clear()


@pytest.fixture(scope="module")
def proxy(running) -> Iterator[str]:
    """Caddy in front of the studio, as the door has it."""
    port = free_port()
    config = f"""{{
        admin off
        auto_https off
    }}
    http://127.0.0.1:{port} {{
        reverse_proxy {running.url}
    }}"""
    process = subprocess.Popen(
        [binary(), "run", "--config", "-", "--adapter", "caddyfile"],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(config)
    process.stdin.close()
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/internal/ping", verify=False).status_code == 200
        except httpx.TransportError:
            return False

    wait_for(answers)
    yield url
    process.terminate()
    process.wait()


@pytest.mark.parametrize("way", ["straight", "through Caddy"])
def test_hanging_up_ends_all_of_it(running, proxy: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures under way and queued alike, at once: not one call more for who is gone."""
    stepped: list[str] = []
    step = Loop._step

    def noted(loop: Loop, chosen: list[Picture]) -> list[Picture]:
        stepped.extend(picture.owner for picture in chosen)
        return step(loop, chosen)

    monkeypatch.setattr(Loop, "_step", noted)
    owner, engine = f"leaver {way}", running.studio.engine
    url = running.url if way == "straight" else proxy
    client = httpx.Client(base_url=url, headers={"X-Easel-User": owner}, verify=False)
    with client, pytest.raises(httpx.ReadTimeout):
        client.post("/sdapi/v1/txt2img", json=BATCH, timeout=httpx.Timeout(30, read=1.5))
    wait_for(lambda: not engine.jobs(owner))
    assert stepped, "it had begun"
    count = len(stepped)
    assert running.draw("other").status_code == 200
    assert owner not in stepped[count:]


def test_hanging_up_ends_the_making_of_the_answer(running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn is not encoded any more for who is gone."""
    from easel.studio.api.requests import answer_format

    encoded: list[int] = []

    def slow(*_: object, **__: object) -> bytes:
        encoded.append(1)
        time.sleep(0.3)
        return b""

    monkeypatch.setattr(answer_format, "encode_png", slow)
    body = json.dumps({"steps": 1, "width": 64, "height": 64, "n_iter": 60}).encode()
    with socket.create_connection(("127.0.0.1", httpx.URL(running.url).port)) as line:
        line.sendall(
            b"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: x\r\nX-Easel-User: leaver\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        wait_for(lambda: encoded)
    time.sleep(1)
    count = len(encoded)
    time.sleep(0.7)
    assert len(encoded) == count < 60

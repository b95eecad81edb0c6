"""Bytes through the door: event streams, WebSockets, large bodies, callers and replicas that go away."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import time

import httpx
import pytest

from tests.gateway.conftest import House, until


def test_event_streams_come_as_they_are_sent(house: House) -> None:
    """No buffering: the first event is here while the replica still writes the others."""
    began = time.monotonic()
    with house.caller("studio").stream("GET", "/test/events") as stream:
        lines = [line for _, line in zip(range(5), stream.iter_lines(), strict=False) if line]
    assert lines == ["data: 0", "data: 1", "data: 2"]
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(("path", "what"), [("/test/events", "events"), ("/test/hang", "hang")])
def test_the_replica_hears_when_its_caller_leaves(house: House, path: str, what: str) -> None:
    """Who closes the tab stops their picture: the replica is told, not kept in the belief that they wait."""
    caller = house.caller("other")
    # Neither ends by itself within this time.
    with contextlib.suppress(httpx.ReadTimeout), caller.stream("GET", path, timeout=0.5) as stream:
        next(stream.iter_lines())
    until(lambda: what in caller.get("/test/pid").json()["gone"])


def websocket(house: House, *lines: str) -> tuple[socket.socket, bytes]:
    """Opens a WebSocket as a browser does; the connection and the head of the answer."""
    connection = socket.create_connection(("127.0.0.1", house.ports["studio"]), timeout=10)
    key = base64.b64encode(os.urandom(16)).decode()
    head = [
        "GET /ws HTTP/1.1",
        f"Host: 127.0.0.1:{house.ports['studio']}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *lines,
    ]
    connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(4096)
    return connection, answer


def say(connection: socket.socket, text: bytes) -> bytes:
    """Sends a masked text frame; the text of the next frame."""
    connection.sendall(bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text)
    _, size = connection.recv(2)
    return connection.recv(size)


def test_websockets_pass(house: House) -> None:
    """A WebSocket opens through the door and carries the caller's name."""
    connection, answer = websocket(house, f"Authorization: Bearer {house.token('studio')}")
    assert answer.startswith(b"HTTP/1.1 101")
    assert say(connection, b"hello") == b"echo hello for link"
    assert say(connection, b"again") == b"echo again for link"
    connection.close()


def test_websockets_need_a_key_and_their_own_page(house: House) -> None:
    """No WebSocket without a token, and none with a session from another site's page."""
    connection, answer = websocket(house)
    assert answer.startswith(b"HTTP/1.1 401")
    connection.close()
    cookie = f"Cookie: easel_studio={house.browser('studio').cookies['easel_studio']}"
    for origin, status in (
        ("http://evil.example", b"403"),
        (house.url("other"), b"403"),
        (house.url("studio"), b"101"),
    ):
        connection, answer = websocket(house, cookie, f"Origin: {origin}")
        assert answer.split()[1] == status
        connection.close()


def test_bodies_have_a_limit(house: House) -> None:
    """Above `max_body` the answer is 413 in A1111's shape, with or without a length, and says the limit."""
    caller = house.caller("studio")
    assert caller.post("/x", content=b"x" * 4_000_000).json()["length"] == 4_000_000

    def endless() -> object:
        for _ in range(50):
            yield b"x" * 100_000

    for content in (b"x" * 4_000_001, endless()):
        answer = caller.post("/sdapi/v1/txt2img", content=content)  # type: ignore[arg-type]
        assert answer.status_code == 413
        assert set(answer.json()) == {"error", "detail", "body", "errors"}
        assert "4000000 bytes" in answer.json()["detail"]


def test_a_stranger_is_refused_before_the_body(house: House) -> None:
    """Nobody without a token uploads much: the 401 comes long before the body's end."""
    with socket.create_connection(("127.0.0.1", house.ports["studio"]), timeout=10) as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 300_000)
        assert connection.recv(4096).startswith(b"HTTP/1.1 401")


def test_a_replica_that_dies_is_told_in_both_languages(house: House) -> None:
    """A crash in the middle of a request: JSON for programs, a page that tries again for people, then all is
    well."""
    caller = house.caller("other")
    answer = caller.post("/test/set", json={"crash": True})
    assert answer.status_code == 502
    assert set(answer.json()) == {"error", "detail", "body", "errors"}
    assert int(answer.headers["retry-after"]) > 0
    page = house.browser("other").get("/")
    assert page.status_code in (502, 503, 200)
    if page.status_code == 502:
        assert "tries again" in page.text
    until(lambda: caller.get("/sdapi/v1/progress").status_code == 200)
    texts = [event["text"] for event in house.api("GET", "/api/events", params={"endpoint": "other"}).json()]
    assert any("out of colours" in text for text in texts)


def test_the_page_that_tries_again_is_in_the_visitors_language(house: House) -> None:
    """Caddy says it alone: by the choice that its cookie tells, else by what the browser prefers most."""
    said = {}
    caller = house.caller("other")
    for accepted, cookie in (("de-DE,en;q=0.8", ""), ("de-DE", "easel-language=en")):
        page = house.browser("other")
        page.cookies.set(*(cookie.split("=") if cookie else ("none", "")))
        wants = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html", "Accept-Language": accepted}
        answer = page.post("/test/set", json={"crash": True}, headers=wants)
        assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")
        said[cookie] = answer.headers["content-language"], answer.text
        until(lambda: caller.get("/sdapi/v1/progress").status_code == 200)
    assert said[""][0] == "de"
    assert '<html lang="de">' in said[""][1]
    assert "Diese Seite versucht es gleich noch einmal." in said[""][1]
    assert said["easel-language=en"][0] == "en"
    assert "tries again" in said["easel-language=en"][1]


def test_answers_are_passed_as_they_are(house: House) -> None:
    """Status, headers and cookies of the replica reach the caller unchanged."""
    answer = house.caller("studio").get("/a%20b/%C3%A9?x=%26&y")
    assert json.loads(answer.content)["target"] == "/a%20b/%C3%A9?x=%26&y"
    assert answer.headers["set-cookie"] == "own=replica"
    assert answer.headers["content-type"] == "application/json"

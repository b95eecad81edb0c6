"""Who asks a studio: whom a gateway vouches for where there is one, its starter where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from easel.assertion import AUDIENCE_VARIABLE, KEYS_VARIABLE, OPEN_VARIABLE, Signer, key_set
from easel.studio import __main__
from easel.studio.authentication import authenticated
from easel.studio.files.access import FileAccess

SIGNER = Signer("s" * 40)


async def who(request: Request) -> Response:
    caller = FileAccess.of(request.headers)
    return JSONResponse({"owner": caller.owner, "operator": caller.operator, "member": caller.member})


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(FileAccess.of(websocket.headers).owner)
    await websocket.close()


APP = Starlette(
    routes=[
        Route("/who", who),
        Route("/easel/load", who),
        Route("/internal/ping", who),
        Route("/metrics", who),
        WebSocketRoute("/ws", echo),
    ]
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    path.write_text(key_set([SIGNER]))
    return path


def behind(keys: Path, **more: str) -> TestClient:
    return TestClient(authenticated(APP, "studio", {KEYS_VARIABLE: str(keys), **more}))


def test_whom_the_gateway_vouches_for_passes(keys: Path) -> None:
    """HTTP and WebSocket; whatever else the request says of itself is gone."""
    client, shown = behind(keys), {"X-Easel-Assertion": SIGNER.sign("ada", "studio"), "X-Easel-User": "eve"}
    assert client.get("/who", headers=shown).json() == {"owner": "ada", "operator": False, "member": True}
    with client.websocket_connect("/ws", headers=shown) as websocket:
        assert websocket.receive_text() == "ada"


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"X-Easel-Assertion": ""},
        {"X-Easel-Assertion": SIGNER.sign("ada", "other")},
        {"X-Easel-User": "eve"},
        {"X-Easel-Key": "x"},
    ],
)
def test_nobody_else_does(keys: Path, shown: dict[str, str]) -> None:
    """Not even to the load report: no header, no local; the answer says where to go."""
    client = behind(keys)
    for path in ("/who", "/easel/load", "/internal/ping", "/nowhere"):
        answer = client.get(path, headers=shown)
        assert answer.status_code == 403
        assert "the endpoint's own address" in answer.json()["detail"]
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws", headers=shown):
        raise AssertionError("it was let in")


@pytest.mark.parametrize(
    "content", [None, "", "{}", '{"keys": 7}', '{"keys": [{"kty": "OKP"}]}', '{"keys": []}']
)
def test_without_keys_nobody_passes(tmp_path: Path, content: str | None) -> None:
    """A gateway that has not written them, or half: closed, not open."""
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    shown = {"X-Easel-Assertion": SIGNER.sign("ada", "studio")}
    for client in (behind(path), TestClient(authenticated(APP, "studio", {KEYS_VARIABLE: ""}))):
        assert client.get("/who", headers=shown).status_code == 403


def test_new_keys_are_seen(tmp_path: Path) -> None:
    """A file that is replaced counts at once; a key that is not in it any more counts for nothing."""
    path, other = tmp_path / "keys.json", Signer("o" * 40)
    path.write_text(key_set([SIGNER]))
    client = behind(path)

    def ask(signer: Signer) -> int:
        return client.get("/who", headers={"X-Easel-Assertion": signer.sign("ada", "studio")}).status_code

    assert (ask(SIGNER), ask(other)) == (200, 403)
    new = tmp_path / "new"
    new.write_text(key_set([other]))
    new.replace(path)
    assert (ask(SIGNER), ask(other)) == (403, 200)


def test_what_a_host_asks_before_any_gateway_does(keys: Path) -> None:
    """Only the paths it was started with, and as nobody: it widens no right."""
    client = behind(keys, **{OPEN_VARIABLE: "/easel/load /internal/ping", AUDIENCE_VARIABLE: "studio"})
    for path in ("/easel/load", "/internal/ping"):
        answer = client.get(path, headers={"X-Easel-User": "@operator"}).json()
        assert (answer["operator"], answer["member"]) == (False, False)
        assert client.get(path, headers={"X-Easel-Assertion": "forged"}).status_code == 403
    assert client.get("/who").status_code == 403


@pytest.mark.parametrize("name", ["X-Easel-User", "x_easel_user", "X-Easel_User", "X-Easel-Assertion"])
def test_a_studio_started_by_hand_is_its_starters(name: str) -> None:
    """No gateway, one person: no header makes anybody of them."""
    client = TestClient(authenticated(APP, "studio", {}))
    assert client.get("/who", headers={name: "eve"}).json()["owner"] == "local"


@given(st.binary(max_size=400))
def test_no_bytes_are_an_assertion(keys: Path, shown: bytes) -> None:
    """Whatever they are: 403, and no error."""
    value = shown.translate(None, b"\r\n\0")
    assert behind(keys).get("/who", headers=[(b"X-Easel-Assertion", value)]).status_code == 403


def test_only_loopback_is_open_unasked(tmp_path: Path) -> None:
    """A host whose scripts know nothing of keys starts the newest image: it must end, with a sentence, and
    not take everybody for its owner."""
    assert __main__._KEYS == KEYS_VARIABLE
    command = [
        sys.executable,
        "-m",
        "easel.studio",
        "--host",
        "0.0.0.0",
        "--port",
        "1",
        "--home",
        str(tmp_path),
    ]
    environment = {name: value for name, value in os.environ.items() if "ASSERTION" not in name}
    image = Path(__file__).parents[2] / "image"
    done = subprocess.run(
        command, env={**environment, "PYTHONPATH": str(image)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "would own it" in done.stderr
    assert "--alone" in done.stderr


def test_metrics_are_for_the_gateway_alone(keys: Path) -> None:
    """What everybody does, added up, is shown to the gateway, whatever else is open: not to a caller whom
    the door let in, not to the console's operator, not without an assertion."""
    client = behind(keys, **{OPEN_VARIABLE: "/easel/load /metrics"})

    def asked(user: str, path: str = "/metrics") -> int:
        return client.get(path, headers={"X-Easel-Assertion": SIGNER.sign(user, "studio")}).status_code

    assert asked("@gateway") == 200
    assert [asked(user) for user in ("ada", "@operator", "anonymous/1", "gateway")] == [403] * 4
    assert asked("ada", "/metrics/") == 403
    assert client.get("/metrics").status_code == 403
    assert client.get("/easel/load").status_code == 200


def test_a_studio_alone_shows_its_metrics_to_its_owner() -> None:
    """Without a gateway, whoever reaches the port owns it."""
    assert TestClient(authenticated(APP, "studio", {})).get("/metrics").status_code == 200

"""A replica's own port, when a gateway started it."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from easel.studio.guard import Guard


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


routes = [Route("/easel/load", lambda request: PlainTextResponse("in")), WebSocketRoute("/ws", echo)]
client = TestClient(Guard(Starlette(routes=routes), "the key"))


def test_whoever_has_the_key_passes() -> None:
    """The gateway's poll, and what came through Caddy."""
    assert client.get("/easel/load", headers={"X-Easel-Key": "the key"}).text == "in"
    with client.websocket_connect("/ws", headers={"X-Easel-Key": "the key"}) as websocket:
        assert websocket.receive_text() == "hello"


@pytest.mark.parametrize("shown", [{}, {"X-Easel-Key": ""}, {"X-Easel-Key": "the"}, {"X-Easel-User": "eve"}])
def test_nobody_else_does(shown: dict[str, str]) -> None:
    """Not even to the load report; the answer says where to go."""
    answer = client.get("/easel/load", headers=shown)
    assert answer.status_code == 403
    assert "the endpoint's own address" in answer.json()["detail"]
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws", headers=shown):
        raise AssertionError("it was let in")


@pytest.mark.parametrize("shown", [b"\xff\xfe", b"the key\xc3\xa9"])
def test_a_key_that_is_no_text_is_refused(shown: bytes) -> None:
    """Compared as bytes: no letter can make the comparison fail."""
    assert client.get("/easel/load", headers=[(b"X-Easel-Key", shown)]).status_code == 403

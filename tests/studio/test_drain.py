"""A replica that is about to end first ends its work: what Kubernetes runs before SIGTERM."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from easel.studio import drain

BUSY = {"running": 1, "queued": 0, "idle_seconds": 0.0}
RESTING = {"running": 0, "queued": 0, "idle_seconds": 60.0}


class _Studio(ThreadingHTTPServer):
    """Answers `/easel/load` with what it is told, one after the other and the last for ever."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.loads = [RESTING]

    def load(self) -> dict[str, float]:
        """The next answer."""
        return self.loads.pop(0) if len(self.loads) > 1 else self.loads[0]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Studio)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.load()).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Studio]:
    monkeypatch.setattr(drain, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(drain, "QUIET_SECONDS", 0.1)
    server = _Studio()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def load_of(studio: _Studio) -> str:
    return f"http://127.0.0.1:{studio.server_port}/easel/load"


def test_a_studio_at_rest_is_left_at_once(studio: _Studio) -> None:
    """An idle pod goes within seconds."""
    began = time.monotonic()
    assert drain.wait_until_idle(load_of(studio), 30)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "busy",
    [BUSY, RESTING | {"queued": 3}, RESTING | {"idle_seconds": 0.0}],
    ids=["running", "queued", "transfer"],
)
def test_work_is_waited_for(studio: _Studio, busy: dict[str, float]) -> None:
    """A picture that is drawn, one that waits, a file that comes in."""
    studio.loads = [busy]
    assert not drain.wait_until_idle(load_of(studio), 0.4)
    studio.loads = [busy] * 5 + [RESTING]
    assert drain.wait_until_idle(load_of(studio), 30)


def test_what_comes_in_the_last_moment_is_waited_for_too(studio: _Studio) -> None:
    """The gateway may have sent it just before it knew."""
    studio.loads = [RESTING, BUSY]
    assert not drain.wait_until_idle(load_of(studio), 0.5)


def test_a_studio_that_is_gone_is_not_waited_for(studio: _Studio) -> None:
    """After a crash nothing listens: SIGTERM may come."""
    address = load_of(studio)
    studio.shutdown()
    studio.server_close()
    assert drain.wait_until_idle(address, 30)

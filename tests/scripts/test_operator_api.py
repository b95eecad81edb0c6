"""The client of the operator API, against answers it should never get."""

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from scripts.remote.operator_api import OperatorClient
from scripts.remote.transport import LocalTransport, NotAnswering, NotRunning
from scripts.settings import CommandRefused


class Answers(BaseHTTPRequestHandler):
    """Says what the test wants."""

    says: tuple[int, bytes] = (200, b"{}")
    asked: list[tuple[str, str, str]]

    def _answer(self) -> None:
        type(self).asked.append((self.command, self.path, self.headers["Authorization"]))
        status, body = type(self).says
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    Answers.asked = []
    Answers.says = (200, b"{}")
    server = HTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "run").mkdir()
    about = {"pid": os.getpid(), "url": f"http://127.0.0.1:{server.server_port}", "token": "secret"}
    (tmp_path / "run" / "gateway.json").write_text(json.dumps(about))
    yield tmp_path
    server.shutdown()
    server.server_close()


def test_every_request_shows_the_operators_token(home: Path) -> None:
    """The gateway's own address is open to the whole machine."""
    OperatorClient(LocalTransport(home)).status()
    Answers.says = (200, b'{"token": "new"}')
    assert OperatorClient(LocalTransport(home)).new_token("studio", "ci", None) == "new"
    OperatorClient(LocalTransport(home)).revoke("studio", "a/b")
    assert {each[2] for each in Answers.asked} == {"Bearer secret"}
    assert Answers.asked[-1][:2] == ("DELETE", "/api/tokens/studio/a%2Fb")


@pytest.mark.parametrize("key", ["detail", "error", "errors"])
def test_a_refusal_says_what_the_gateway_said(home: Path, key: str) -> None:
    """In its words, without the JSON around them."""
    Answers.says = (422, json.dumps({key: "there is no endpoint 'x'"}).encode())
    with pytest.raises(CommandRefused, match="there is no endpoint 'x'"):
        OperatorClient(LocalTransport(home)).status()


@pytest.mark.parametrize("says", [(500, b"oops"), (200, b"<html>"), (502, b""), (404, b"[1]"), (302, b"{}")])
def test_an_answer_that_makes_no_sense_is_refused(home: Path, says: tuple[int, bytes]) -> None:
    """Another program may have taken the port."""
    Answers.says = says
    with pytest.raises(CommandRefused, match=f"answered {says[0]} to GET /api/status"):
        OperatorClient(LocalTransport(home)).status()


def test_a_gateway_that_does_not_answer_is_told_apart(home: Path) -> None:
    """It is starting, or hangs; that is not the same as not there."""
    about = json.loads((home / "run" / "gateway.json").read_text())
    (home / "run" / "gateway.json").write_text(json.dumps(about | {"url": "http://127.0.0.1:9"}))
    with pytest.raises(NotAnswering):
        OperatorClient(LocalTransport(home)).status()


def test_no_gateway_is_said_with_what_to_do(tmp_path: Path) -> None:
    """`make up`, or another EASEL_HOME."""
    with pytest.raises(NotRunning, match="make up"):
        OperatorClient(LocalTransport(tmp_path))


def test_a_proxy_of_the_shell_never_sees_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's token stays on this machine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert OperatorClient(LocalTransport(home)).status() == {}

"""Fast answers are read in large blocks, small and broken ones as they come."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpcore
import pytest

from easel.models.fetch.block_backend import BLOCK, BlockBackend
from tests.certificates import self_signed

CRUMB = 16384


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS context, and a client's that trusts it."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    self_signed(certificate, key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=certificate)


@contextmanager
def connected(
    answer: Callable[[socket.socket], None], tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None
) -> Iterator[httpcore.NetworkStream]:
    """A stream to a server that sends what `answer` sends, and closes."""

    def serve() -> None:
        raw, _ = listening.accept()
        with tls[0].wrap_socket(raw, server_side=True) if tls else raw as peer:
            answer(peer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        stream = BlockBackend().connect_tcp("127.0.0.1", listening.getsockname()[1], 10)
        if tls:
            stream = stream.start_tls(tls[1], "127.0.0.1", 10)
        try:
            yield stream
        finally:
            stream.close()
            thread.join(10)


def until_the_end(stream: httpcore.NetworkStream) -> Iterator[bytes]:
    while block := stream.read(CRUMB, 10):
        yield block


@pytest.mark.parametrize("secured", [False, True])
def test_a_fast_answer_comes_in_blocks(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], secured: bool
) -> None:
    """Every byte in order, and far fewer blocks than records of TLS."""
    content = bytes(range(256)) * (8 * BLOCK // 256)
    with connected(lambda peer: peer.sendall(content), contexts if secured else None) as stream:
        blocks = list(until_the_end(stream))
    assert b"".join(blocks) == content
    assert len(blocks) < len(content) / CRUMB / 4
    assert max(map(len, blocks)) <= BLOCK


@pytest.mark.parametrize("secured", [False, True])
def test_little_is_handed_out_at_once(contexts: tuple[ssl.SSLContext, ssl.SSLContext], secured: bool) -> None:
    """The head of an answer, or the last crumb of a piece: nobody waits for what was not sent."""
    asked = threading.Event()

    def answer(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        asked.wait(10)
        peer.sendall(b"x" * (CRUMB + 1))
        asked.clear()
        asked.wait(10)

    with connected(answer, contexts if secured else None) as stream:
        assert stream.read(CRUMB, 10) == b"HTTP/1.1 200 OK\r\n\r\n"
        asked.set()
        last = b""
        while len(last) <= CRUMB:
            last += stream.read(CRUMB, 10)
        assert last == b"x" * (CRUMB + 1)
        asked.set()


def test_what_came_before_a_break_counts() -> None:
    """The bytes first, then the error: a piece goes on from there."""

    def answer(peer: socket.socket) -> None:
        peer.sendall(b"y" * (2 * CRUMB))
        time.sleep(0.2)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not an end

    came = []
    with connected(answer) as stream, pytest.raises(httpcore.ReadError):  # noqa: PT012 - when, is open
        while True:
            came.append(stream.read(CRUMB, 10))
    assert b"".join(came) == b"y" * (2 * CRUMB)


def test_silence_ends() -> None:
    """A server that says nothing more is given the timeout, and no less after a block than before one."""
    done = threading.Event()

    def answer(peer: socket.socket) -> None:
        peer.sendall(b"z" * CRUMB)
        done.wait(10)

    with connected(answer) as stream:
        assert stream.read(CRUMB, 10)
        began = time.monotonic()
        with pytest.raises(httpcore.ReadTimeout):
            stream.read(CRUMB, 0.5)
        assert time.monotonic() - began > 0.4
        done.set()

"""A download in trouble: refusals, pauses, packed answers, full disks, redirects without end."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from easel.models import (
    FetchLimits,
    FetchProgress,
    FileError,
    Kind,
    ModelRequest,
    SourceError,
    Store,
    Unreachable,
)
from easel.models.disk import write_at
from easel.models.fetch import partial_file
from easel.models.fetch.transfer import Transfer
from tests.models.conftest import QUICK, leftovers
from tests.models.downloads import CONTENT, MB, Make, target, wish
from tests.models.serving import Request, Serving, model_bytes


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "asks who you are"),
        (403, "refuses"),
        (404, "no such file"),
        (410, "taken away"),
        (418, "answers 418"),
    ],
)
def test_refusals_are_told_in_words(
    server: Serving, store: Store, intake: Make, status: int, words: str
) -> None:
    """Each status with what to do, and the server's own sentence; nothing is left behind."""
    server.put(
        "/dream.safetensors", b"", status=status, body=b'{"message": "because"}', type="application/json"
    )
    with pytest.raises(SourceError, match=rf"{words}.*because"):
        intake().add(wish(server))
    assert leftovers(store.root) == []


def test_who_refuses_is_asked_once(server: Serving, intake: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many connections there are, and however long the first takes to say that it was refused."""
    real = Transfer._fail

    def late(self: Transfer, error: BaseException) -> None:
        time.sleep(0.1)
        real(self, error)

    monkeypatch.setattr(Transfer, "_fail", late)
    refusing = server.put("/dream.safetensors", b"", status=403)
    with pytest.raises(SourceError, match="refuses"):
        intake().add(wish(server))
    assert refusing.requests == 1


def test_trouble_that_passes(server: Serving, store: Store, intake: Make) -> None:
    """503 and 429 are waited out, as long as the server says."""
    answers = [503, 429, 500]

    def busy(request: Request) -> bool:
        return request.answer(answers.pop(), Retry_After="0") if answers else False

    server.put("/dream.safetensors", CONTENT, before=busy)
    intake().add(wish(server))
    assert target(store).read_bytes() == CONTENT


def test_a_pause_that_the_server_wants_is_said(
    server: Serving, store: Store, intake: Make, events: list[FetchProgress]
) -> None:
    """A bar that stands still says why, and for how long."""
    answers = [429]

    def busy(request: Request) -> bool:
        return request.answer(answers.pop(), Retry_After="2") if answers else False

    server.put("/dream.safetensors", CONTENT, before=busy)
    intake().add(wish(server))
    said = [one.words for one in events if one.note]
    assert said
    assert said[0].endswith("; the server answers 429; asked again in 2 s")
    assert not events[-1].note


def test_trouble_that_does_not_pass(server: Serving, intake: Make) -> None:
    """After some tries it ends with the server's reason."""
    server.put("/dream.safetensors", b"", status=503)
    with pytest.raises(Unreachable, match="503"):
        intake().add(wish(server))


def test_nobody_listens(server: Serving, store: Store, intake: Make) -> None:
    """A server that is gone: said so, and nothing is left."""
    with pytest.raises(Unreachable, match="no connection"):
        intake().add(ModelRequest("http://127.0.0.1:9/dream.safetensors", Kind.LORA))
    assert leftovers(store.root) == []


def test_an_unknown_length(server: Serving, store: Store, intake: Make) -> None:
    """A server that says no size: the header does."""

    def chunked(request: Request) -> bool:
        send = request.handler
        send.send_response(200)
        send.send_header("Transfer-Encoding", "chunked")
        send.end_headers()
        for at in range(0, len(CONTENT), MB):
            block = CONTENT[at : at + MB]
            send.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
        send.wfile.write(b"0\r\n\r\n")
        return True

    server.put("/dream.safetensors", CONTENT, before=chunked)
    intake().add(wish(server))
    assert target(store).read_bytes() == CONTENT


def without_end(start: bytes, sent: list[int]) -> Callable[[Request], bool]:
    """Says no size, and sends zeros until nobody listens, or for 64 MB."""

    def chunked(request: Request) -> bool:
        send = request.handler
        send.send_response(200)
        send.send_header("Transfer-Encoding", "chunked")
        send.end_headers()
        with suppress(OSError):
            for block in (start, *[bytes(MB)] * 64):
                send.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
                sent.append(len(block))
        send.close_connection = True
        return True

    return chunked


def test_what_is_no_model_is_told_before_its_end(server: Serving, store: Store, intake: Make) -> None:
    """Also of a server that says no size: it could send without end, and nothing was looked at before."""
    sent: list[int] = []
    server.put("/dream.safetensors", CONTENT, before=without_end(b"<html>", sent))
    with pytest.raises(SourceError, match="dream"):
        intake().add(wish(server))
    assert sum(sent) < 48 * MB
    assert leftovers(store.root) == []


def test_who_fills_the_disk_without_a_size_leaves_nothing(
    server: Serving, store: Store, intake: Make, monkeypatch: Any
) -> None:
    """Nobody could go on from it, and nobody else could write a byte until somebody took it away."""

    def full(file: int, block: bytes, offset: int) -> None:
        if offset > 4 * MB:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_at(file, block, offset)

    monkeypatch.setattr(partial_file, "write_at", full)
    server.put("/dream.safetensors", CONTENT, before=without_end(CONTENT, []))
    with pytest.raises(FileError, match="disk is full"):
        intake().add(wish(server))
    assert leftovers(store.root) == []


def test_an_empty_file(server: Serving, intake: Make) -> None:
    """Nothing is no model."""
    server.put("/dream.safetensors", b"")
    with pytest.raises((SourceError, FileError), match="empty"):
        intake().add(wish(server))


def test_the_bandwidth_limit_holds(server: Serving, intake: Make) -> None:
    """All connections together keep to it."""
    server.put("/dream.safetensors", model_bytes(2 * MB))
    began = time.monotonic()
    intake(limits=FetchLimits(connections=4, bandwidth=2 * MB)).add(wish(server))
    assert time.monotonic() - began > 0.7


def test_a_full_disk_is_seen_before(server: Serving, store: Store, intake: Make, monkeypatch: Any) -> None:
    """The room is looked at before the first byte is fetched."""
    served = server.put("/dream.safetensors", CONTENT)
    real = os.statvfs

    def small(path: Path) -> os.statvfs_result:
        found = list(real(path))
        found[4] = 3 * MB // found[1]  # f_bavail
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", small)
    with pytest.raises(FileError, match=r"disk is full.*needs 6\.3 MB more"):
        intake().add(wish(server))
    # Connections that were open already may have had a first piece on its way.
    assert served.requests <= QUICK.connections
    assert leftovers(store.root) == []


def test_a_store_that_cannot_be_written(server: Serving, tmp_path: Path, intake: Make) -> None:
    """Said, with where."""
    server.put("/dream.safetensors", CONTENT)
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(FileError, match="cannot be written"):
        intake().add(wish(server))


def test_packed_answers_are_refused(server: Serving, intake: Make) -> None:
    """Bytes that a server packs cannot be put in their places."""
    server.put("/dream.safetensors", CONTENT, headers={"Content-Encoding": "gzip"})
    with pytest.raises(SourceError, match="packed"):
        intake().add(wish(server))


def test_redirects_without_end(server: Serving, intake: Make) -> None:
    """A loop of redirects ends."""
    server.put("/dream.safetensors", b"", before=lambda request: request.answer(302, Location=request.path))
    with pytest.raises(SourceError, match="redirects"):
        intake().add(wish(server))

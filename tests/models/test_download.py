"""The downloader against a server that misbehaves on order: whole and right, or absent with a reason."""

from __future__ import annotations

import threading
import time

import pytest

from easel.models import (
    CutShort,
    FetchLimits,
    FetchProgress,
    Interrupted,
    Kind,
    LyingHeader,
    NotAModel,
    Phase,
    SourceError,
    Store,
    Unreachable,
    WrongHash,
)
from easel.models.fetch.partial_journal import journal_of, part_of
from tests.models.conftest import leftovers
from tests.models.downloads import CONTENT, MB, Make, target, wish
from tests.models.serving import Request, Serving, model_bytes, sha256


def test_a_file_comes_whole_and_known(
    server: Serving, store: Store, intake: Make, events: list[FetchProgress]
) -> None:
    """By parallel ranges, each byte once; hashes, source and size are known at once; progress was told."""
    served = server.put("/dream.safetensors", CONTENT)
    added = intake().add(wish(server))
    assert target(store).read_bytes() == CONTENT
    assert added.fetched
    assert added.record.sha256 == sha256(CONTENT)
    assert added.record.autov3 == sha256(CONTENT[512:])[:12]
    assert served.sent == len(CONTENT)
    assert served.requests > 1
    assert leftovers(store.root) == []
    (entry,) = store.index(Kind.LORA)
    assert (entry.autov2, entry.source, entry.precision) == (
        sha256(CONTENT)[:10], f"{server.url}/dream.safetensors", "u8",
    )  # fmt: skip
    assert events[-1].phase is Phase.DONE
    assert events[-1].done == events[-1].total == len(CONTENT)


def test_what_is_there_is_not_fetched_again(server: Serving, intake: Make) -> None:
    """The same address a second time asks nobody."""
    served = server.put("/dream.safetensors", CONTENT)
    intake().add(wish(server))
    before = served.requests
    assert not intake().add(wish(server)).fetched
    assert served.requests == before


def test_a_cut_connection_goes_on(server: Serving, store: Store, intake: Make) -> None:
    """Answers that break off cost what was cut, no more."""
    served = server.put("/dream.safetensors", CONTENT, cut_after=[300_000, 10, 0, 700_000, 0, 999])
    intake().add(wish(server))
    assert target(store).read_bytes() == CONTENT
    assert served.sent <= len(CONTENT) * 1.1


def test_a_silent_server_is_asked_again(server: Serving, store: Store, intake: Make) -> None:
    """A connection that gives nothing for `stall` seconds is made anew."""
    served = server.put("/dream.safetensors", CONTENT, stall_after=[1])
    intake().add(wish(server))
    assert target(store).read_bytes() == CONTENT
    assert served.sent <= len(CONTENT) * 1.35  # what had been sent to a connection that was given up is lost


def test_a_slow_connection_is_made_anew(server: Serving, store: Store, intake: Make) -> None:
    """One connection at a crawl does not hold up the rest."""
    content = model_bytes(3 * MB)
    slow = threading.Event()

    def crawl(request: Request) -> bool:
        if slow.is_set() or not request.headers.get("range", "").startswith("bytes=0-"):
            return False
        slow.set()
        end = int(request.headers["range"].split("-")[1]) + 1
        send = request.handler
        send.send_response(206)
        send.send_header("Content-Range", f"bytes 0-{end - 1}/{len(content)}")
        send.send_header("Content-Length", str(end))
        send.send_header("ETag", '"one"')
        send.end_headers()
        for at in range(0, end, 1000):
            if server.closing.wait(0.1):
                break
            send.wfile.write(content[at : min(at + 1000, end)])
        return True

    server.put("/dream.safetensors", content, before=crawl, rate=600_000)
    began = time.monotonic()
    intake(limits=FetchLimits(connections=3, slow=1.0, pause=0.02)).add(wish(server))
    assert target(store).read_bytes() == content
    assert time.monotonic() - began < 60  # at the crawl the first piece alone would have taken 100 s


def test_a_server_without_ranges(server: Serving, store: Store, intake: Make) -> None:
    """200 in the place of 206: taken as it comes, over one connection."""
    served = server.put("/dream.safetensors", CONTENT, ranges=False)
    intake().add(wish(server))
    assert target(store).read_bytes() == CONTENT
    assert served.requests == 1


def test_a_server_without_ranges_that_breaks_off(server: Serving, store: Store, intake: Make) -> None:
    """It is begun anew, and given up with a reason if it never ends."""
    server.put("/dream.safetensors", CONTENT, ranges=False, cut_after=[2 * MB])
    intake().add(wish(server))
    assert target(store).read_bytes() == CONTENT
    server.put("/never.safetensors", CONTENT, ranges=False, cut_after=[MB] * 50)
    with pytest.raises(Unreachable, match="whole files only"):
        intake().add(wish(server, "/never.safetensors"))
    assert not target(store, "never.safetensors").exists()


def test_ranges_that_stop_being_served(server: Serving, store: Store, intake: Make) -> None:
    """A 200 in the middle: what is there is dropped and all of it taken from the start."""
    served = server.put("/dream.safetensors", CONTENT, cut_after=[MB])

    def forget(request: Request) -> bool:
        served.ranges = request.count < 3
        return False

    served.before = forget
    intake().add(wish(server))
    assert target(store).read_bytes() == CONTENT


def test_a_file_that_changes_on_the_way(server: Serving, store: Store, intake: Make) -> None:
    """Another ETag means another file: no byte of the old one is kept."""
    new = model_bytes(5 * MB, seed=1)
    served = server.put("/dream.safetensors", CONTENT)

    def change(request: Request) -> bool:
        if request.count == 3:
            served.content, served.etag = new, '"two"'
        return False

    served.before = change
    added = intake().add(wish(server))
    assert target(store).read_bytes() == new
    assert added.record.etag == '"two"'


def test_a_file_that_changes_forever(server: Serving, store: Store, intake: Make) -> None:
    """It ends, and says why."""
    served = server.put("/dream.safetensors", CONTENT)

    def change(request: Request) -> bool:
        served.etag = f'"{request.count}"'
        return False

    served.before = change
    with pytest.raises(SourceError, match="changes while it is fetched"):
        intake().add(wish(server))
    assert not target(store).exists()


def test_an_ended_link_is_asked_for_again(server: Serving, store: Store, intake: Make) -> None:
    """A signed address that ends in the middle is renewed where it came from; nothing is fetched twice."""
    links = []

    def sign(request: Request) -> bool:
        links.append(f"/signed?{len(links)}")
        return request.answer(307, Location=links[-1])

    def check(request: Request) -> bool:
        if request.path != links[-1] or (len(links) == 1 and request.count > 2):
            return request.answer(
                403, b"<Error><Code>AccessDenied</Code></Error>", Content_Type="application/xml"
            )
        return False

    server.put("/dream.safetensors", b"", before=sign)
    signed = server.put("/signed", CONTENT, before=check)
    intake().add(wish(server))
    assert target(store).read_bytes() == CONTENT
    assert 2 <= len(links) <= 5
    assert signed.sent == len(CONTENT)


def test_going_on_after_a_stop(
    server: Serving, store: Store, intake: Make, events: list[FetchProgress]
) -> None:
    """Stopped in the middle, the next one fetches what is missing and no more."""
    served = server.put("/dream.safetensors", CONTENT, rate=1.5 * MB)
    with pytest.raises(Interrupted, match="goes on from there"):
        intake(stopped=lambda: served.sent > 3 * MB).add(wish(server))
    assert not target(store).exists()
    assert journal_of(target(store)).exists()
    served.rate = 0
    intake().add(wish(server))
    assert target(store).read_bytes() == CONTENT
    assert served.sent <= len(CONTENT) * 1.1 + 4 * 65536


def test_a_journal_that_lies_is_not_believed(server: Serving, store: Store, intake: Make) -> None:
    """Garbage, or claims of bytes that the part does not have: everything is fetched."""
    server.put("/dream.safetensors", CONTENT)
    for text in ("", "{", "[]", '{"ranges": [[0, 99999999]], "key": "x", "size": 1, "etag": "", "host": ""}'):
        path = journal_of(target(store))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        part_of(target(store)).write_bytes(b"x" * 1000)
        intake().add(wish(server))
        assert target(store).read_bytes() == CONTENT
        target(store).unlink()
        store.forget(target(store))


def test_the_part_of_another_source_is_not_mixed_in(server: Serving, store: Store, intake: Make) -> None:
    """The same name from elsewhere begins anew."""
    served = server.put("/a/dream.safetensors", CONTENT, rate=2 * MB)
    with pytest.raises(Interrupted):
        intake(stopped=lambda: served.sent > 2 * MB).add(wish(server, "/a/dream.safetensors"))
    other = model_bytes(6 * MB, seed=7)
    server.put("/b/dream.safetensors", other)
    intake().add(wish(server, "/b/dream.safetensors"))
    assert target(store).read_bytes() == other


def test_wrong_bytes_are_thrown_away(server: Serving, store: Store, intake: Make) -> None:
    """A hash that does not fit leaves nothing, not even a part."""
    server.put("/dream.safetensors", CONTENT)
    with pytest.raises(WrongHash, match="thrown away"):
        intake().add(wish(server, sha256="ab" * 32))
    assert leftovers(store.root) == []
    assert not target(store).exists()


@pytest.mark.parametrize(
    ("body", "type_", "words"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>" + b" " * 5000, "text/html", "web page"),
        (b'{"error": "Unauthorized", "message": "log in first"}', "application/json", "log in first"),
        (b"PK\x03\x04" + bytes(5000), "application/octet-stream", "zip archive"),
        (b"\x80\x02}q\x00" + bytes(5000), "application/octet-stream", "pickle"),
        (b"version https://git-lfs.github.com/spec/v1\n", "text/plain", "git-lfs pointer"),
    ],
    ids=["html", "json", "zip", "pickle", "lfs"],
)
@pytest.mark.parametrize("kind", [None, Kind.LORA], ids=["to be told", "told"])
def test_what_is_no_model_is_refused(
    server: Serving, store: Store, intake: Make, body: bytes, type_: str, words: str, kind: Kind | None
) -> None:
    """A page, an error or a pickle under a model's name: refused, with what it is."""
    server.put("/dream.safetensors", body, type=type_)
    with pytest.raises(NotAModel, match=words):
        intake().add(wish(server, kind=kind))
    assert leftovers(store.root) == []
    assert store.files(Kind.LORA) == []


def test_no_model_is_refused_before_all_of_it_came(server: Serving, intake: Make) -> None:
    """A pickle of gigabytes is not fetched to see that it is one."""
    served = server.put("/dream.safetensors", b"\x80\x02}q\x00" + bytes(30 * MB), rate=4 * MB)
    with pytest.raises(NotAModel):
        intake().add(wish(server))
    assert served.sent < 15 * MB


def test_a_file_cut_short_at_its_source(server: Serving, store: Store, intake: Make) -> None:
    """MetadataIncompleteBuffer, in words: how much of how much there is, and what to do."""
    server.put("/dream.safetensors", CONTENT[: 2 * MB])
    with pytest.raises(CutShort, match=r"the file is cut short: 2\.1 of 6\.3 MB; download it again"):
        intake().add(wish(server))
    assert leftovers(store.root) == []


def test_bytes_too_many(server: Serving, intake: Make) -> None:
    """What follows the last tensor is a sign of damage."""
    server.put("/dream.safetensors", CONTENT + b"tail")
    with pytest.raises(LyingHeader, match="follow the last tensor"):
        intake().add(wish(server))

"""Listing and searching: the files are the truth, and the index spares opening them."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from easel.studio.gallery import Gallery, PictureId, day_index
from easel.studio.outputs import BESIDE, Outputs
from easel.studio.png import encode

PIXELS = Image.new("RGB", (8, 8), "#204080")


def picture(prompt: str, seed: int = 1) -> bytes:
    said = f"Steps: 2, Sampler: Euler, CFG scale: 7, Seed: {seed}, Size: 8x8, Model: starter"
    return encode(PIXELS, f"{prompt}\n{said}")


def put(outputs: Outputs, day: str, number: int, prompt: str = "a fox", owner: str = "ada") -> Path:
    """As if it had been saved on that day."""
    path = outputs.owned(owner) / day / f"{number:05}-{number}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(prompt, number))
    return path


def ids(page) -> list[str]:
    return [str(one.id) for one in page.pictures]


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The pictures that were opened to be read."""
    names: list[str] = []
    read = day_index.read_entry

    def noted(path: Path):
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(day_index, "read_entry", noted)
    return names


def test_pages_go_from_the_newest_to_the_oldest(outputs: Outputs) -> None:
    """Every picture once, over days, numbers beyond five digits after those below; the end says so."""
    for day in ("2026-01-01", "2026-01-02"):
        for number in (1, 2, 99_999, 100_000):
            put(outputs, day, number)
    gallery = Gallery(outputs)
    first = gallery.page("ada", limit=3)
    assert ids(first) == [f"2026-01-02/{number:05}-{number}.png" for number in (100_000, 99_999, 2)]
    seen, page = ids(first), first
    while page.next:
        page = gallery.page("ada", before=page.next, limit=3)
        seen += ids(page)
        assert page.total == 8
    assert len(seen) == len(set(seen)) == 8
    assert seen == sorted(seen, key=PictureId.parse, reverse=True)
    assert gallery.page("ada", limit=7).next
    assert gallery.page("ada", limit=8).next is None  # a full page may be the last
    assert gallery.page("bob").total == 0


def test_a_page_goes_on_after_what_was_deleted(outputs: Outputs) -> None:
    """The picture that a page begins after may be gone by then."""
    for number in range(1, 6):
        put(outputs, "2026-01-01", number)
    gallery = Gallery(outputs)
    page = gallery.page("ada", limit=2)
    gallery.delete("ada", [page.next])
    assert ids(gallery.page("ada", before=page.next, limit=2)) == ids(gallery.page("ada"))[1:3]


@pytest.mark.parametrize(
    ("words", "found"),
    [("FOX", 2), ("fox snow", 1), ("snow fox", 1), ('"red fox"', 1), ('"fox red"', 0), ("caf\u00e9", 1),
     ("cafe\u0301", 1), ("starter", 3), ("00", 0), ("  ", 3), ("%", 0), ("[a-z]", 0)],
)  # fmt: skip
def test_words_are_searched(outputs: Outputs, words: str, found: int) -> None:
    """All words, any order, any case, letters composed or not; quoted ones together; in prompts and names of
    checkpoints. Nothing in them is a pattern."""
    for number, prompt in enumerate(("a red fox", "a fox in snow", "un CAFE\u0301 noir"), start=1):
        put(outputs, "2026-01-01", number, prompt)
    assert Gallery(outputs).page("ada", words=words).total == found


def test_the_index_spares_opening(outputs: Outputs, opened: list[str]) -> None:
    """A picture is opened once, whoever lists it later; one saved here never."""
    for number in range(1, 4):
        put(outputs, "2026-01-01", number)
    first = Gallery(outputs)
    outputs.save("ada", picture("a whale"), 9)
    assert first.page("ada", words="whale").total == 1
    assert sorted(opened) == ["00001-1.png", "00002-2.png", "00003-3.png"]
    assert Gallery(Outputs(outputs.folder)).page("ada", words="fox").total == 3
    assert len(opened) == 3


@pytest.mark.parametrize(
    "broken", [b"\xff\x00", b'{"name": 7}\n', b'{"name":"00001-1.png","at":1', b"[]\n" * 9]
)
def test_a_broken_index_heals(outputs: Outputs, broken: bytes) -> None:
    """Whatever stands in it, listing tells what the files say, and adds it after that."""
    path = put(outputs, "2026-01-01", 1, "a fox")
    index = path.parent / BESIDE / "index.jsonl"
    index.parent.mkdir()
    index.write_bytes(broken)
    assert Gallery(outputs).page("ada", words="fox").total == 1
    assert Gallery(outputs).page("ada", words="fox").total == 1
    assert index.read_bytes().startswith(broken)
    assert b"a fox" in index.read_bytes()


def test_an_index_that_cannot_be_written_costs_time_only(outputs: Outputs) -> None:
    """Nothing fails where the index is no file."""
    path = put(outputs, "2026-01-01", 1)
    (path.parent / BESIDE).write_text("in the way")
    assert Gallery(outputs).page("ada", words="fox").total == 1


def test_what_another_replica_does_is_seen(outputs: Outputs) -> None:
    """Pictures that come and go by another process, and by hand."""
    here, there = Gallery(outputs), Outputs(outputs.folder)
    Gallery(there)
    assert here.page("ada").total == 0
    path = there.save("ada", picture("a whale"), 1)
    assert [one.entry.prompt for one in here.page("ada").pictures] == ["a whale"]
    path.unlink()
    assert here.page("ada").total == 0
    by_hand = put(outputs, path.parent.name, 1, "an owl")
    assert [one.entry.prompt for one in here.page("ada").pictures] == ["an owl"]
    by_hand.unlink()


def test_a_number_that_comes_again_is_another_picture(outputs: Outputs) -> None:
    """After its picture was deleted a name can come again, with another prompt, also for a later process."""
    gallery = Gallery(outputs)
    path = outputs.save("ada", picture("a whale"), 1)
    gallery.delete("ada", [PictureId.of(path.parent.name, path.name)])
    again = Outputs(outputs.folder)
    Gallery(again)
    assert again.save("ada", picture("an owl"), 1) == path
    for one in (gallery, Gallery(Outputs(outputs.folder))):
        assert [shown.entry.prompt for shown in one.page("ada").pictures] == ["an owl"]


def test_the_index_does_not_grow_for_ever(outputs: Outputs, monkeypatch) -> None:
    """Lines of pictures that are gone are dropped in the end."""
    monkeypatch.setattr(day_index, "_SPARE", 3)
    gallery = Gallery(outputs)
    for number in range(12):
        path = outputs.save("ada", picture(f"number {number}"), 1)
        if number < 11:
            gallery.delete("ada", [PictureId.of(path.parent.name, path.name)])
    fresh = Gallery(outputs)
    assert fresh.page("ada", words="number").total == 1
    index = path.parent / BESIDE / "index.jsonl"
    assert index.read_bytes().count(b"{") == 1
    assert Gallery(outputs).page("ada", words="11").total == 1


def test_a_broken_picture_is_listed(outputs: Outputs) -> None:
    """What cannot be read is shown as it is, so that it can be deleted."""
    path = put(outputs, "2026-01-01", 1)
    path.write_bytes(b"no picture")
    page = Gallery(outputs).page("ada")
    assert [(one.entry.width, one.entry.prompt) for one in page.pictures] == [(0, "")]


def test_links_lead_nowhere(outputs: Outputs) -> None:
    """A linked day and a linked picture show nothing of somebody else's."""
    secret = put(outputs, "2026-01-01", 1, "a secret", owner="bob")
    mine = put(outputs, "2026-01-02", 1)
    (mine.parent.parent / "2026-01-01").symlink_to(secret.parent)
    (mine.parent / "00002-2.png").symlink_to(secret)
    page = Gallery(outputs).page("ada", words="secret")
    assert (page.total, ids(page)) == (0, [])
    assert ids(Gallery(outputs).page("ada")) == ["2026-01-02/00001-1.png"]


def test_people_in_memory_are_bounded(outputs: Outputs, monkeypatch) -> None:
    """Whose pictures were asked for longest ago are forgotten, and read again."""
    monkeypatch.setattr("easel.studio.gallery.owned_pictures.MOST_KNOWN", 3)
    gallery = Gallery(outputs)
    for owner in ("ada", "bob", "eve"):
        for number in (1, 2):
            put(outputs, "2026-01-01", number, owner=owner)
        assert gallery.page(owner).total == 2
    assert gallery.page("eve").total == gallery.page("ada").total == 2
    assert len(gallery.pictures._indexes) <= 2


def test_ten_thousand_pictures(outputs: Outputs, opened: list[str]) -> None:
    """A page opens what it shows and no more, a search each picture once."""
    content = picture("a fox")
    for day in range(1, 11):
        folder = put(outputs, f"2026-01-{day:02}", 1).parent
        for number in range(2, 1001):
            (folder / f"{number:05}-{number}.png").write_bytes(content)
    gallery = Gallery(outputs)
    assert (gallery.page("ada").total, len(opened)) == (10_000, 60)
    assert gallery.page("ada", words="fox").total == 10_000
    assert gallery.page("ada", words="whale").total == 0
    assert len(opened) == 10_000


def test_saving_and_listing_at_once(outputs: Outputs) -> None:
    """Two replicas save while both list; in the end both know all."""
    replicas = [Outputs(outputs.folder), Outputs(outputs.folder)]
    galleries = [Gallery(one) for one in replicas]
    stop = threading.Event()

    def look(gallery: Gallery) -> None:
        while not stop.is_set():
            gallery.page("ada", words="fox")

    lookers = [threading.Thread(target=look, args=(one,)) for one in galleries]
    for one in lookers:
        one.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: replicas[n % 2].save("ada", picture("a fox", n), n), range(40)))
    stop.set()
    for one in lookers:
        one.join()
    assert [one.page("ada", words="fox").total for one in (*galleries, Gallery(outputs))] == [40, 40, 40]


def test_small_versions(outputs: Outputs) -> None:
    """At most 320 pixels a side in the picture's shape, made once, and anew for another picture."""
    gallery = Gallery(outputs)
    path = put(outputs, "2026-01-01", 1)
    path.write_bytes(encode(Image.new("RGB", (640, 320), "red"), "x"))
    first = gallery.small(path).result(30)
    small = path.parent / BESIDE / f"{path.name}.webp"
    assert small.read_bytes() == first
    with Image.open(small) as image:
        assert (image.format, image.size) == ("WEBP", (320, 160))
    made = small.stat().st_mtime_ns
    assert gallery.small(path).result(30) == first
    assert small.stat().st_mtime_ns == made
    later = time.time() + 5
    path.write_bytes(encode(Image.new("RGB", (64, 64), "blue"), "x"))
    os.utime(path, (later, later))
    assert gallery.small(path).result(30) != first
    path.write_bytes(b"no picture")
    os.utime(path, (later + 5, later + 5))
    with pytest.raises(ValueError, match="broken"):
        gallery.small(path).result(30)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        gallery.small(path).result(30)


def test_what_is_made_goes_with_the_picture(outputs: Outputs) -> None:
    """Deleting and retention leave nothing behind: no small version, no index, no day."""
    gallery = Gallery(outputs)
    one, other = put(outputs, "2026-01-01", 1), put(outputs, "2026-01-01", 2)
    for path in (one, other):
        gallery.small(path).result(30)
    gallery.page("ada")
    gallery.delete("ada", [PictureId.of("2026-01-01", one.name)])
    assert sorted(path.name for path in (other.parent / BESIDE).iterdir()) == [
        "00002-2.png.webp",
        "index.jsonl",
    ]
    os.utime(other, (1_000_000_000, 1_000_000_000))
    assert outputs.expire(3600, gallery.starred) == 1
    assert not other.parent.exists()
    assert outputs.recent("ada") == []

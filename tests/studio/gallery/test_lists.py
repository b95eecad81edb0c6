"""Stars, boards and shares: small documents that several tabs and replicas change."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from easel.studio.gallery import Gallery, GalleryFull, NoSuchShare, PictureId
from easel.studio.outputs import NotSaved, Outputs
from tests.studio.gallery.test_index import put

DAY = "2026-01-01"


def picture_id(number: int) -> PictureId:
    return PictureId.of(DAY, f"{number:05}-{number}.png")


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    found = Outputs(tmp_path)
    for number in range(1, 41):
        put(found, DAY, number)
    return found


def test_no_change_is_lost(outputs: Outputs) -> None:
    """Two replicas and many tabs star, and fill one board, at once: all of it is there."""
    galleries = [Gallery(outputs), Gallery(Outputs(outputs.folder))]
    board = galleries[0].boards.make("ada", "foxes").id

    def change(number: int) -> None:
        gallery = galleries[number % 2]
        gallery.star("ada", [picture_id(number)], True)
        gallery.boards.fill("ada", board, [picture_id(number)], [])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(1, 41)))
    for gallery in galleries:
        assert gallery.page("ada", starred=True).total == 40
        assert [len(one.pictures) for one in gallery.boards.all("ada")] == [40]
    assert sorted(path.name for path in outputs.owned("ada").iterdir()) == [".gallery.json", DAY]


def test_retention_spares_stars(outputs: Outputs) -> None:
    """However old, for as long as the picture has its star. Where stars cannot be read, nothing of that
    person goes."""
    gallery = Gallery(outputs)
    one, other = picture_id(1), picture_id(2)
    for id in (one, other):
        os.utime(gallery.pictures.find("ada", id), (1_000_000_000, 1_000_000_000))
    gallery.star("ada", [one], True)
    lists = outputs.owned("ada") / ".gallery.json"
    whole = lists.read_bytes()
    lists.write_text("no list")
    assert outputs.expire(3600, gallery.starred) == 0
    lists.write_bytes(whole)
    assert outputs.expire(3600, gallery.starred) == 1
    assert gallery.pictures.find("ada", one)
    gallery.star("ada", [one], False)
    assert outputs.expire(3600, gallery.starred) == 1


def test_what_is_gone_drops_out(outputs: Outputs) -> None:
    """By the person, by retention and by hand: out of stars, boards and shares."""
    gallery = Gallery(outputs)
    board = gallery.boards.make("ada", "foxes").id
    some = [picture_id(number) for number in (1, 2, 3, 4)]
    gallery.star("ada", some, True)
    gallery.boards.fill("ada", board, some, [])
    tokens = [gallery.shares.share("ada", picture=id).token for id in some]
    gallery.delete("ada", some[:1])
    old = gallery.pictures.find("ada", some[1])
    os.utime(old, (1_000_000_000, 1_000_000_000))
    gallery.star("ada", some[1:2], False)
    assert outputs.expire(3600, gallery.starred) == 1
    gallery.pictures.find("ada", some[2]).unlink()
    for one in (gallery, Gallery(outputs)):
        assert [shown.id for shown in one.page("ada", starred=True).pictures] == some[3:]
        assert [shown.id for shown in one.page("ada", board=board).pictures] == some[3:]
        assert [found.pictures for found in one.boards.all("ada")] == [[str(some[3])]]
        assert [share.picture for share in one.shares.all("ada")] == [str(some[3])]
        for token in tokens[:3]:
            with pytest.raises(NoSuchShare):
                one.shares.see(token)
        assert [id for id, _ in one.shares.see(tokens[3]).pictures] == some[3:]


def test_who_takes_a_deleted_ones_name_inherits_nothing(outputs: Outputs) -> None:
    """No star, no board, and above all no share: its link would show whoever has it another picture."""
    gallery = Gallery(outputs)
    one = picture_id(1)
    board = gallery.boards.make("ada", "foxes").id
    gallery.star("ada", [one], True)
    gallery.boards.fill("ada", board, [one], [])
    token = gallery.shares.share("ada", picture=one).token
    gallery.delete("ada", [one])
    put(outputs, DAY, 1)
    assert gallery.page("ada").total == 40
    assert gallery.page("ada", starred=True).total == gallery.page("ada", board=board).total == 0
    assert gallery.shares.all("ada") == []
    with pytest.raises(NoSuchShare):
        gallery.shares.see(token)


def test_a_token_is_nowhere_to_be_read_by_others(outputs: Outputs) -> None:
    """What says whose a share is holds the token's hash; the token is in its owner's file alone."""
    token = Gallery(outputs).shares.share("ada", picture=picture_id(1)).token
    named = [path for path in outputs.folder.rglob("*") if token in path.name]
    assert named == []
    holding = [path.name for path in outputs.folder.rglob("*.json") if token in path.read_text()]
    assert holding == [".gallery.json"]


def test_a_share_needs_its_owners_list(outputs: Outputs) -> None:
    """A file that says whose a token is gives nothing by itself."""
    gallery = Gallery(outputs)
    token = gallery.shares.share("ada", picture=picture_id(1)).token
    (pointer,) = (outputs.folder / ".shares").iterdir()
    kept = pointer.read_bytes()
    gallery.shares.end("ada", token)
    pointer.write_bytes(kept)
    with pytest.raises(NoSuchShare):
        gallery.shares.see(token)


def test_lists_are_bounded(outputs: Outputs, monkeypatch) -> None:
    """More than a person needs is refused, and changes nothing."""
    monkeypatch.setattr("easel.studio.gallery.gallery.MOST_STARS", 2)
    gallery = Gallery(outputs)
    gallery.star("ada", [picture_id(1), picture_id(2)], True)
    with pytest.raises(GalleryFull, match="3 pictures with a star"):
        gallery.star("ada", [picture_id(3)], True)
    assert gallery.page("ada", starred=True).total == 2


@pytest.mark.parametrize("content", ["{", "[]", '{"stars": 7}', '{"boards": [{}]}'])
def test_a_file_that_is_no_list_is_not_written_over(outputs: Outputs, content: str) -> None:
    """What cannot be read is nobody's to lose: it is said, and left there."""
    path = outputs.owned("ada") / ".gallery.json"
    path.write_text(content)
    with pytest.raises(NotSaved, match=r"\.gallery\.json"):
        Gallery(outputs).star("ada", [picture_id(1)], True)
    assert path.read_text() == content


def test_a_replica_that_died_with_the_lock_stops_nobody(outputs: Outputs) -> None:
    """The lock of a process that is gone is taken over."""
    gallery = Gallery(outputs)
    gallery.star("ada", [picture_id(1)], True)
    (outputs.owned("ada") / ".gallery.lock").write_text('{"nonce": "x"}')
    os.utime(outputs.owned("ada") / ".gallery.lock", (1_000_000_000, 1_000_000_000))
    gallery.star("ada", [picture_id(2)], True)
    assert gallery.page("ada", starred=True).total == 2

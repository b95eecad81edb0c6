"""Saved pictures: whole or not at all, each owner's own."""

from __future__ import annotations

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.studio import retention
from easel.studio.gallery import Gallery
from easel.studio.outputs import NotSaved, Outputs
from easel.studio.owner import folder_name, owner_of


def test_names_are_a1111s(tmp_path: Path) -> None:
    """Files are NNNNN-seed.png in a folder for the day, numbered on from what is there."""
    outputs = Outputs(tmp_path)
    first = outputs.save("ada", b"one", 5)
    assert first.name == "00001-5.png"
    assert Outputs(tmp_path).save("ada", b"two", 9).name == "00002-9.png"
    assert first.read_bytes() == b"one"


def test_newest_first(tmp_path: Path) -> None:
    """The gallery's order is the newest first, over days."""
    outputs = Outputs(tmp_path)
    for number in range(3):
        outputs.save("ada", b"", number)
    old = outputs.owned("ada") / "2001-01-01" / "00009-1.png"
    old.parent.mkdir()
    old.touch()
    (old.parent / "notes.txt").touch()
    names = [path.name for path in outputs.recent("ada")]
    assert names == ["00003-2.png", "00002-1.png", "00001-0.png", "00009-1.png"]
    assert len(outputs.recent("ada", 2)) == 2
    assert outputs.recent("bob") == []


def test_old_pictures_go(tmp_path: Path) -> None:
    """`storage.retention`: every owner's pictures of that age are deleted, and nothing else."""
    outputs = Outputs(tmp_path)
    young = outputs.save("ada", b"young", 1)
    old = [outputs.save(owner, b"old", 2) for owner in ("ada", "bob")]
    notes = young.parent / "notes.txt"
    notes.touch()
    for path in (*old, notes):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    past = outputs.owned("bob") / "2001-09-09"
    past.mkdir()
    assert outputs.expire(3600, lambda _: set()) == 2
    assert [path.exists() for path in (young, notes, *old)] == [True, True, False, False]
    assert not past.exists(), "a day without pictures goes too"
    assert outputs.expire(3600, lambda _: set()) == 0


def test_retention_looks_by_itself(tmp_path: Path) -> None:
    """A studio that runs deletes what grows old meanwhile."""
    outputs = Outputs(tmp_path)
    stop = retention.start(outputs, Gallery(outputs), 0.2)
    try:
        path = outputs.save("ada", b"", 1)
        until = time.monotonic() + 20
        while path.exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert not path.exists()
    finally:
        stop.set()


def test_many_at_once(tmp_path: Path) -> None:
    """Two replicas and many threads never write over each other's pictures."""
    two = [Outputs(tmp_path), Outputs(tmp_path)]
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda n: two[n % 2].save("ada", str(n).encode(), 1), range(40)))
    assert len(set(paths)) == 40
    assert sorted(int(path.read_bytes()) for path in paths) == list(range(40))
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "full"), (errno.EACCES, "cannot be written")])
def test_a_full_disk_is_told(tmp_path: Path, monkeypatch, number: int, words: str) -> None:
    """A picture that cannot be written is reported with the reason, and leaves nothing half-written."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NotSaved, match=words):
        Outputs(tmp_path).save("ada", b"x", 1)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch) -> None:
    """Where hard links are not to be had, pictures are saved all the same."""

    def fail(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", fail)
    assert Outputs(tmp_path).save("ada", b"x", 1).read_bytes() == b"x"


@given(st.text(max_size=300), st.text(max_size=300))
def test_folders_are_plain_and_apart(one: str, other: str) -> None:
    """No name of an owner leads out of the folder, and no two owners share one."""
    name = folder_name(one)
    assert name.strip(".") == name
    assert not set(name) & set("/\\\0")
    assert len(name) < 60
    assert one == other or folder_name(other) != name


@pytest.mark.parametrize(
    "tail", ["../{other}/1.png", "2026-01-01/../../{other}/1.png", "../../../secret", ".."]
)
def test_what_belongs(tmp_path: Path, tail: str) -> None:
    """A path belongs to an owner only if it is below the owner's folder when dots are resolved."""
    outputs = Outputs(tmp_path)
    mine = outputs.owned("ada")
    assert outputs.belongs("ada", mine / "2026-01-01" / "00001-1.png")
    assert not outputs.belongs("ada", mine / tail.format(other=outputs.owned("bob").name))


def test_who_nobody_is() -> None:
    """Without the gateway's header the owner is `local`."""
    assert owner_of({}) == owner_of({"x-easel-user": " "}) == "local"
    assert owner_of({"x-easel-user": "ada"}) == "ada"

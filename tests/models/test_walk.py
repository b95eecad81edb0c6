"""Walks of folders: each folder once, whatever leads to it, and always an end."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.models import Kind, Store, walk
from easel.models.model_folder import OddFolder, files_of
from easel.models.quota import StoreQuota

ROOT = Path(__file__).parents[2]
_FOLDERS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), max_size=5)
# Where a link is, and where it leads: from the top, by numbers of the folders that there are.
_LINKS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from("xyz"), st.integers(0, 9)), max_size=6)


@settings(max_examples=60, deadline=None)
@given(folders=_FOLDERS, links=_LINKS)
def test_each_folder_once(folders: list[list[str]], links: list[tuple[int, str, int]]) -> None:
    """Whatever folders and links there are: each real folder by the name that it really has, none twice."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name, "top")
        top.mkdir()
        for parts in folders:
            top.joinpath(*parts).mkdir(parents=True, exist_ok=True)
        real = sorted({top, *(Path(here) for here, _, _ in os.walk(top))})
        outside = Path(name, "outside")
        outside.mkdir()
        targets = [*real, Path(name), outside]
        for folder in (*real, outside):
            (folder / "file").write_bytes(b"")
        for where, link, target in links:
            path = real[where % len(real)] / link
            if not path.is_symlink():
                path.symlink_to(targets[target % len(targets)])
        followed = [here for here, _, _ in walk(top, follow=True)]
        assert len({here.stat().st_ino for here in followed}) == len(followed)
        assert {here for here in followed if here.resolve() == here} >= set(real)
        assert sorted(here for here, _, _ in walk(top)) == real


def test_what_is_there_is_seen_before_links(tmp_path: Path) -> None:
    """A link whose name comes first takes no file's own name away."""
    (tmp_path / "z").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to("../z")
    (tmp_path / "z" / "up").symlink_to("..")
    assert [here.relative_to(tmp_path).as_posix() for here, _, _ in walk(tmp_path, follow=True)] == [
        ".",
        "a",
        "z",
    ]


def test_bounds(tmp_path: Path) -> None:
    """Too deep and too many are left out, and the rest is told; a folder that is gone is empty."""
    (tmp_path / "1" / "2" / "3" / "4").mkdir(parents=True)
    assert len(list(walk(tmp_path, deepest=2))) == 3
    for number in range(20):
        (tmp_path / "1" / f"file{number}").touch()
    assert len(list(walk(tmp_path, most=10))) == 1
    assert list(walk(tmp_path / "nothing")) == []
    with pytest.raises(OddFolder):
        files_of_many(tmp_path / "many")


def files_of_many(folder: Path) -> None:
    folder.mkdir()
    for number in range(10_001):
        (folder / str(number)).touch()
    files_of(folder)


def test_nothing_walks_by_itself() -> None:
    """One function knows how to end: nobody else walks a tree, but what mends modes by descriptors, which
    follows no link."""
    own = re.compile(r"os\.f?walk\(|\.rglob\(|\.walk\(|glob\([^)]*\*\*/")
    sources = [path for top in ("image/easel", "scripts") for path in (ROOT / top).rglob("*.py")]
    assert [path.name for path in sources if own.search(path.read_text())] == ["permissions.py"]


@pytest.mark.parametrize("target", [".", "..", "../..", "../../.."])
def test_a_store_with_a_loop(tmp_path: Path, target: str) -> None:
    """A link to its own folder, or to one above, doubles nothing and ends."""
    root = tmp_path / "home" / "models"
    folder = root / "Lora" / "sub"
    folder.mkdir(parents=True)
    (folder / "l").symlink_to(target)
    (folder / "style.safetensors").write_bytes(b"12345")
    assert [file.name for file in Store(root, hashing=False).files(Kind.LORA)] == ["sub/style.safetensors"]
    assert StoreQuota(root, 100).used() == 5

"""The folders of EASEL_HOME, and the starter in its place."""

import os
from pathlib import Path

import pytest

from scripts.local import folders
from scripts.settings import CommandRefused

NAME = "easel-starter.safetensors"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folders.make(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "starter").mkdir()
    (tmp_path / "starter" / NAME).write_bytes(b"the starter")
    return tmp_path / "starter"


def placed(home: Path) -> Path:
    return home / "models" / "Stable-diffusion" / NAME


def test_the_starter_is_there_after_the_first_start(home: Path, source: Path) -> None:
    """A fresh clone draws without a download."""
    assert folders.place_starters(home, source) == []
    assert placed(home).read_bytes() == b"the starter"


def test_the_second_start_copies_nothing(home: Path, source: Path) -> None:
    """Two numbers are compared, nothing is read or written."""
    folders.place_starters(home, source)
    before = placed(home).stat().st_ino
    assert folders.place_starters(home, source) == []
    assert placed(home).stat().st_ino == before


def test_a_file_of_the_users_is_never_written_over(home: Path, source: Path) -> None:
    """Whatever it is called; it is said, once a start."""
    placed(home).write_bytes(b"mine")
    [note] = folders.place_starters(home, source)
    assert "is not the starter that came with easel; it stays as it is" in note
    assert placed(home).read_bytes() == b"mine"


def test_a_starter_that_the_user_changed_stays(home: Path, source: Path) -> None:
    """Merged, trained further: it is theirs now."""
    folders.place_starters(home, source)
    placed(home).write_bytes(b"the starter, trained further")
    (source / NAME).write_bytes(b"a newer starter")
    assert len(folders.place_starters(home, source)) == 1
    assert placed(home).read_bytes() == b"the starter, trained further"


def test_a_newer_starter_takes_the_place_of_ours(home: Path, source: Path) -> None:
    """An upgrade of easel brings its starter along."""
    folders.place_starters(home, source)
    (source / NAME).write_bytes(b"a newer starter")
    assert folders.place_starters(home, source) == []
    assert placed(home).read_bytes() == b"a newer starter"


def test_the_same_starter_from_another_clone_is_ours(home: Path, source: Path) -> None:
    """A new clone has new times; what counts is what is in the file."""
    folders.place_starters(home, source)
    os.utime(source / NAME, (1, 1))
    assert folders.place_starters(home, source) == []


def test_a_start_that_was_killed_leaves_no_half_file(
    home: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name appears when the file is whole."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        folders.place_starters(home, source)
    assert not placed(home).exists()
    assert not list(home.rglob("*.part.safetensors"))


def test_without_a_starter_easel_still_starts(home: Path, tmp_path: Path) -> None:
    """A wheel or a shallow copy may have none."""
    assert folders.place_starters(home, tmp_path / "none") == []


def test_what_runs_is_private(home: Path) -> None:
    """`run/` holds the operator's token."""
    assert (home / "run").stat().st_mode & 0o777 == 0o700


def test_a_home_whose_parent_is_missing_is_refused(tmp_path: Path) -> None:
    """A disk that is not mounted must not be filled in on the one below it."""
    with pytest.raises(CommandRefused, match="there is no folder"):
        folders.make(tmp_path / "disk" / "home")


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    """What the system says, with the path."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").write_text("")
    with pytest.raises(CommandRefused, match=r"home/models.*: (not a directory|file exists)"):
        folders.make(tmp_path / "home")


def test_a_home_is_held_by_one(home: Path) -> None:
    """And free again when that one has ended."""
    first = folders.hold(home)
    with pytest.raises(CommandRefused, match=f"process {os.getpid()}"):
        folders.hold(home)
    first.close()
    folders.hold(home).close()

"""What lies below EASEL_HOME is for its owner alone: from the start, and mended where it was not."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from easel.gateway.disk.permissions import mend
from tests.gateway.conftest import House, until


def open_to_others(root: Path) -> list[str]:
    """What below `root`, it too, others can use; symbolic links have no mode of their own."""
    found = []
    for path in (root, *root.rglob("*")):
        entry = path.lstat()
        if not stat.S_ISLNK(entry.st_mode) and entry.st_mode & 0o077:
            found.append(f"{path.relative_to(root)} {stat.filemode(entry.st_mode)}")
    return found


def test_all_of_a_home_is_its_owners(build: Callable[..., House], tmp_path: Path) -> None:
    """A gateway over an old home that everybody could read, with links that lead out of it: after its start
    nobody else can read anything there, and what is elsewhere is as it was."""
    house = build(studio={})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "model").write_text("x")
    for path in ("models/Lora/a.safetensors", "outputs/studio/kim/1.png", "logs/old.log", "tokens.json.old"):
        (house.root / path).parent.mkdir(parents=True, exist_ok=True)
        (house.root / path).write_text("x")
    (house.root / "models" / "linked").symlink_to(outside)
    (house.root / "models" / "one").symlink_to(outside / "model")
    os.link(outside / "model", house.root / "models" / "same")
    for path in (house.root, outside, *house.root.rglob("*"), outside / "model"):
        if not path.is_symlink():
            path.chmod(0o777 if path.is_dir() else 0o666)
    house.start()
    assert house.caller("studio").get("/").status_code == 200
    until(lambda: open_to_others(house.root) == ["models/same -rw-rw-rw-"], 10)
    assert outside.stat().st_mode & 0o777 == 0o777
    assert (outside / "model").stat().st_mode & 0o777 == 0o666
    assert (house.root / "logs" / "caddy.log").exists()


@given(st.lists(st.integers(0, 0o777), min_size=1, max_size=6))
def test_only_others_lose_rights(tmp_path_factory, modes: list[int]) -> None:  # type: ignore[no-untyped-def]
    """Whatever modes there were, the owner's stay, the others' go; a second look has nothing to do."""
    root = tmp_path_factory.mktemp("modes")
    for number, mode in enumerate(modes):
        path = root / str(number)
        path.write_text("x")
        path.chmod(mode | 0o400)
    mend(root)
    for number, mode in enumerate(modes):
        assert (root / str(number)).stat().st_mode & 0o777 == (mode | 0o400) & 0o700
    assert mend(root).closed == 0


def test_a_large_store_is_looked_at_within_bounds(tmp_path: Path) -> None:
    """So many entries and no more, links to itself included; the rest is for the next start."""
    for folder in range(20):
        (tmp_path / str(folder)).mkdir()
        for number in range(20):
            (tmp_path / str(folder) / str(number)).touch()
        (tmp_path / str(folder) / "self").symlink_to(".")
    began = time.monotonic()
    found = mend(tmp_path, most=100)
    assert not found.whole
    assert 100 <= found.seen <= 150
    assert mend(tmp_path).whole
    assert not open_to_others(tmp_path)
    assert time.monotonic() - began < 5
    assert mend(tmp_path / "none").whole
    assert not mend(tmp_path, stop=lambda: True).whole

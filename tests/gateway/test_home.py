"""EASEL_HOME's sockets."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest

from easel.gateway.home import Home


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    found = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(found))
    return found


def test_a_deep_home_listens_elsewhere_and_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    """Below a home of any depth sockets can be made, for the owner alone; a gateway that ended leaves no
    temporary folder: each start had left two."""
    home = Home(tmp_path / ("a" * 50) / ("b" * 50))
    paths = [home.socket("caddy.sock"), home.socket("relay.sock")]
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        one.bind(str(paths[0]))
        other.bind(str(paths[1]))
    (folder,) = temporary.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    home.leave()
    home.leave()
    assert not list(temporary.iterdir())
    temporary.rmdir()


def test_a_home_nearby_has_its_sockets_itself(temporary: Path) -> None:
    """Where the path is short enough nothing is made anywhere else, and nothing of the home is taken away."""
    home = Home(temporary)
    assert home.socket("caddy.sock") == temporary / "run" / "caddy.sock"
    home.prepare()
    home.leave()
    assert home.run.is_dir()

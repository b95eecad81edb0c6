"""Reading what `infra` rendered."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from easel.gateway import config_watch
from easel.gateway.config import read
from easel.gateway.config_watch import ConfigWatch
from easel.gateway.errors import ConfigError

TEAM = {
    "team": "local",
    "runs_on": "local",
    "domain": None,
    "console": {"port": 7859},
    "endpoints": ["studio"],
}
STUDIO = {
    "name": "studio", "shape": "cpu.small", "port": 7860, "replicas": {"min": 1, "max": 1}, "warm": 0,
    "idle": 900, "public": False, "concurrency": 8,
    "timeouts": {"wake": 900, "request": 3600}, "models": [], "env": {},
}  # fmt: skip


def write(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.json").write_text(text)
    return folder


def test_the_contract_is_read(tmp_path: Path) -> None:
    """The very files of docs/architecture.md."""
    config = read(write(tmp_path, team=TEAM, studio=STUDIO))
    assert config.team.console.port == 7859
    assert config.endpoints["studio"].replicas.max == 1
    assert config.endpoints["studio"].timeouts.wake == 900
    assert config.ports() == {7859: "console", 7860: "studio"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 0}, r"config/studio.json: port: .*greater than or equal to 1 \(it is 0\)"),
        ({"port": "x"}, "port"),
        ({"port": 7859}, "also the port of console"),
        ({"replicas": {"min": 2, "max": 1}}, r"max \(1\) is below min \(2\)"),
        ({"replicas": {"min": -1}}, "replicas.min"),
        ({"idle": 0}, "idle"),
        ({"idle": "soon"}, "idle"),
        ({"timeouts": {"wake": -1}}, "timeouts.wake"),
        ({"concurrency": 0}, "concurrency"),
        ({"max_body": 0}, "max_body"),
        ({"public": "perhaps"}, "public"),
        ({"cors": ["*"]}, "cors.0"),
        ({"cors": ["https://a.example {"]}, "cors.0"),
        ({"env": {"A": 1}}, "env.A"),
        ({"name": "other"}, "must be the file's name"),
        ({"name": "St udio"}, "small letters, digits and hyphens"),
        ({"name": "x{$HOME}"}, "small letters"),
        ({"name": None}, "name"),
    ],
)
def test_faults_name_file_place_and_value(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """An error says which file, where in it, what stands there and what is allowed."""
    with pytest.raises(ConfigError, match=said) as caught:
        read(write(tmp_path, team=TEAM, studio=STUDIO | change))
    assert "config/studio.json" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '{"endpoints": "studio"}'])
def test_broken_files_are_told(tmp_path: Path, text: str) -> None:
    """Half a file, no file or another file: the reason is one sentence, not a traceback."""
    with pytest.raises(ConfigError, match=r"config/team\.json"):
        read(write(tmp_path, team=text))


def test_missing_files_are_told(tmp_path: Path) -> None:
    """A missing file says who writes it; an endpoint without one names the nearest there is."""
    with pytest.raises(ConfigError, match="easel up"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'studio'"):
        read(write(tmp_path, team=TEAM | {"endpoints": ["studoi"]}, studio=STUDIO))


def test_reserved_name(tmp_path: Path) -> None:
    """An endpoint named `console` would share the console's tokens and cookies."""
    with pytest.raises(ConfigError, match="and none of console, team"):
        read(write(tmp_path, team=TEAM | {"endpoints": ["console"]}, console=STUDIO | {"name": "console"}))


@pytest.mark.parametrize("tick", [60.0, 0.0], ids=["just written", "long there"])
def test_changes_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tick: float) -> None:
    """Every change of content is told once, also one that keeps size and time; a file that is written as it
    was is none."""
    monkeypatch.setattr(config_watch, "_TICK", tick)
    folder = write(tmp_path, team=TEAM, studio=STUDIO)
    watch = ConfigWatch(folder)
    for port in (7861, 7862):
        time.sleep(0.02)  # the clock of the file system goes on
        write(tmp_path, studio=STUDIO | {"port": port})
        os.utime(folder / "studio.json", (1, 1))
        assert watch.changed()
        assert not watch.changed()
    write(tmp_path, studio=STUDIO | {"port": 7862})
    assert not watch.changed()
    (folder / "studio.json").unlink()
    assert watch.changed()


@pytest.mark.parametrize("bind", ["127.0.0.1 {", "a\nb", "a\n", "$HOME", "{env.HOME}"])
def test_addresses_that_would_be_configuration_are_refused(tmp_path: Path, bind: str) -> None:
    """Where to listen is an address and nothing more; the Caddyfile refuses it too."""
    with pytest.raises(ConfigError, match="bind"):
        read(write(tmp_path, team=TEAM | {"bind": bind}, studio=STUDIO))

"""The files that gateway and studio follow."""

import json
import os
from pathlib import Path

import pytest

from infra.render import ports_of, render
from infra.spec import Spec
from tests.infra.stacks import stack

LOCAL = {"runs_on": "local"}


def local(folder: Path, *names: str) -> Spec:
    return stack(folder, {name: {"shape": "cpu.small"} for name in names}, LOCAL)


def test_the_files_hold_what_the_contract_says(tmp_path: Path) -> None:
    """docs/architecture.md, Configuration, to the letter."""
    spec = stack(
        tmp_path,
        {"studio": {"shape": "cpu.small", "replicas": {"min": 1, "max": 1}, "idle": "15m"}},
        LOCAL,
    )
    render(spec, tmp_path / "config", {"studio": 7860}, 7859)
    assert json.loads((tmp_path / "config" / "team.json").read_text()) == {
        "team": "art",
        "runs_on": "local",
        "domain": None,
        "console": {"port": 7859},
        "endpoints": ["studio"],
    }
    assert json.loads((tmp_path / "config" / "studio.json").read_text()) == {
        "name": "studio",
        "shape": "cpu.small",
        "port": 7860,
        "replicas": {"min": 1, "max": 1},
        "warm": 0,
        "idle": 900,
        "public": False,
        "concurrency": 8,
        "timeouts": {"wake": 900, "request": 3600},
        "models": [],
        "env": {},
    }


def test_ports_go_up_in_the_order_of_the_file(tmp_path: Path) -> None:
    """The first endpoint has EASEL_PORT, each further one the next."""
    assert ports_of(local(tmp_path, "b", "a", "c"), 9000) == {"b": 9000, "a": 9001, "c": 9002}


def test_a_link_that_was_handed_out_stays_right(tmp_path: Path) -> None:
    """While easel runs, an endpoint keeps its port when another comes before it or goes."""
    spec = local(tmp_path, "new", "c", "a")
    assert ports_of(spec, 9000, kept={"a": 9000, "b": 9001, "c": 9002}) == {"new": 9001, "c": 9002, "a": 9000}


def test_removed_endpoints_leave_no_file(tmp_path: Path) -> None:
    """The gateway would go on with an endpoint whose file is there."""
    config = tmp_path / "config"
    render(local(tmp_path, "a", "b"), config, {"a": 1, "b": 2}, 3)
    render(local(tmp_path, "b"), config, {"b": 2}, 3)
    assert sorted(os.listdir(config)) == ["b.json", "team.json"]


def test_what_has_not_changed_is_not_written(tmp_path: Path) -> None:
    """The gateway follows changes; a file that is written again would be one."""
    config, spec = tmp_path / "config", local(tmp_path, "a")
    render(spec, config, {"a": 1}, 3)
    before = {path.name: path.stat().st_ino for path in config.iterdir()}
    render(spec, config, {"a": 1}, 3)
    assert {path.name: path.stat().st_ino for path in config.iterdir()} == before


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle, the old file is there, and nothing else."""
    config = tmp_path / "config"
    render(local(tmp_path, "a"), config, {"a": 1}, 3)
    before = (config / "a.json").read_text()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        render(local(tmp_path, "a"), config, {"a": 2}, 3)
    assert (config / "a.json").read_text() == before
    assert sorted(os.listdir(config)) == ["a.json", "team.json"]

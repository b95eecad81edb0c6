"""What `easel doctor` makes of machines that are not like this one."""

from pathlib import Path

import pytest

from scripts.checks import machine
from scripts.settings import Settings


def here(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "home", 7860, tmp_path / "Pulumi.x.yaml")


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("free", "verdict"), [(1, "failed"), (3, "warning"), (16, "ok")])
def test_memory_is_judged_by_what_is_free(tmp_path: Path, free: int, verdict: str) -> None:
    """A machine of 64 GiB with 1 free draws nothing."""
    table = tmp_path / "meminfo"
    table.write_text(f"MemTotal:  67108864 kB\nMemFree:  1 kB\nMemAvailable:  {free * 2**20} kB\n")
    assert machine.memory(table).verdict == verdict


@pytest.mark.parametrize("text", ["", "MemTotal: many kB\n"])
def test_memory_that_cannot_be_read_is_not_guessed(tmp_path: Path, text: str) -> None:
    """On macOS there is no /proc."""
    table = tmp_path / "meminfo"
    if text:
        table.write_text(text)
    assert machine.memory(table).seen == "not known on this system"


@pytest.mark.parametrize(
    ("says", "verdict", "seen"),
    [
        ("echo v2.11.7 h1:abc", "ok", "v2.11.7"),
        ("echo 2.12.0", "ok", "2.12.0"),
        ("echo v2.10.2", "failed", "v2.10.2 at"),
        ("echo v2.11.6", "failed", "take 2.11.7 or newer"),
        ("exit 1", "failed", "does not start"),
        ("echo hello", "failed", "does not start"),
    ],
)
def test_a_caddy_that_lets_forged_headers_through_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, verdict: str, seen: str
) -> None:
    """Earlier 2.10 and 2.11 do."""
    program(tmp_path, "caddy", says)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    check = machine.caddy()
    assert check.verdict == verdict
    assert seen in f"{check.seen} {check.advice}"


@pytest.mark.parametrize(
    ("says", "verdict", "seen"),
    [
        ("echo 'NVIDIA L4, 23034 MiB, 580.1'", "ok", "NVIDIA L4"),
        ("exit 9", "warning", "finds no GPU"),
        ("", "warning", "finds no GPU"),
    ],
)
def test_a_driver_without_a_gpu_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, verdict: str, seen: str
) -> None:
    """The commonest reason why a GPU machine draws on the CPU."""
    program(tmp_path, "nvidia-smi", says)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    check = machine.gpu()
    assert check.verdict == verdict
    assert seen in check.seen


def test_pickles_among_the_models_are_named(tmp_path: Path) -> None:
    """They are not in the selector, and nobody would know why."""
    folder = tmp_path / "home" / "models" / "Stable-diffusion"
    folder.mkdir(parents=True)
    (folder / "old.ckpt").write_bytes(b"")
    (folder / "new.safetensors").write_bytes(b"")
    check = machine.models(here(tmp_path))
    assert check.verdict == "warning"
    assert "1 checkpoints; not used: old.ckpt" in check.seen


def test_disk_is_looked_at_where_data_will_go(tmp_path: Path) -> None:
    """Before the folder is there, at the nearest one above it."""
    check = machine.disk(here(tmp_path))
    assert str(tmp_path) in check.seen


@pytest.mark.parametrize(
    ("runs_on", "compiles", "programs", "verdict", "seen"),
    [
        ("local", True, ("g++",), "ok", "there, for studio"),
        ("local", True, (), "warning", "no C++ compiler: g++"),
        ("local", True, ("nvidia-smi", "g++"), "warning", "no C compiler: gcc / clang"),
        ("local", False, (), None, ""),
        ("instances", True, (), None, ""),
    ],
)
def test_a_compiler_is_looked_for_where_blocks_are_compiled_here(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    runs_on: str,
    compiles: bool,
    programs: tuple[str, ...],
    verdict: str | None,
    seen: str,
) -> None:
    """Without one `compile: true` changes nothing, and nobody would know; elsewhere the image brings it."""
    bin = tmp_path / "bin"
    bin.mkdir()
    for name in programs:
        program(bin, name, "exit 0")
    monkeypatch.setenv("PATH", str(bin))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    domain = ", domain: art.example.com" if runs_on == "instances" else ""
    (tmp_path / "Pulumi.x.yaml").write_text(
        f"config:\n  aws:region: us-east-1\n  easel:team: {{runs_on: {runs_on}{domain}}}\n"
        f"  easel:endpoints:\n    studio: {{shape: cpu.small, compile: {str(compiles).lower()}}}\n"
    )
    found = [(check.verdict, check.seen) for check in machine.compiler(here(tmp_path))]
    assert [one for one, _ in found] == ([verdict] if verdict else [])
    assert all(seen in words for _, words in found)


def test_a_domain_that_another_stack_has_is_told(tmp_path: Path) -> None:
    """Beside each other in one folder, as teams of one repository are."""
    text = (
        "config:\n  easel:team: {runs_on: instances, domain: a.example.com}\n"
        "  easel:endpoints: {studio: {shape: gpu.t4}}\n"
    )
    (tmp_path / "Pulumi.x.yaml").write_text(text)
    assert machine.stack(here(tmp_path)).verdict == "ok"
    (tmp_path / "Pulumi.y.yaml").write_text(text)
    found = machine.stack(here(tmp_path))
    assert found.verdict == "failed"
    assert "is the domain of Pulumi.y.yaml too" in found.advice

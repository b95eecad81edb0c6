"""Where what a compiler makes is kept between two starts."""

from __future__ import annotations

from pathlib import Path

from easel.studio.__main__ import compiler_cache


def test_it_is_below_the_home_or_with_copies_of_models(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("EASEL_CACHE", raising=False)
    assert compiler_cache(tmp_path) == {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache" / "compiled")}
    monkeypatch.setenv("EASEL_CACHE", str(tmp_path / "disk"))
    assert compiler_cache(tmp_path) == {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "disk" / "compiled")}
    assert (tmp_path / "disk" / "compiled").is_dir()


def test_what_cannot_be_written_keeps_no_studio_from_starting(tmp_path: Path, monkeypatch) -> None:
    """A container's root is read-only: its studio did not start, whether it compiles or not."""
    monkeypatch.delenv("EASEL_CACHE", raising=False)
    (tmp_path / "cache").write_text("no folder")
    assert compiler_cache(tmp_path) == {}

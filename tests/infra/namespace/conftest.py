"""KEDA's chart is not fetched by tests."""

from pathlib import Path

import pytest

import infra.keda


@pytest.fixture(autouse=True)
def chart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file in its place, for what only passes its path on."""
    monkeypatch.setattr(infra.keda, "chart", lambda: tmp_path / "keda.tgz")

"""A cloud for each test, and files to bake."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.bake.cloud import SIGNED, Cloud, emptied, server


@pytest.fixture(scope="session")
def lasting_cloud() -> Iterator[Cloud]:
    with server() as it:
        yield it


def signed(patch: pytest.MonkeyPatch) -> None:
    """Credentials of the cloud's account, and no others, in the environment."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        patch.delenv(name, raising=False)
    for name, value in SIGNED.items():
        patch.setenv(name, value)


@pytest.fixture
def cloud(lasting_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    signed(monkeypatch)
    return emptied(lasting_cloud)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small image folder."""
    root = tmp_path / "image"
    for name, text in {
        "Dockerfile": "FROM scratch",
        "buildspec.yml": "version: 0.2",
        ".dockerignore": "x",
        "easel/app.py": "print('draw')",
        "easel/ui/page.css": "body {}",
        "requirements/gateway.txt": "click==8",
        "starter/a.safetensors": "weights",
        "starter/README.md": "a card",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root

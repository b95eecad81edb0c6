"""Sends files by tus, as a client does."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import httpx
from starlette.testclient import TestClient

TUS = {"Tus-Resumable": "1.0.0"}
Asked = Callable[..., TestClient]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def begin(client: TestClient, length: int, **said: str) -> httpx.Response:
    told = ",".join(f"{key} {b64(value)}" for key, value in {"filename": "style.safetensors", **said}.items())
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": told}
    return client.post("/files/uploads", headers=headers)


def patch(client: TestClient, url: str, offset: int, data: bytes, **headers: str) -> httpx.Response:
    sent = {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return client.patch(url, content=data, headers={**sent, **headers})


def send(client: TestClient, data: bytes, **said: str) -> httpx.Response:
    """Begin and send all at once; the last answer."""
    begun = begin(client, len(data), **said)
    return patch(client, begun.headers["location"], 0, data) if begun.status_code == 201 else begun


def left(home: Path) -> list[str]:
    """What of uploads lies in the store, beside journals of ended ones."""
    folder = home / "models" / ".easel" / "uploads"
    return [path.name for path in folder.glob("*") if path.suffix != ".json"]

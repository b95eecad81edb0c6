"""The file routes as a process, and as an application in this one."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from tests.models.files import describe, raw
from tests.ports import free_port
from tests.studio.files.server import app

SERVER = Path(__file__).with_name("server.py")
ROOT = Path(__file__).parents[3]
LORA = {
    "lora_unet_down_blocks_0.lora_up.weight": (64, 4),
    "lora_unet_down_blocks_0.lora_down.weight": (4, 64),
}


def model(path: Path, size: int = 0, seed: int = 0) -> Path:
    """A LoRA file with as many random bytes more as `size`."""
    table = describe({**LORA, "lora_unet_rest.alpha": (max(1, size // 2),)})
    data = random.Random(seed).randbytes(max(end for one in table.values() for end in one["data_offsets"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    return raw(path, table, data)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Server:
    """The file routes as a process that can be killed and started again on the same port and folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> Server:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), "--port", str(self.port), "--home", str(self.home),
             "--endpoint", "studio"],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'image'}:{ROOT}", **environment},
        )  # fmt: skip
        return self

    def up(self) -> Server:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert self.process is not None
            assert self.process.poll() is None
            try:
                httpx.get(f"{self.url}/easel/load", timeout=5, verify=False)
                return self
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def store(self) -> Path:
        return self.home / "models"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "home").start().up()
    yield server
    server.kill()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def asked(home: Path) -> Callable[..., TestClient]:
    """A client of the routes in this process, as somebody."""

    def asked(user: str | None = "ada", quota: int | None = None) -> TestClient:
        headers = {} if user is None else {"X-Easel-User": user}
        return TestClient(app(home, "studio", quota), headers=headers)

    return asked


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    """A model of a fifth of a megabyte, as somebody sends it."""
    return model(tmp_path / "here" / "style.safetensors", 200_000).read_bytes()

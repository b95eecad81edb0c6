"""A running studio: the real engine with the real starter, API and page on a free port of this machine."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

STARTER = Path(__file__).parents[2] / "image" / "starter" / "easel-starter.safetensors"
# Small and quick: what is asked is what the studio does around the drawing, not how well it draws.
QUICK = {"prompt": "a red circle on blue", "steps": 2, "width": 64, "height": 64, "seed": 7}


@dataclass
class Running:
    """A studio and its address; `ask` speaks to it as somebody."""

    url: str
    home: Path
    studio: Any

    def ask(self, owner: str = "ada") -> httpx.Client:
        # Not verifying what is no TLS anyway spares every client the reading of all certificate authorities.
        headers = {"X-Easel-User": owner}
        return httpx.Client(base_url=self.url, timeout=120, headers=headers, verify=False, trust_env=False)

    def draw(self, owner: str = "ada", **fields: Any) -> httpx.Response:
        with self.ask(owner) as client:
            return client.post("/sdapi/v1/txt2img", json={**QUICK, **fields})


STARTED: list[Running] = []


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from easel.models import Store
    from easel.studio.engine import Engine, Limits
    from easel.studio.studio import Studio

    home = tmp_path_factory.mktemp("home")
    folder = home / "models" / "Stable-diffusion"
    folder.mkdir(parents=True)
    shutil.copy(STARTER, folder)
    shutil.copy(STARTER, folder / "second.safetensors")
    (folder / "short.safetensors").write_bytes(STARTER.read_bytes()[:100_000])
    # A machine that many tests share takes ten times as long for a step; nothing is refused for that here.
    limits = Limits(step_seconds=100)
    engine = Engine(Store(home / "models"), default_checkpoint=STARTER.name, limits=limits)
    engine.start()
    studio = Studio.at(home, "studio", engine)

    import uvicorn

    from easel.studio.app import create_app

    # TCP by name, as uvicorn's own are: only so asyncio sends at once, and no answer waits 40 ms for an ACK.
    taken = socket.socket(proto=socket.IPPROTO_TCP)
    taken.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(studio), log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    while not server.started or engine.status().phase not in {"ready", "failed"}:
        time.sleep(0.05)
    started = Running(f"http://127.0.0.1:{taken.getsockname()[1]}", home, studio)
    STARTED.append(started)
    yield started
    STARTED.remove(started)
    server.should_exit = server.force_exit = True
    engine.stop()
    thread.join(10)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_to_draw() -> Iterator[None]:
    """What a file's tests accepted and did not wait for ends with them: a hundred inpaintings once ran on
    beside the next file, which counts calls of the UNet and tensors of the process."""
    yield
    for running in STARTED:
        end = time.monotonic() + 60
        while jobs := running.studio.engine.jobs():
            assert time.monotonic() < end, [job.owner for job in jobs]
            for job in jobs:
                job.cancel()
            time.sleep(0.2)  # whose turn came by it is drawn next


@pytest.fixture(scope="module")
def interrogator_files(running: Running) -> Iterator[None]:
    """What puts pictures into words, while the tests of a module run."""
    from tests.studio import interrogators

    store = running.studio.engine.store
    written = [interrogators.write_blip(store.root), interrogators.write_deepdanbooru(store.root)]
    store.refresh()
    yield
    for file in written:
        file.unlink()
    store.refresh()


@pytest.fixture
def ada(running: Running) -> Iterator[httpx.Client]:
    """A caller with a name."""
    with running.ask("ada") as client:
        yield client

"""The studio target, built for real with torch and its CUDA, as a host runs it. Gigabytes and minutes."""

import base64
import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.image import containers
from tests.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
TAG = "localhost/easel-studio:test"
ROOM = 40 * 10**9
"""torch with its CUDA is 7 GB unpacked, and there are up to three copies of it while it is built."""


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    containers.require()
    if shutil.disk_usage(containers.ROOT).free < ROOM:
        pytest.skip(f"building the studio's image takes {ROOM // 10**9} GB of disk")
    with containers.alone():
        yield containers.build("studio", TAG, timeout=3000)
        containers.buildah("rmi", TAG)


@pytest.fixture(scope="module")
def files(image: str) -> Iterator[Path]:
    with containers.unpacked(image) as root:
        yield root


def test_it_draws_a_starter_picture(image: str, files: Path, tmp_path: Path) -> None:
    """As uid 1000, on a read-only root, nothing fetched: the starter is in the image."""
    os.chown(tmp_path, 1000, 1000)
    port = free_port()
    command = [*containers.settings(image)["config"]["Cmd"]]
    command[command.index("--port") + 1] = str(port)
    running = containers.start(files, image, command, {tmp_path: "/easel/outputs"}, OMP_NUM_THREADS="1")
    try:
        _wait_until_ready(running, port)
        asked = {"prompt": "a red circle on blue", "steps": 4, "seed": 1, "width": 64, "height": 64}
        answer = httpx.post(f"http://127.0.0.1:{port}/sdapi/v1/txt2img", json=asked, timeout=300)
        answer.raise_for_status()
        with Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0]))) as picture:
            assert picture.size == (64, 64)
            assert len(set(picture.convert("RGB").getdata())) > 10, "not one colour"
        assert "Easel 0.1.0" in json.loads(answer.json()["info"])["infotexts"][0]
        check = containers.settings(image)["config"]["Healthcheck"]["Test"][1:]
        health = containers.start(files, image, check, {}, EASEL_PORT=str(port))
        said, _ = health.communicate(timeout=60)
        assert health.returncode == 0, said
    finally:
        running.send_signal(signal.SIGTERM)
        said, _ = running.communicate(timeout=60)
    assert running.returncode == 0, said


def test_torch_is_a_layer_of_its_own(image: str) -> None:
    """It stays on a host's disk while everything else changes."""
    steps = [step.get("created_by", "") for step in containers.settings(image)["history"]]
    torch = next(number for number, step in enumerate(steps) if "requirements/torch.txt" in step)
    rest = next(number for number, step in enumerate(steps) if "requirements/studio.txt" in step)
    ours = next(number for number, step in enumerate(steps) if "COPY dir" in step)
    assert torch < rest < ours


def _wait_until_ready(running: subprocess.Popen[str], port: int) -> None:
    until = time.monotonic() + 600
    while time.monotonic() < until and running.poll() is None:
        try:
            load = httpx.get(f"http://127.0.0.1:{port}/easel/load", timeout=10).json()
            assert load["phase"] != "failed", load
            if load["phase"] == "ready":
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    running.kill()
    raise AssertionError(f"not ready: {running.communicate()[0]}")

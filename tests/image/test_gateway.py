"""The gateway target, built for real, as a host runs it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.image import containers
from tests.models.serving import model_bytes, serving
from tests.ports import free_port

TAG = "localhost/easel-gateway:test"
# A base is made on the first run, and a build waits for the mirror: minutes, one of them of processor time.
# That is for `make test-long`; from then on it takes seconds, and is for every day.
pytestmark = [pytest.mark.timeout(1200), *([] if containers.kept(TAG) else [pytest.mark.slow])]


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    with containers.alone():
        yield containers.build("gateway", TAG, kept=True, EASEL_CONTENT="c0ffee")


@pytest.fixture(scope="module")
def files(image: str) -> Iterator[Path]:
    with containers.unpacked(image) as root:
        yield root


def test_the_gateway_answers_through_caddy(image: str, files: Path, tmp_path: Path) -> None:
    """As uid 1000, on a read-only root, without a capability: Caddy asks the gateway who comes."""
    port = free_port()
    config = tmp_path / "config"
    config.mkdir()
    team = {"team": "art", "runs_on": "local", "console": {"port": port}, "endpoints": []}
    (config / "team.json").write_text(json.dumps(team))
    for path in (tmp_path, config, config / "team.json"):
        os.chown(path, 1000, 1000)
    about = containers.settings(image)["config"]
    mounts = {tmp_path: "/data/easel"}
    running = containers.start(files, image, about["Cmd"], mounts)
    try:
        answer = _answer(running, f"http://127.0.0.1:{port}/")
        assert answer.status_code == 401, "a console without a token lets nobody in"
        assert "html" in answer.headers["content-type"]
        health = containers.start(files, image, about["Healthcheck"]["Test"][1:], mounts)
        said, _ = health.communicate(timeout=30)
        assert health.returncode == 0, said
        owners = {path.stat().st_uid for path in tmp_path.rglob("*")}
        assert owners == {1000}, "what it writes belongs to the user of the file system's access points"
    finally:
        running.send_signal(signal.SIGTERM)
        said, _ = running.communicate(timeout=30)
    assert running.returncode == 0, said


def test_its_health_check_fails_when_there_is_no_gateway(image: str, files: Path, tmp_path: Path) -> None:
    """A check that cannot fail checks nothing."""
    check = containers.settings(image)["config"]["Healthcheck"]["Test"][1:]
    health = containers.start(files, image, check, {tmp_path: "/data/easel"})
    health.communicate(timeout=30)
    assert health.returncode != 0


def test_its_root_cannot_be_written(image: str, files: Path) -> None:
    """The image runs where nothing may be written but /tmp and what is mounted."""
    tried = ["sh", "-c", "id -u; touch /tmp/yes && echo tmp; touch /opt/easel/app/no || echo closed"]
    said, _ = containers.start(files, image, tried, {}).communicate(timeout=30)
    lines = said.split("\n")
    assert lines[0] == "1000"
    assert "tmp" in lines
    assert "closed" in lines


def test_what_is_in_it(image: str, files: Path) -> None:
    """No torch, no pip, no compiler; everything compiled and readable to anyone; nothing of this machine."""
    packages = {path.name for path in files.glob("opt/venv/lib/python3*/site-packages/*")}
    assert "starlette" in packages
    assert not packages & {"torch", "gradio", "diffusers", "pip", "easel"}
    assert not (files / "easel").exists(), "models are the studio's"
    for module in files.glob("opt/easel/app/easel/gateway/*.py"):
        assert list(module.parent.glob(f"__pycache__/{module.stem}.*.pyc")), f"{module.name} is not compiled"
    assert list(files.glob("opt/venv/lib/python3*/site-packages/starlette/__pycache__/*.pyc"))
    closed = [path for path in files.glob("opt/easel/**/*") if not path.stat().st_mode & 0o004]
    assert not closed
    assert not list((files / "run" / "secrets").iterdir())
    about = containers.settings(image)
    history = json.dumps(about["history"])
    assert about["config"]["Labels"]["org.opencontainers.image.revision"] == "c0ffee"
    for secret in ("index" + "-url", "http://", "https://"):
        assert secret not in history


def test_it_fetches_models(image: str, files: Path, tmp_path: Path) -> None:
    """What a stack file lists, without torch and without the hub's own downloader. S3 and the hub are not
    there: that is what is said of them, and not that a package is missing."""
    content = model_bytes(100_000, key="lora_unet_x.lora_up.weight")
    with serving() as server:
        server.put("/style.safetensors", content)
        listed = [
            f"{server.url}/style.safetensors",
            "hf://org/repo/x.safetensors",
            "s3://bucket/x.safetensors",
        ]
        (tmp_path / "studio.json").write_text(json.dumps({"name": "studio", "models": listed}))
        for path in (tmp_path, tmp_path / "studio.json"):
            os.chown(path, 1000, 1000)
        command = ["python", "-m", "easel.models", "sync", "--json", "--background"]
        command += ["--config", "/data/easel/studio.json", "--store", "/data/easel/models"]
        nowhere = f"http://127.0.0.1:{free_port()}"
        # By a proxy that lets nobody out: to a hub that refuses connections its client tries for 23 s.
        fetching = containers.start(
            files, image, command, {tmp_path: "/data/easel"}, HF_ENDPOINT="https://hub.invalid",
            https_proxy=server.url, AWS_ENDPOINT_URL=nowhere, AWS_ACCESS_KEY_ID="x",
            AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="us-east-1",
        )  # fmt: skip
        said, _ = fetching.communicate(timeout=120)
    records = [json.loads(line) for line in said.splitlines() if line.startswith('{"result"')]
    assert [each["result"] for each in records] == ["came", "failed", "failed"], said
    assert "the hub cannot be reached" in records[1]["why"]
    assert "S3 cannot be asked" in records[2]["why"]
    found = tmp_path / "models" / "Lora" / "style.safetensors"
    assert found.read_bytes() == content
    assert found.stat().st_uid == 1000


def _answer(running: subprocess.Popen[str], url: str) -> httpx.Response:
    until = time.monotonic() + 60
    while time.monotonic() < until and running.poll() is None:
        try:
            return httpx.get(url, timeout=5, headers={"Sec-Fetch-Mode": "navigate", "Accept": "text/html"})
        except httpx.TransportError:
            time.sleep(0.1)
    running.kill()
    raise AssertionError(f"no answer: {running.communicate()[0]}")

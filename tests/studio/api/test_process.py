"""`python -m easel.studio` as a process: how it starts, what it says, how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from easel.studio import __main__ as program
from tests.ports import free_port

ROOT = Path(__file__).parents[3]
STARTER = ROOT / "image" / "starter" / "easel-starter.safetensors"
# One for all questions, which reads no certificate authorities: it asks five times a second for a minute.
CLIENT = httpx.Client(timeout=30, verify=False, trust_env=False)
# Of a job that will not end, whose studio computes until it is out of time.
STOP_SECONDS = 1.5
# `python -m easel.studio`, where jobs under way get no more than that after SIGTERM.
SHORT_STOP = f"from easel.studio import __main__ as it; it.STOP_SECONDS = {STOP_SECONDS}; it.main()"


def arguments(port: int, home: Path, endpoint: str) -> list[str]:
    return ["--port", str(port), "--home", str(home), "--endpoint", endpoint]


def finished(port: int, home: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    """A studio that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "easel.studio", *arguments(port, home, endpoint)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "image"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


class Replica:
    """One studio process, its log in a file."""

    def __init__(self, home: Path) -> None:
        folder = home / "models" / "Stable-diffusion"
        folder.mkdir(parents=True)
        shutil.copy(STARTER, folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / "log"
        environment = {**os.environ, "PYTHONPATH": "image"}
        # Whoever asks a hub or an analytics server finds nobody there, and leaves a trace in the log.
        environment |= {name: "http://127.0.0.1:9" for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SHORT_STOP, *arguments(self.port, home, "portraits")],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def load(self) -> dict:
        return CLIENT.get(f"{self.url}/easel/load").json()

    def until(self, *phases: str, seconds: float = 400) -> list[str]:
        """Every phase seen until one of `phases` is."""
        seen: list[str] = []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()
            try:
                seen.append(self.load()["phase"])
            except httpx.TransportError:
                time.sleep(0.2)
                continue
            if seen[-1] in phases:
                return list(dict.fromkeys(seen))
            time.sleep(0.2)
        raise AssertionError(f"not {phases}: {seen}; {self.log.read_text()[-3000:]}")

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="module")
def replica(tmp_path_factory) -> Iterator[Replica]:
    one = Replica(tmp_path_factory.mktemp("home"))
    yield one
    one.process.kill()
    one.process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_whole_life(replica: Replica) -> None:
    """It answers while it imports, gets ready, draws, logs JSON without prompts, ends on SIGTERM with 0."""
    phases = replica.until("importing", "loading", "ready")
    assert phases[0] in {"importing", "loading"}
    page = CLIENT.get(replica.url, headers={"accept": "text/html"})
    assert (page.status_code, "starting" in page.text) == (503, True)
    assert CLIENT.get(f"{replica.url}/sdapi/v1/options").json()["error"] == "Starting"
    assert replica.until("ready")[-1] == "ready"
    load = replica.load()
    assert set(load) == {"phase", "detail", "remark", "running", "queued", "idle_seconds"}

    body = {"prompt": "a secret garden", "steps": 2, "width": 64, "height": 64, "save_images": True}
    answer = CLIENT.post(f"{replica.url}/sdapi/v1/txt2img", json=body, timeout=120)
    assert answer.status_code == 200
    (saved,) = (replica.log.parent / "outputs" / "portraits").rglob("*.png")
    assert saved.stat().st_size > 100
    assert CLIENT.get(replica.url).status_code == 200

    events = CLIENT.stream("GET", f"{replica.url}/studio/events")
    with events as stream:
        # An open tab keeps a stream open for ever; the end does not wait for it.
        next(stream.iter_raw())
        long = {**body, "steps": 150, "n_iter": 50, "width": 128, "height": 128}
        with httpx.Client(timeout=60, verify=False) as client:
            request = client.build_request("POST", f"{replica.url}/sdapi/v1/txt2img", json=long)
            answers: list[httpx.Response] = []
            sender = threading.Thread(target=lambda: answers.append(client.send(request)))
            sender.start()
            until = time.monotonic() + 30
            while not replica.load()["running"] and time.monotonic() < until:
                time.sleep(0.1)
            began = time.monotonic()
            replica.process.send_signal(signal.SIGTERM)
            assert replica.process.wait(15) == 0
            assert STOP_SECONDS - 0.1 < time.monotonic() - began < STOP_SECONDS + 3
            sender.join(10)
    assert answers[0].status_code == 503
    assert answers[0].json()["error"] == "Stopped"

    text = replica.log.read_text()
    assert "secret" not in text
    lines = replica.lines()
    assert {"started", "job accepted", "job ended", "request", "stopped"} <= {one["event"] for one in lines}
    assert not [one for one in lines if one["level"] == "error"]


@pytest.mark.timeout(120)
def test_a_taken_port(tmp_path: Path) -> None:
    """A port that is taken ends it at once, with a line that says so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = finished(taken.getsockname()[1], tmp_path, "studio")
    assert done.returncode == 1
    assert "address already in use" in done.stdout


def test_the_end_is_in_time() -> None:
    """Whoever sends SIGTERM kills after ten seconds; three of them are for what is not counted here."""
    assert program.STOP_SECONDS + 3 <= 10
    assert program.SAVE_SECONDS < 3


@pytest.mark.parametrize("endpoint", ["../outside", "a/b", ""])
def test_endpoint_names_are_no_paths(tmp_path: Path, endpoint: str) -> None:
    """The endpoint's name becomes a folder, so it is letters, digits and dashes."""
    done = finished(1, tmp_path, endpoint)
    assert done.returncode == 2
    assert "letters, digits and dashes" in done.stderr

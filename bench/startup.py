"""From nothing to a ready studio, against bare imports of what it is made of, turn by turn."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.running import ROOT
from bench.table import comparison, spread
from bench.txt2img import request
from easel.gateway.process import find_port

ROUNDS = 5
BARE = "import torch, fastapi; from diffusers import StableDiffusionPipeline"


@dataclass(frozen=True)
class Start:
    """Seconds of one start: until ready, of it importing torch and diffusers, loading the checkpoint; then a
    picture."""

    ready: float
    imported: float
    loaded: float
    picture: float


def rows(home: Path) -> Iterator[list[str]]:
    """The split of a start, and its ratio to the bare imports (at most 1.3 is the promise)."""
    found = [(_start(home), _bare()) for _ in range(ROUNDS + 1)][1:]  # the first fills the page cache
    starts = [start for start, _ in found]
    yield comparison("start of the studio until ready", [(one.ready, bare) for one, bare in found], "≤ 1.3")
    for name, values in (
        ("… of it, importing torch and diffusers (beside fastapi)", [start.imported for start in starts]),
        ("… of it, loading the starter", [start.loaded for start in starts]),
        ("first picture after that, 128x128, 20 steps", [start.picture for start in starts]),
    ):
        yield [name, spread(values), "", "", ""]


def _bare() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE], check=True, capture_output=True)
    return time.perf_counter() - began


def _start(home: Path) -> Start:
    port = find_port(neighbours=1)
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "easel.studio", "--port", str(port), "--home", str(home), "--endpoint",
        "bench"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300, trust_env=False) as client:
            while not _ready(client):
                if process.poll() is not None:
                    raise SystemExit(f"the studio ended with {process.returncode}")
                time.sleep(0.02)
            ready = time.perf_counter() - began
            began = time.perf_counter()
            client.post("/sdapi/v1/txt2img", json=request("a blue heart on white", 128, 1)).raise_for_status()
            picture = time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    return Start(ready, _logged(said, "imported"), _logged(said, "checkpoint"), picture)


def _ready(client: httpx.Client) -> bool:
    try:
        load = client.get("/easel/load").json()
        return bool(load["phase"] == "ready") and client.get("/").status_code == 200
    except (httpx.TransportError, ValueError):
        return False


def _logged(said: str, event: str) -> float:
    """The `seconds` of a log line."""
    for line in said.splitlines():
        if line.startswith("{") and (entry := json.loads(line)).get("event") == event:
            return float(entry["seconds"])
    raise SystemExit(f"the studio's log has no {event!r}")

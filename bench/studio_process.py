"""A studio without door and gateway in a process of its own; its callers are whom the bench says they are."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.running import ROOT
from easel.assertion import HEADER, KEYS_VARIABLE, Signer, key_set
from tests.ports import free_port


@dataclass(frozen=True)
class StudioProcess:
    """It, and where it answers."""

    process: psutil.Process
    url: str
    signer: Signer

    def client(self, owner: str) -> httpx.Client:
        """A client of somebody."""

        def vouch(request: httpx.Request) -> None:
            request.headers[HEADER] = self.signer.sign(owner, "studio")

        return httpx.Client(
            base_url=self.url, timeout=3600, trust_env=False, event_hooks={"request": [vouch]}
        )

    def processor(self) -> float:
        """Seconds of the processor that it has had."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def until_ready(self) -> None:
        """It listens before it can draw."""
        phase = ""
        with self.client("ada") as client:
            while phase != "ready":
                time.sleep(0.1)
                with contextlib.suppress(httpx.TransportError):
                    phase = client.get("/easel/load").json()["phase"]


@contextlib.contextmanager
def studio_process(
    home: Path, checkpoint: Path, environment: Mapping[str, str] | None = None
) -> Iterator[StudioProcess]:
    """Start one that serves `checkpoint`, on as many threads as it likes; killed at the end."""
    models = home / "models" / "Stable-diffusion"
    models.mkdir(parents=True)
    (models / checkpoint.name).symlink_to(checkpoint)
    signer = Signer("of the bench")
    keys = home / "keys.json"
    keys.write_text(key_set([signer]))
    port = free_port()
    line = [sys.executable, "-m", "easel.studio", "--port", str(port), "--home", str(home)]
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    ours = {"PYTHONPATH": str(ROOT / "image"), KEYS_VARIABLE: str(keys), **(environment or {})}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            line, cwd=ROOT, env={**inherited, **ours}, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield StudioProcess(psutil.Process(process.pid), f"http://127.0.0.1:{port}", signer)
    finally:
        process.kill()
        process.wait()

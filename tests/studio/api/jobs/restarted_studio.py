"""A folder, and studios that come and go in it: real processes, which a test kills."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from easel.assertion import HEADER, KEYS_VARIABLE, Signer, key_set
from tests.ports import free_port

ROOT = Path(__file__).parents[4]
STARTER = ROOT / "image" / "starter" / "easel-starter.safetensors"
ENDED = {"done", "failed", "cancelled"}


class RestartedStudio:
    """Processes of `python` with `arguments`, one at a time, in a home with the starter. Callers have the
    names that the test gives them, as a gateway would vouch for them."""

    def __init__(
        self,
        home: Path,
        arguments: Sequence[str] = ("-m", "easel.studio"),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home, self._arguments = home, arguments
        (home / "models" / "Stable-diffusion").mkdir(parents=True)
        shutil.copy(STARTER, home / "models" / "Stable-diffusion")
        self._signer = Signer("of the test")
        keys = home / "keys.json"
        keys.write_text(key_set([self._signer]))
        given = {"PYTHONPATH": "image", "OMP_NUM_THREADS": "1", KEYS_VARIABLE: str(keys)}
        self._environment = {**given, **(environment or {})}
        self.lives: list[subprocess.Popen[bytes]] = []
        self.url = ""

    @property
    def log(self) -> str:
        """What all of them said."""
        return (self.home / "log").read_text()

    @property
    def journal(self) -> Path:
        """Where they write what they accepted."""
        return self.home / "outputs" / "studio" / ".jobs"

    def start(self, **environment: str) -> None:
        self.launch(**environment)
        self.until_ready()

    def launch(self, **environment: str) -> None:
        port = free_port()
        arguments = ["--port", str(port), "--home", str(self.home), "--endpoint", "studio"]
        with (self.home / "log").open("a") as log:
            self.lives.append(
                subprocess.Popen(
                    [sys.executable, *self._arguments, *arguments],
                    cwd=ROOT,
                    env={**os.environ, **self._environment, **environment},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
        self.url = f"http://127.0.0.1:{port}"

    def until_ready(self) -> None:
        with self.ask() as client:
            self.until(lambda: client.get("/easel/load").json().get("phase") == "ready")

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.lives[-1].send_signal(number)
        self.lives[-1].wait(60)

    def close(self) -> None:
        for life in self.lives:
            life.kill()
            life.wait()

    def ask(self, owner: str = "ada") -> httpx.Client:
        def vouch(request: httpx.Request) -> None:
            request.headers[HEADER] = self._signer.sign(owner, "studio")

        return httpx.Client(
            base_url=self.url, timeout=100, verify=False, trust_env=False, event_hooks={"request": [vouch]}
        )

    def until(self, found: Callable[[], Any], seconds: float = 300) -> Any:
        end = time.monotonic() + seconds
        while True:
            try:
                if answer := found():
                    return answer
            except httpx.TransportError:
                pass
            assert time.monotonic() < end, self.log[-4000:]
            time.sleep(0.05)

    def ended(self, id: str, owner: str = "ada") -> dict[str, Any]:
        with self.ask(owner) as client:

            def found() -> dict[str, Any] | None:
                ticket: dict[str, Any] = client.get(f"/jobs/{id}").raise_for_status().json()
                return ticket if ticket["state"] in ENDED else None

            ticket: dict[str, Any] = self.until(found)
            return ticket

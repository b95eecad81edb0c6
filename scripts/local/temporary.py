"""An Easel of its own beside whatever else runs here: for benchmarks and for the pictures in the docs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from easel.gateway.process import find_port
from scripts.settings import ROOT

_COMMAND = [sys.executable, "-m", "scripts"]
_PATIENCE = 300.0


@dataclass(frozen=True)
class TemporaryEasel:
    """A running Easel: `status` as `easel status --json` gave it when the studio was ready."""

    status: dict[str, Any]
    settings: dict[str, str]

    def run(self, *arguments: str) -> str:
        """What an `easel` command prints about this one."""
        done = subprocess.run(
            [*_COMMAND, *arguments], cwd=ROOT, env=self.settings, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


@contextlib.contextmanager
def temporary_easel(home: Path) -> Iterator[TemporaryEasel]:
    """Start `easel up` with the local stack on free ports, wait until the studio is ready."""
    settings = {
        **os.environ,
        "EASEL_HOME": str(home),
        "EASEL_PORT": str(find_port(neighbours=1)),
        "EASEL_STACK": "local",
    }
    easel = subprocess.Popen(
        [*_COMMAND, "up"], cwd=ROOT, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    running = TemporaryEasel({}, settings)
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _ready(status := _status(running)):
            if easel.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException("the studio did not get ready; `make up` shows why")
            time.sleep(0.5)
        yield TemporaryEasel(status, settings)
    finally:
        easel.send_signal(signal.SIGINT)
        easel.wait(60)


def _status(running: TemporaryEasel) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(running.run("status", "--json"))
    except (subprocess.CalledProcessError, ValueError):
        return {}  # not yet
    return found


def _ready(status: dict[str, Any]) -> bool:
    return bool(status) and all(endpoint["state"] == "ready" for endpoint in status["endpoints"])

"""The peer's process, driven from here."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.child import child


class Plain:
    """A plain diffusers pipeline in its own process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def draw(self, request: Mapping[str, object]) -> float:
        """Draw one picture; the seconds the pipeline call took."""
        return float(self.asked(request)["seconds"])

    def asked(self, request: Mapping[str, object]) -> dict[str, Any]:
        """What the process answers to a line."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextlib.contextmanager
def plain_pipeline(checkpoint: Path) -> Iterator[Plain]:
    """Start the peer, wait until its pipeline is loaded, and stop it at the end."""
    with child("peer", checkpoint, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        while (line := process.stdout.readline()) and line.strip() != "ready":
            pass
        yield Plain(process)

"""Easel as a user runs it, for the length of a measurement."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from scripts.local.temporary import temporary_easel
from scripts.settings import ROOT

__all__ = ["ROOT", "STARTER", "Running", "running"]

STARTER = ROOT / "image" / "starter" / "easel-starter.safetensors"


@dataclass(frozen=True)
class Running:
    """A running Easel: where its one endpoint answers, and the tokens of two people."""

    url: str
    token: str
    other_token: str

    def client(self) -> httpx.Client:
        """A client that passes the door."""
        return self._client(self.token)

    def another(self) -> httpx.Client:
        """A client of somebody else."""
        return self._client(self.other_token)

    def _client(self, token: str) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=600, trust_env=False
        )


@contextlib.contextmanager
def running(home: Path) -> Iterator[Running]:
    """Start, wait until the studio is ready, and stop at the end."""
    with temporary_easel(home) as easel:
        endpoint = easel.status["endpoints"][0]
        tokens = [
            easel.run("token", "new", "--endpoint", endpoint["name"], "--name", name)
            for name in ("bench", "other")
        ]
        yield Running(endpoint["url"], *tokens)

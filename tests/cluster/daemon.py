"""A program of the cluster as a child of the tests, which ends with them however they end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Daemon:
    """One running program, its output in a file."""

    def __init__(
        self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        # The kernel ends it when the tests are killed: `kill -9` of pytest leaves nobody to do it.
        line = ["setpriv", "--pdeathsig", "KILL", *map(str, command)]
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def stop(self, patience: float = 10.0) -> int:
        """SIGTERM, and SIGKILL after `patience` seconds; the exit status."""
        if self.running:
            self.process.terminate()
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def said(self, lines: int = 20) -> str:
        """The end of what it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

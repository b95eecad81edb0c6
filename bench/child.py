"""Another program of this folder, for the length of a measurement."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from scripts.settings import ROOT


@contextlib.contextmanager
def child(name: str, *arguments: object, stderr: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m bench.NAME ARGUMENTS`, which ends when its standard input does."""
    line = [sys.executable, "-m", f"bench.{name}", *map(str, arguments)]
    process = subprocess.Popen(
        line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
    )
    assert process.stdin
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait()

"""The process that reads pickles, forked from one that has imported torch already: that import is nine tenths
of what a conversion takes, and the same each time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# One thread and nothing of Easel's, so that what is forked is what `python cell.py` is once it has torch.
PROGRAM = """
import json, os, runpy, sys
import torch

for line in sys.stdin:
    asked = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (1, 2):
            os.dup2(os.open(asked["told"][number - 1], os.O_WRONLY | os.O_CREAT), number)
        sys.argv = asked["line"]
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        finally:
            os._exit(70)
    print(pid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class WarmCell:
    """Starts cells. The child of one request ends before the next is taken."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder

    def start(self, line: list[str], *, env: dict[str, str], cwd: Path, **pipes: Any) -> EndedCell:
        """In the place of `subprocess.Popen`; returns when the cell has ended."""
        assert line[1] == "-P"
        assert pipes.pop("start_new_session")
        told = [self.folder / "out", self.folder / "err"]
        for path in told:
            path.unlink(missing_ok=True)
        asked = {"line": line[2:], "env": env, "cwd": str(cwd), "told": [str(path) for path in told]}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        pid, code = self.process.stdout.readline().split()
        return EndedCell(int(pid), int(code), told[0].read_bytes(), told[1].read_bytes())


class EndedCell:
    """What `convert_pickle` asks of a process."""

    def __init__(self, pid: int, returncode: int, *told: bytes) -> None:
        self.pid = pid
        self.returncode = returncode
        self.told = told

    def __enter__(self) -> EndedCell:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to close."""

    def communicate(self, timeout: float) -> tuple[bytes, ...]:
        """Both streams, whole."""
        return self.told


@contextmanager
def warm_cell(folder: Path) -> Iterator[WarmCell]:
    """One process for many conversions; `folder` is for what the cells say."""
    line = [sys.executable, "-P", "-c", PROGRAM]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield WarmCell(process, folder)
        assert process.stdin is not None
        process.stdin.close()

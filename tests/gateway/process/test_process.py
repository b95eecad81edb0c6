"""Programs that end with the gateway, and their logs."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from easel.gateway.process.process import Process, last_lines, rotate


@pytest.mark.anyio
async def test_exit_codes_and_arguments_pass_the_watchdog(tmp_path: Path) -> None:
    """The watchdog neither swallows a code nor splits an argument."""
    log = tmp_path / "log"
    program = "import sys, os; print(sys.argv[1:], sys.stdin.read()); sys.exit(9)"
    process = await Process.start([sys.executable, "-c", program, "a b", "--x=*"], log=log, env=os.environ)
    assert await process.wait() == 9
    assert log.read_text().strip() == "['a b', '--x=*']"


@pytest.mark.anyio
async def test_grandchildren_end_too(tmp_path: Path) -> None:
    """What a program leaves behind in its process group ends with it."""
    log = tmp_path / "log"
    program = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
    process = await Process.start([sys.executable, "-c", program], log=log, env=os.environ)
    assert await process.wait() == 0
    grandchild = int(log.read_text())
    for _ in range(50):
        if not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the grandchild lives")


def test_logs_stay_small(tmp_path: Path) -> None:
    """A log is cut while its writer writes, and nothing but the cut part moves."""
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 100)
        rotate(log, limit=100)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "log.1").read_bytes() == b"old\n" * 100
    rotate(tmp_path / "none")
    assert last_lines(log, 5) == "new"
    assert last_lines(tmp_path / "none", 5) == ""

"""The real `easel` command for tests: real gateway, real Caddy, a tiny program in the place of the studio."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from scripts.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
EASEL = [sys.executable, "-m", "scripts"]
REPLICA = f"{sys.executable} {ROOT / 'tests' / 'gateway' / 'replica.py'} --port {{port}}"
STACK = """config:
  easel:team: {runs_on: local}
  easel:endpoints:
    studio: {shape: cpu.small, replicas: {min: 1, max: 1}}
"""


def environment(home: Path, port: int | None = None, stack: Path | str = "local") -> dict[str, str]:
    """The settings of one easel."""
    return {
        **os.environ,
        "EASEL_HOME": str(home),
        "EASEL_PORT": str(port or 7860),
        "EASEL_STACK": str(stack),
        "EASEL_REPLICA": REPLICA,
        "PYTHONUNBUFFERED": "1",
    }


def easel(*arguments: str, env: dict[str, str], **rest: Any) -> subprocess.CompletedProcess[str]:
    """One `easel` command, to its end."""
    return subprocess.run(
        [*EASEL, *arguments],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **rest,
    )


def command(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The same within this process: a Python of its own for each takes longer than what is tested. Not for
    what starts something, as signals and locks are this process's then."""
    before = os.umask(0o077)
    try:
        done = CliRunner().invoke(main, arguments, env=env)
    finally:
        os.umask(before)
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


class Up:
    """A running `easel up`."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.process = subprocess.Popen(
            [*EASEL, "up"],
            env=env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=_read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def says(self, text: str, timeout: float = 90) -> str:
        """The first line of its output with this text in it, once it is there."""
        until(lambda: any(text in line for line in self.out), timeout, self.told)
        return next(line for line in self.out if text in line)

    def link(self, name: str) -> str:
        """The link it printed for an endpoint."""
        return self.says(f"{name}  http").split()[-1]

    def stop(self, number: int = signal.SIGINT) -> int:
        """Its exit status after a signal."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self, timeout: float = 90) -> int:
        """Its exit status."""
        status = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(5)
        return status

    def told(self) -> str:
        """Everything it said, for the message of a failed test."""
        return "\n".join(["", *self.out, "--- errors", *self.err])


@contextmanager
def up(env: dict[str, str]) -> Iterator[Up]:
    """A running `easel up` that is gone afterwards, whatever the test did."""
    running = Up(env)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.terminate()
            try:
                running.process.wait(30)
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()


def until(holds: Callable[[], bool], timeout: float = 90, told: Callable[[], str] = str) -> None:
    """Wait until something holds."""
    end = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < end, f"waited {timeout} s in vain{told()}"
        time.sleep(0.05)


def processes(mark: str) -> list[int]:
    """Processes with this text in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def _read(stream: Any, lines: list[str]) -> None:
    for line in stream:
        lines.append(line.rstrip("\n"))

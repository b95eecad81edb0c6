"""A child process that ends with the gateway, and whose output goes to a log file."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from easel.remark import remark

# The gateway's own settings and keys, and the operator's, are no business of what it starts.
_OWN = ("EASEL_DOOR", "EASEL_TOKEN", "EASEL_CONSOLE", "EASEL_ASSERTION")
_WATCHDOG = Path(__file__).with_name("watchdog.py")
_LOG_LIMIT = 20 * 1024 * 1024
_LONGEST_LINE = 1024 * 1024


class Process:
    """One running program under a watchdog (see watchdog.py)."""

    def __init__(self, process: asyncio.subprocess.Process, grace: float) -> None:
        self._process = process
        self._grace = grace

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        grace: float = 10.0,
        heard: bool = False,
    ) -> Process:
        """Start `command`; its output is appended to `log`. `grace` is the seconds between SIGTERM and
        SIGKILL. `heard`: standard output comes by `lines` instead, which must then be read to its end."""
        rotate(log)
        # O_APPEND, so that `rotate` can cut the file while the program writes.
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                # -I -S: nothing of the environment or of site-packages; the watchdog needs neither.
                sys.executable, "-I", "-S", str(_WATCHDOG), str(grace), "--", *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE if heard else output,
                stderr=output,
                limit=_LONGEST_LINE,
                env=dict(env),
                # Ctrl-C in the operator's terminal is for the gateway, which then stops its children in
                # order.
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(output)
        return cls(process, grace)

    @property
    def pid(self) -> int:
        """The watchdog's process id; the program is its only child."""
        return self._process.pid

    async def lines(self, silence: float) -> AsyncIterator[bytes]:
        """What a program that is heard says, line by line until it ends. A line of more than a megabyte is
        left out. Raises TimeoutError when it says nothing for `silence` seconds."""
        output = self._process.stdout
        while output is not None:
            try:
                line = await asyncio.wait_for(output.readline(), silence)
            except ValueError:
                continue
            if not line:
                return
            yield line

    async def wait(self) -> int:
        """The program's exit code, when it has ended."""
        return await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM, `grace` seconds, SIGKILL; the exit code."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                return await asyncio.wait_for(self._process.wait(), self._grace + 5)
            except TimeoutError:
                self._process.kill()
        return await self._process.wait()


def inherited() -> dict[str, str]:
    """The environment for what the gateway starts: its own, less what is its own alone."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_OWN)}


def exit_words(code: int) -> str:
    """What an exit code says of a program's end."""
    if code == 137:
        return remark("exit_killed", "was killed (signal 9: often the machine ran out of memory)")
    if code > 128:
        return remark("exit_signal", "was ended by signal {number}", number=code - 128)
    return remark("exit_code", "ended with code {number}", number=code)


def rotate(log: Path, limit: int = _LOG_LIMIT) -> None:
    """Keep a log below `limit` bytes: its content moves to `<log>.1`. Safe while a program appends to it."""
    try:
        if log.stat().st_size < limit:
            return
    except FileNotFoundError:
        return
    log.with_name(log.name + ".1").write_bytes(log.read_bytes())
    os.truncate(log, 0)


def last_lines(log: Path, count: int, most: int = 512 * 1024) -> str:
    """The last `count` lines of a file, reading at most `most` bytes of it; empty if there is no such
    file."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-count:]) if count > 0 else ""

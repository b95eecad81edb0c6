"""The gateway as a child process that does not outlive `easel up`."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from scripts.settings import ROOT, CommandFailed, CommandRefused

_PR_SET_PDEATHSIG = 1
# Replicas have 10 s to finish what they draw; what the gateway itself needs comes on top.
PATIENCE = 20.0


class GatewayProcess:
    """`python -m easel.gateway`, in a process group of its own so that Ctrl-C reaches it in order."""

    def __init__(self, home: Path) -> None:
        # For tests of this command: another program in the place of the studio.
        asked = os.environ.get("EASEL_REPLICA")
        replica = ["--replica", asked] if asked else []
        (home / "run" / "gateway.json").unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "easel.gateway", "--home", str(home), *replica],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_end_with_parent(os.getpid()) if sys.platform == "linux" else None,
        )
        # It writes its log itself; what it says besides is why it could not start.
        self._said: deque[str] = deque(maxlen=50)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def ended(self) -> int | None:
        """The exit status, once there is one."""
        return self._process.poll()

    @property
    def last_words(self) -> str:
        """The last line it said that is not of its log."""
        self._listener.join(1)
        return next(
            (line for line in reversed(self._said) if line and line[0] not in "{ "), "it did not say why"
        )

    def stop(self) -> None:
        """Ask it to stop."""
        if self.ended is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, signals: "StopSignals", meanwhile: Callable[[], None]) -> bool:
        """Wait until it has stopped, doing something meanwhile; the answer is whether it did so by itself."""
        until = time.monotonic() + PATIENCE
        while self.ended is None:
            if time.monotonic() > until or signals.twice:
                with suppress(ProcessLookupError):  # its group too
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
                return False
            meanwhile()
            time.sleep(0.05)
        return True

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._said.append(line.rstrip())


def why_ended(gateway: GatewayProcess) -> CommandRefused:
    """What the gateway said last. Its exit status is 2 where it refused to start, in words of its own."""
    words = gateway.last_words.removeprefix("easel.gateway: ")
    return (
        CommandRefused(words)
        if gateway.ended == 2
        else CommandFailed(f"the gateway has ended ({gateway.ended}): {words}")
    )


class StopSignals:
    """Ctrl-C and its kin: once means stop, twice means now."""

    def __init__(self) -> None:
        self._first = self._last = 0.0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    @property
    def once(self) -> bool:
        """Somebody asked to stop."""
        return self._first > 0

    @property
    def twice(self) -> bool:
        """Somebody asked again."""
        # Wrappers such as `timeout` pass a signal on that the terminal has sent to everyone already.
        return self._last - self._first > 1

    def wait(self, timeout: float) -> None:
        """Sleep for a while, or until somebody asks to stop."""
        until = time.monotonic() + timeout
        while not self.once and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))

    def _note(self, number: int, frame: object) -> None:
        self._last = time.monotonic()
        self._first = self._first or self._last


def _end_with_parent(parent: int) -> Callable[[], None]:
    """Linux only: when `easel up` is killed, with -9 too, the kernel asks the gateway to stop."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # it died before the kernel was asked

    return prepare

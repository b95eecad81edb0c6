"""Runs a program that must not outlive the gateway: `python watchdog.py GRACE -- PROGRAM ARGUMENT…`

The gateway holds the other end of standard input. When that end closes, by `kill -9` too, the program is
asked to stop and killed GRACE seconds later. This works on every POSIX system and for programs that know
nothing of it, Caddy among them. Standard library only, and no import of `easel`: it starts in milliseconds
and stays small.
"""

import os
import selectors
import signal
import subprocess
import sys
import time


def _die_with_watchdog() -> None:
    # Linux only, for the one case the pipe does not cover: somebody kills the watchdog itself with -9.
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """The program's exit code; 128 + signal if a signal ended it."""
    grace, command = float(arguments[1]), arguments[3:]
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, frame: asked.append(received))
    signal.signal(signal.SIGCHLD, lambda received, frame: None)

    try:
        program = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=_die_with_watchdog if sys.platform == "linux" else None,
        )
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        return 127

    selector = selectors.DefaultSelector()
    selector.register(awake, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    kill_at: float | None = None
    while program.poll() is None:
        left = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        for key, _ in selector.select(left):
            if not os.read(key.fd, 4096) and key.fd == 0:
                selector.unregister(0)
                asked.append(signal.SIGTERM)
        if asked and kill_at is None:
            kill_at = time.monotonic() + grace
            _signal(program.pid, signal.SIGTERM)
        if kill_at is not None and time.monotonic() >= kill_at:
            _signal(program.pid, signal.SIGKILL)
            kill_at += 1
    _signal(program.pid, signal.SIGKILL)  # whatever the program left behind in its group
    return program.returncode if program.returncode >= 0 else 128 - program.returncode


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return  # it is gone already


if __name__ == "__main__":
    sys.exit(main(sys.argv))

"""`journal.py GROUP INSTANCE` ships to CloudWatch Logs what the host's units and what the container say.

Their streams are `INSTANCE/host` and `INSTANCE`. AWS takes $0.50 for each GB, and a container may be
anybody's: each stream has an allowance, and what is beyond it stays on this machine. Python 3.9.

A batch is kept until AWS has taken it; the places in journal and log are in memory, so that a restart of this
unit repeats nothing and a boot begins at its beginning.
"""

from __future__ import annotations

import calendar
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

RUN = "/run/easel"
WAITS = (5, 10, 20, 40, 80, 160, 300, 300, 300, 300)
UNITS = (
    "easel-replica",
    "easel-watch",
    "easel-gateway",
    "easel-follow",
    "easel-patch",
    "docker",
    "cloud-final",
)
# AWS takes 10,000 events and 1 MiB a call, and counts 26 bytes an event more than it says.
MOST, LONGEST, EACH = 500, 1500, 26
# Bytes: so many at once, and so many an hour for ever, which is $3.65 a month of each stream. Once it is used
# up nothing goes until a tenth of it is back, so that few words are lost in telling of it.
ALLOWANCE = 10_000_000
HOUR = 3600
# Seconds that words are gathered for one call: who was quiet is heard soon.
SOON, LATER = 2, 10
# What docker puts before each line: always nine digits.
STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})\d{6}Z")

# When, what, and the place to go on after it.
Line = tuple[int, str, str]


class Stream:
    """One stream of the group, its allowance and the place up to which AWS has it."""

    def __init__(self, group: str, name: str, kept: str, rest: str) -> None:
        self.where = ["--log-group-name", group, "--log-stream-name", name]
        self.place, self.batch = f"{RUN}/{kept}", f"{RUN}/{kept}.json"
        self.rest = rest
        self.left, self.at = float(ALLOWANCE), time.monotonic()
        self.closed, self.lost, self.put_at = False, 0, 0.0

    def begun(self) -> str:
        """The place to go on after, or nothing."""
        if not os.path.exists(self.place):
            return ""
        with open(self.place, encoding="utf-8") as text:
            return text.read()

    def follow(self, lines: Iterator[Line]) -> None:
        """Hand over all of `lines`, in batches."""
        waiting: queue.Queue[Any] = queue.Queue(10_000)

        def read() -> None:
            for line in lines:
                waiting.put(line)
            waiting.put(None)

        threading.Thread(target=ended, args=(read,), daemon=True).start()
        aws("create-log-stream", *self.where)  # says so if it exists; else putting says why not
        while True:
            batch = [waiting.get()]
            if not self.closed:
                time.sleep(SOON if time.monotonic() - self.put_at > LATER + SOON else LATER)
            while len(batch) < MOST and not waiting.empty():
                batch.append(waiting.get())
            self.put([line for line in batch if line])
            if None in batch:
                sys.exit("the journal ended")

    def put(self, lines: list[Line]) -> None:
        """Hand over one batch. What AWS refuses for half an hour must not hold up what comes after."""
        events = sorted(self.allowed(lines), key=lambda event: event["timestamp"])
        if events:
            # An argument may be 128 KiB long, a batch 750.
            with open(self.batch, "w", encoding="utf-8") as out:
                json.dump(events, out)
            for wait in WAITS:
                if aws("put-log-events", *self.where, "--log-events", f"file://{self.batch}"):
                    break
                time.sleep(wait)
            else:
                print(f"{len(events)} lines are given up", file=sys.stderr)
            self.put_at = time.monotonic()
        if lines:
            with open(self.place, "w", encoding="utf-8") as out:
                out.write(lines[-1][2])

    def allowed(self, lines: list[Line]) -> list[dict[str, Any]]:
        """The events that go, with a word where some are left out."""
        now = time.monotonic()
        self.left, self.at = min(ALLOWANCE, self.left + (now - self.at) * ALLOWANCE / HOUR), now
        going = []
        if self.closed and self.left >= ALLOWANCE / 10:
            self.closed = False
            going.append((lines[0][0], f"easel: {self.lost} lines were left out") if lines else (0, ""))
            self.lost = 0
        for when, text, _ in lines:
            size = len(text.encode()) + EACH
            if not self.closed and size > self.left:
                self.closed = True
                much = f"{ALLOWANCE // 1_000_000} MB an hour"
                going.append(
                    (when, f"easel: more than {much}: what follows is on this machine, by {self.rest}")
                )
            if self.closed:
                self.lost += 1
            else:
                self.left -= size
                going.append((when, text))
        return [{"timestamp": when, "message": text} for when, text in going if text]


def main(group: str, instance: str) -> None:
    """Runs until journalctl ends."""
    container = Stream(group, instance, "said", "docker logs easel")
    threading.Thread(
        target=ended, args=(lambda: container.follow(of_container(container.begun())),), daemon=True
    ).start()
    host = Stream(group, f"{instance}/host", "cursor", "journalctl")
    host.follow(of_units(host.begun()))


def of_units(after: str) -> Iterator[Line]:
    """What the journal holds of the units, and what comes."""
    follow = ["journalctl", "--follow", "--output=json", "--lines=all"]
    follow.append(f"--after-cursor={after}" if after else "--boot")
    journal = subprocess.Popen([*follow, *(f"--unit={unit}" for unit in UNITS)], stdout=subprocess.PIPE)
    for line in journal.stdout or ():
        entry = json.loads(line)
        yield int(entry["__REALTIME_TIMESTAMP"]) // 1000, said(entry), entry["__CURSOR"]


def of_container(after: str) -> Iterator[Line]:
    """What each container says that is made here, one after the other; of one that is left over nothing."""
    after = after or booted()
    while True:
        if not shutil.which("docker"):
            time.sleep(5)  # the gateway's image comes without
            continue
        log = subprocess.Popen(
            ["docker", "logs", "--follow", "--timestamps", "--since", after, "easel"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for line in log.stdout or ():
            stamp, _, text = line.partition(b" ")
            found = STAMP.fullmatch(stamp)
            # Without one it is docker that speaks: there is no container.
            if not found or stamp.decode() <= after:
                continue
            after = stamp.decode()
            seconds = calendar.timegm(time.strptime(found[1].decode(), "%Y-%m-%dT%H:%M:%S"))
            yield (
                seconds * 1000 + int(found[2]),
                text.decode(errors="replace").rstrip()[:LONGEST] or " ",
                after,
            )
        log.wait()
        time.sleep(5)


def booted() -> str:
    """When this machine began, as docker writes it."""
    with open("/proc/uptime", encoding="utf-8") as text:
        at = time.time() - float(text.read().split()[0])
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", time.gmtime(at))


def said(entry: dict[str, Any]) -> str:
    """One line: who, what. Text that is no UTF-8 comes as a list of bytes."""
    message = entry.get("MESSAGE") or ""
    if isinstance(message, list):
        message = bytes(message).decode(errors="replace")
    return f"{entry.get('SYSLOG_IDENTIFIER', '?')}: {message}"[:LONGEST]


def aws(*words: str) -> bool:
    """Call CloudWatch Logs. Was it content?"""
    whole = ["aws", "logs", *words, "--output", "json"]
    return subprocess.run(whole, stdout=subprocess.DEVNULL, check=False).returncode == 0


def ended(work: Callable[[], None]) -> None:
    """A thread that fails ends the unit, which systemd starts again."""
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)


main(*sys.argv[1:])

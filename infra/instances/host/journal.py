"""Ships what the host's own units say to CloudWatch Logs: `journal.py GROUP STREAM`. Python 3.9.

The container's words go by docker's own driver. A batch is kept until AWS has taken it; the place in the
journal is in memory, so that a restart of this unit repeats nothing and a boot begins at its beginning.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from typing import Any

CURSOR = "/run/easel/cursor"
BATCH = "/run/easel/batch.json"
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
# AWS takes 10,000 events and 1 MiB a call; one event may be 256 KiB long.
MOST, LONGEST = 500, 1500


def main(group: str, stream: str) -> None:
    """Runs until journalctl ends."""
    where = ["--log-group-name", group, "--log-stream-name", stream]
    aws("create-log-stream", *where)  # says so if it exists; else putting says why not
    follow = ["journalctl", "--follow", "--output=json", "--lines=all"]
    if os.path.exists(CURSOR):
        with open(CURSOR, encoding="utf-8") as text:
            follow.append(f"--after-cursor={text.read()}")
    else:
        follow.append("--boot")
    journal = subprocess.Popen([*follow, *(f"--unit={unit}" for unit in UNITS)], stdout=subprocess.PIPE)
    assert journal.stdout is not None  # noqa: S101
    lines: queue.Queue[bytes] = queue.Queue(10_000)

    def read() -> None:
        for line in journal.stdout or ():
            lines.put(line)
        lines.put(b"")

    threading.Thread(target=read, daemon=True).start()
    while True:
        batch = [lines.get()]
        time.sleep(2)  # who speaks once goes on speaking; one call for all of it
        while len(batch) < MOST and not lines.empty():
            batch.append(lines.get())
        put(where, [json.loads(line) for line in batch if line])
        if b"" in batch:
            sys.exit("the journal ended")


def put(where: list[str], entries: list[dict[str, Any]]) -> None:
    """Hand over one batch. What AWS refuses for half an hour must not hold up what comes after."""
    if not entries:
        return
    events: list[dict[str, Any]] = [
        {"timestamp": int(each["__REALTIME_TIMESTAMP"]) // 1000, "message": said(each)} for each in entries
    ]
    events.sort(key=lambda event: event["timestamp"])
    # An argument may be 128 KiB long, a batch 750.
    with open(BATCH, "w", encoding="utf-8") as out:
        json.dump(events, out)
    for wait in WAITS:
        if aws("put-log-events", *where, "--log-events", f"file://{BATCH}"):
            break
        time.sleep(wait)
    else:
        print(f"{len(events)} lines are given up", file=sys.stderr)
    with open(CURSOR, "w", encoding="utf-8") as out:
        out.write(entries[-1]["__CURSOR"])


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


main(*sys.argv[1:])

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from easel.models import Lock
from easel.models.records import Records, state_of

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from pathlib import Path
from easel.models.lock import Lock
lock = Lock(Path(sys.argv[1]))
assert lock.try_take()
print("held", flush=True)
time.sleep(600)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    """Another process that has the lock."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "image")}
    found = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert found.stdout is not None
    assert found.stdout.readline() == "held\n"
    return found


def test_one_at_a_time(tmp_path: Path) -> None:
    """Taken once; given back, it is free; nothing is left behind."""
    one, two = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert one.try_take()
    assert not two.try_take()
    one.release()
    assert two.try_take()
    two.release()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """On one machine the death of the owner is seen at once, not after the expiry."""
    path = tmp_path / "lock"
    other = holder(path)
    mine = Lock(path)
    assert not mine.try_take()
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert mine.try_take()
    mine.release()


def test_an_owner_elsewhere_is_dead_when_it_stops_touching(tmp_path: Path) -> None:
    """Of another machine's process only the heartbeat is seen."""
    path = tmp_path / "lock"
    path.write_text(json.dumps({"nonce": "x", "machine": "elsewhere", "pid": 1, "started": 1}))
    mine = Lock(path, expiry=60)
    assert not mine.try_take()
    os.utime(path, (time.time() - 59, time.time() - 59))
    assert not mine.try_take()
    os.utime(path, (time.time() - 61, time.time() - 61))
    assert mine.try_take()
    mine.release()


def test_a_living_owner_touches_it(tmp_path: Path) -> None:
    """A heartbeat: older than the expiry it never gets."""
    path = tmp_path / "lock"
    lock = Lock(path, expiry=1, beat=0.05)
    assert lock.try_take()
    first = path.stat().st_mtime_ns
    limit = time.monotonic() + 10
    while path.stat().st_mtime_ns == first:
        assert time.monotonic() < limit
        time.sleep(0.01)
    lock.release()


def test_who_lost_it_is_told_and_takes_nothing_away(tmp_path: Path) -> None:
    """A machine that slept through its expiry sees that the lock is another's."""
    path = tmp_path / "lock"
    mine = Lock(path, beat=0.02)
    assert mine.try_take()
    os.replace(path, tmp_path / "gone")
    theirs = Lock(path)
    assert theirs.try_take()
    assert mine.lost.wait(10)
    mine.release()
    assert path.exists()
    theirs.release()


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_garbage_is_nobody(tmp_path: Path, text: str) -> None:
    """A lock file that cannot be read counts by its age alone."""
    path = tmp_path / "lock"
    path.write_text(text)
    assert not Lock(path).try_take()
    os.utime(path, (0, 0))
    lock = Lock(path)
    assert lock.try_take()
    lock.release()


def test_many_at_once_over_a_dead_one(tmp_path: Path) -> None:
    """A dozen find a dead owner together: never two inside."""
    path = tmp_path / "lock"
    inside, most, done = [], [], []

    def work() -> None:
        lock = Lock(path)
        while not lock.try_take():
            time.sleep(0.002)
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.005)
        inside.pop()
        done.append(1)
        # Every other one dies in there: it neither touches nor gives back.
        if len(done) % 2:
            path.write_text(json.dumps({"nonce": "dead", "machine": "elsewhere"}))
            os.utime(path, (0, 0))
            lock.lost.set()
        lock.release()

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == 12
    assert max(most) == 1


def test_only_one_buries_the_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two find it dead; while the first carries it away the second keeps its hands off.

    Were it let in there, it would hold a new lock that the first then carries away: two would be inside.
    """
    path = tmp_path / "lock"
    path.write_text(json.dumps({"nonce": "dead", "machine": "elsewhere"}))
    os.utime(path, (0, 0))
    first, second = Lock(path), Lock(path)
    let_in = []
    rename = os.rename

    def interrupted(*arguments: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        let_in.append(second.try_take())
        rename(*arguments)

    monkeypatch.setattr(os, "rename", interrupted)
    assert first.try_take()
    assert let_in == [False]
    assert not second.try_take()
    first.release()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_with_it(tmp_path: Path) -> None:
    """Killed in the middle of taking, it leaves its attempts: who takes the lock next removes them, on one
    machine at once. Those of the living stay."""
    path = tmp_path / "lock"
    other = holder(path)
    attempts = [tmp_path / "lock.attempt", tmp_path / "lock.attempt.dead"]
    for attempt in attempts:
        attempt.write_bytes(path.read_bytes())
    other.send_signal(signal.SIGKILL)
    other.wait()
    living = Lock(tmp_path / "living")
    assert living.try_take()
    (tmp_path / "lock.living").write_bytes((tmp_path / "living").read_bytes())
    mine = Lock(path)
    assert mine.try_take()
    assert not any(attempt.exists() for attempt in attempts)
    assert (tmp_path / "lock.living").exists()
    mine.release()
    living.release()


def test_a_dead_lock_may_be_swept_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is as old as the dead: whoever sweeps then removes it under the hands of who buries."""
    path = tmp_path / "lock"
    path.write_text(json.dumps({"nonce": "dead", "machine": "elsewhere"}))
    os.utime(path, (0, 0))
    rename = os.rename

    def swept(source: Path, aside: Path) -> None:
        rename(source, aside)
        aside.unlink()

    monkeypatch.setattr(os, "rename", swept)
    lock = Lock(path)
    assert lock.try_take()
    lock.release()


def test_records_of_two_processes_are_all_kept(tmp_path: Path) -> None:
    """One file each: who writes one loses nobody else's."""
    paths = [tmp_path / f"{number}.safetensors" for number in range(20)]
    for path in paths:
        path.write_bytes(b"x")
    stores = [Records(tmp_path), Records(tmp_path)]

    def write(which: int) -> None:
        for path in paths[which::2]:
            stores[which].put(path, state_of(path.stat()), sha256=f"{which}" * 64)

    threads = [threading.Thread(target=write, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh = Records(tmp_path)
    assert [fresh.get(path, state_of(path.stat())).sha256[0] for path in paths] == ["0", "1"] * 10
    assert stores[0].get(paths[1], state_of(paths[1].stat())).sha256 == "1" * 64

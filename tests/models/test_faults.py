"""At the end each file is whole with the right hash, or absent with a reason; none is half there."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from easel.models import Lock, Store
from easel.models.fetch.partial_journal import lock_of
from tests.models import faults
from tests.models.conftest import leftovers
from tests.models.serving import Serving, model_bytes, sha256

MB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A file system of 2 MB, where the one who runs the tests may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    try:
        yield place if mounted and mounted.returncode == 0 else None
    finally:
        if mounted and mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(place)], check=True)


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    with suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while file.write(bytes(65536)):
            pass


@pytest.mark.parametrize(
    ("count", "seconds"),
    [
        pytest.param(20, 150, marks=pytest.mark.slow),
        pytest.param(200, 1500, marks=[pytest.mark.slow, pytest.mark.timeout(1600)]),
    ],
)
def test_whole_or_absent(
    server: Serving, tmp_path: Path, small_disk: Path | None, count: int, seconds: float
) -> None:
    """Downloads with random kills, cuts, truncations, wrong bytes and a full disk."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    root = tmp_path / "models"
    cases = [faults.make_case(number, server, root, small_disk, chance) for number in range(count)]

    def look(case: faults.Case) -> None:
        if case.target.exists():
            assert hashlib.sha256(case.target.read_bytes()).hexdigest() == case.digest, case

    faults.run_all(cases, server, 20, look, seconds)
    for case in cases:
        if case.wrong:
            words = {"truncated": "cut short", "bytes": "SHA-256", "full": "disk is full"}[case.wrong]
            assert (case.outcome, words in case.words) == (faults.REASON, True), case
            assert not case.target.exists()
        else:
            assert case.outcome == faults.WHOLE, case
            assert hashlib.sha256(case.target.read_bytes()).hexdigest() == case.digest
    assert leftovers(root) == []
    good = [case.served for case in cases if not case.wrong]
    sent, need = sum(each.sent for each in good), sum(len(each.content) for each in good)
    print(f"fetched {sent / need:.3f} of the need")
    assert sent <= need * 1.1


def test_a_disk_that_fills_on_the_way(server: Serving, small_disk: Path | None, tmp_path: Path) -> None:
    """Room that was there at the start and goes in the middle: a reason, and the rest when there is room."""
    if small_disk is None:
        pytest.skip("no file system can be mounted here")
    content = model_bytes(1_500_000, seed=1)
    served = server.put("/a.safetensors", content, rate=400_000)
    running = faults.start(small_disk, f"{server.url}/a.safetensors", sha256(content))
    while served.sent < 400_000:
        time.sleep(0.01)
    ballast = small_disk / "ballast"
    fill(ballast)
    running.process.join(60)
    assert running.ended
    assert running.process.exitcode == faults.REASON
    assert "disk is full" in running.words
    assert not (small_disk / "Lora" / "a.safetensors").exists()
    ballast.unlink()
    again = faults.start(small_disk, f"{server.url}/a.safetensors", sha256(content))
    again.process.join(60)
    assert again.process.exitcode == faults.WHOLE
    assert (small_disk / "Lora" / "a.safetensors").read_bytes() == content
    assert served.sent < len(content) * 1.3


@pytest.mark.slow
@pytest.mark.parametrize("machines", [("", ""), ("one", "two")], ids=["one machine", "two machines"])
def test_two_mounts_under_fire(server: Serving, tmp_path: Path, machines: tuple[str, str]) -> None:
    """Two processes on each of two mounts of one folder want one file, and are killed again and again.

    It is downloaded once, is never seen in part, and the index of either mount knows it rightly at the end.
    """
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    bound = os.geteuid() == 0 and subprocess.run(
        ["mount", "--bind", str(here), str(there)], capture_output=True, check=False
    ).returncode == 0  # fmt: skip
    if not bound:
        there.rmdir()
        there.symlink_to(here)
    content = model_bytes(3 * MB, seed=2)
    served = server.put("/a.safetensors", content, rate=300_000)
    chance = random.Random(os.urandom(8))
    target = here / "Lora" / "a.safetensors"
    wanting = [
        (root, machine) for root, machine in zip((here, there), machines, strict=True) for _ in range(2)
    ]
    processes: dict[int, faults.Process] = {}
    kills, threshold = 6, 200_000
    deadline = time.monotonic() + 120
    try:
        outcomes: dict[int, str] = {}
        while len(outcomes) < len(wanting):
            assert time.monotonic() < deadline
            for number, (root, machine) in enumerate(wanting):
                if number not in processes and number not in outcomes:
                    processes[number] = faults.start(
                        root, f"{server.url}/a.safetensors", sha256(content), machine
                    )
                running = processes.get(number)
                if running is not None and running.ended:
                    assert running.process.exitcode == faults.WHOLE, running.words
                    outcomes[number] = running.words
                    del processes[number]
            if kills and processes and served.sent > threshold:
                victim = chance.choice(list(processes))
                processes.pop(victim).kill()
                kills -= 1
                threshold = served.sent + 200_000
            if target.exists():
                assert target.read_bytes() == content
            time.sleep(0.01)
        assert sorted(outcomes.values())[1:] == ["there"] * 3, outcomes
        for root in (here, there):
            assert (root / "Lora" / "a.safetensors").read_bytes() == content
            (entry,) = Store(root, hashing=False).index()
            assert (entry.file.name, entry.file.size, entry.sha256, entry.source, entry.problem) == (
                "a.safetensors", len(content), sha256(content), f"{server.url}/a.safetensors", "",
            )  # fmt: skip
        if leftovers(here):
            # Who was killed while it asked for the lock left its candidate; the next who takes it sweeps.
            time.sleep(2)
            lock = Lock(lock_of(target), expiry=2)
            assert lock.try_take()
            lock.release()
        assert leftovers(here) == []
        kept = [path.name for path in (here / ".easel").rglob("*") if path.is_file()]
        assert kept == ["a.safetensors.json"]
        # A kill costs what was on its way; two downloads would cost twice.
        assert served.sent <= len(content) * 1.35
    finally:
        for running in processes.values():
            running.kill()
        if bound:
            subprocess.run(["umount", "-l", str(there)], check=True)

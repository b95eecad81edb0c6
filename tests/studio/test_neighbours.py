"""A studio on a CPU that it does not have to itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from easel.studio.engine.calls.cpu_threads import SMALL, threads_for
from tests.ports import free_port

ROOT = Path(__file__).parents[2]


def test_threads_sleep_soon_where_they_wait(tmp_path: Path) -> None:
    """OpenMP itself says how long torch's threads spin before they sleep: not for long, as a core that spins
    is no neighbour's. Two studios on two cores once took eight times as long as one and more."""
    environment = {**os.environ, "PYTHONPATH": "image", "OMP_DISPLAY_ENV": "verbose"}
    environment.pop("GOMP_SPINCOUNT", None)
    line = [sys.executable, "-m", "easel.studio", "--port", str(free_port()), "--home", str(tmp_path)]
    with subprocess.Popen(
        line, cwd=ROOT, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as studio:
        assert studio.stderr is not None
        try:
            said = next(line for line in studio.stderr if "GOMP_SPINCOUNT" in line)
        finally:
            studio.kill()
    assert "'700'" in said


def test_small_calls_have_one_thread() -> None:
    """Within a call that is small, and behind it as many as before; a large one has all of them."""
    torch = pytest.importorskip("torch")
    cpu, before = torch.device("cpu"), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for work, threads in ((SMALL, 1), (SMALL + 1, 2)):
            with threads_for(cpu, work):
                assert torch.get_num_threads() == threads
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)

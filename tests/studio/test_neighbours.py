"""A studio on a CPU that it does not have to itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).parents[2]


def test_threads_sleep_where_they_wait(tmp_path: Path) -> None:
    """OpenMP itself says how torch's threads wait for one another: asleep, as a core that spins is no
    neighbour's. Two studios on two cores once took eight times as long as one and more."""
    environment = {**os.environ, "PYTHONPATH": "image", "OMP_DISPLAY_ENV": "true"}
    environment.pop("OMP_WAIT_POLICY", None)
    line = [sys.executable, "-m", "easel.studio", "--port", str(free_port()), "--home", str(tmp_path)]
    with subprocess.Popen(
        line, cwd=ROOT, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as studio:
        assert studio.stderr is not None
        try:
            said = next(line for line in studio.stderr if "OMP_WAIT_POLICY" in line)
        finally:
            studio.kill()
    assert "PASSIVE" in said

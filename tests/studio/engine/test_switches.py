"""Going from checkpoint to checkpoint for as long as people like takes no more memory than at first."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.studio.engine.conftest import STARTER
from tests.studio.engine.switching import NAMES

WARM_UP, SWITCHES = 24, 100


@pytest.mark.slow
@pytest.mark.timeout(1300)
@pytest.mark.parametrize("way", ["kept", "loaded"])
def test_a_hundred_switches_keep_resident_memory_within_five_percent(tmp_path: Path, way: str) -> None:
    """After a warm-up in which each kind of request met each checkpoint twice; with checkpoints that are kept
    in memory, and with ones that are read each time; with LoRA, hires fix and refiner among them."""
    for folder in ("Stable-diffusion", "Lora"):
        (tmp_path / folder).mkdir()
    for name in NAMES:
        shutil.copy(STARTER, tmp_path / "Stable-diffusion" / f"{name}.safetensors")
    shutil.copy(STARTER.with_name("easel-starter-lora.safetensors"), tmp_path / "Lora")
    done = subprocess.run(
        [sys.executable, "-m", "tests.studio.engine.switching", tmp_path, str(WARM_UP + SWITCHES), way],
        capture_output=True, text=True, timeout=1200, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    resident = [int(line) for line in done.stdout.splitlines() if line.isdigit()]
    assert len(resident) == WARM_UP + SWITCHES
    warm = resident[WARM_UP - 12 : WARM_UP]
    after = resident[-12:]
    assert max(after) < max(warm) * 1.05, [one // 1_000_000 for one in resident]

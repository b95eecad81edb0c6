"""Loading and drawing call no hub: shown where there is no network at all, rather than by a setting."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.studio.engine.tiny import PUBLISHED

ROOT = Path(__file__).parents[3]


def without_network() -> list[str]:
    """The command that runs another one in a network namespace without interfaces."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if (
            shutil.which(command[0])
            and subprocess.run([*command, "true"], capture_output=True).returncode == 0
        ):
            return command
    if sys.platform == "linux" and os.environ.get("CI"):
        pytest.fail(
            "no network namespaces here: run the tests where `unshare -n` or `unshare -rn` is permitted"
        )
    pytest.skip("no network namespaces on this machine; CI has them")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_loads_and_draws_without_a_network(tmp_path: Path) -> None:
    """The starter and one of every family draw a step with the network cut and no cache to fall back on."""
    models = tmp_path / "models"
    (models / "Stable-diffusion").mkdir(parents=True)
    shutil.copy(ROOT / "image/starter/easel-starter.safetensors", models / "Stable-diffusion")
    keep = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "HUGGING", "TRANSFORMERS"))
    }
    environment = {**keep, "HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hub"),
                   "PYTHONPATH": f"{ROOT / 'image'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "2"}  # fmt: skip
    command = [
        *without_network(),
        sys.executable,
        "-m",
        "tests.studio.engine.no_network",
        str(tmp_path),
        str(models),
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=880)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "cut off" in done.stdout
    for name in ("starter", *PUBLISHED):
        assert f"drew with {name}\n" in done.stdout
    hub = tmp_path / "hub"
    assert not hub.exists() or not any(path.is_file() for path in hub.rglob("*"))

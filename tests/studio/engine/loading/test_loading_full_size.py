"""SD 1.5 at its full size, 2.1 GB of made-up weights: what loading takes beside the weights themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from easel.models import Architecture
from easel.studio.families import family
from tests.models.files import describe, raw
from tests.studio.engine import export
from tests.studio.engine.tiny import build

ROOT = Path(__file__).parents[3]
WEIGHTS = 2_132_470_614  # bytes of SD 1.5 in half precision
MEASURE = r"""
import json, re, sys, time
import psutil, torch
from pathlib import Path
from easel.models import Store
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
file = Store(Path(sys.argv[1]), hashing=False).find_checkpoint("v1-5")
me = psutil.Process()
before, began = me.memory_info().rss, time.perf_counter()
loaded = load_checkpoint(file, device=torch.device("cpu"), dtype=getattr(torch, sys.argv[2]))
seconds = time.perf_counter() - began
# not ru_maxrss, which counts what the parent had when it began this: the tests' process has gigabytes
peak = int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
print(json.dumps({"family": loaded.family.name, "nbytes": loaded.nbytes, "seconds": seconds,
                  "grown": me.memory_info().rss - before, "peak": peak - before,
                  "sum": float(loaded.backbone.conv_in.weight.double().sum())}))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with one SD 1.5 of full size; deleted afterwards, since temporary folders are kept."""
    root = tmp_path_factory.mktemp("models")
    path = root / "Stable-diffusion/v1-5.safetensors"
    path.parent.mkdir()
    with torch.device("meta"):
        tensors = export.checkpoint(build(family(Architecture.SD1)), export.Layout(position_ids=False))
    shapes = {name: tuple(one.shape) for name, one in tensors.items()}
    block = (torch.arange(1 << 22) % 251).div(251).sub(0.5).mul(0.05).half().numpy().tobytes()
    left = sum(one.numel() for one in tensors.values()) * 2
    raw(path, describe(shapes))
    with open(path, "ab") as file:
        while left:
            left -= file.write(block[:left])
    yield root
    path.unlink()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("dtype", "width"), [("float16", 2), ("float32", 4)])
def test_loading_takes_the_weights_and_little_more(models: Path, dtype: str, width: int) -> None:
    """At no time is there a second copy of the weights in memory, whether they are converted or not."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "image"), "MALLOC_ARENA_MAX": "2"}
    command = [sys.executable, "-c", MEASURE, str(models), dtype]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=880)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["family"], found["nbytes"]) == ("sd1", WEIGHTS // 2 * width)
    # The largest tensor is 76 MB in the file; a few of them are read at once.
    assert found["peak"] < found["nbytes"] + 400_000_000

"""Loading a checkpoint: from page cache, back from main memory, and from storage that answers slowly.

EASEL_BENCH_LOAD_BYTES sets the size: 2.1e9 (the default) is SD 1.5 at its full size in half precision, less
is the same with narrower layers. The weights are made up. Slow storage is a folder mounted by FUSE (Debian:
fuse3) whose every request waits 2 ms and then gets 100 MB a second, as one stream of NFS may; it bears any
number of them, so it shows what reading in parallel gains, not what a server bears. Alternating pairs,
EASEL_BENCH_PAIRS of them (7).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.checkpoint_file import FULL, of_size
from bench.child import child
from bench.table import alternating, comparison

LATENCY, RATE = 0.002, 100e6


def rows() -> Iterator[list[str]]:
    """The table's rows."""
    import torch
    from safetensors.torch import load_file

    from easel.models import ModelFile, read_header
    from easel.studio.engine import Checkpoint, DeviceMemory, Weights, copied, load_checkpoint
    from tests.studio.engine.tiny import model_file

    size = float(os.environ.get("EASEL_BENCH_LOAD_BYTES", FULL))
    pairs = int(os.environ.get("EASEL_BENCH_PAIRS", "7"))
    cpu, half = torch.device("cpu"), torch.float16
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as folder:
        family, path = of_size(Path(folder), size)
        file = model_file(path)
        words = f"{file.size / 1e9:.2f} GB"
        path.read_bytes()  # into the page cache

        def read() -> object:
            header = read_header(path)
            with Weights(path, header) as weights:
                return weights.read(header.tensors, device=cpu, dtype=half)

        def load(which: ModelFile = file) -> Checkpoint:
            return load_checkpoint(which, device=cpu, dtype=half, family=family)

        def peer() -> object:
            # load_file maps and reads nothing; a mapped file that is cut short ends the process, so who
            # serves from it takes it into memory of its own.
            return [one.clone() for one in load_file(path).values()]

        against = "safetensors' load_file and a copy"
        what = f"{words} of tensors from page cache, against {against}"
        yield _compared(what, read, peer, pairs, "≤ 1.15")
        what = f"the same with modules and tokenizers, ready to draw, against {against}"
        yield _compared(what, load, peer, pairs, "")

        kept, main_memory = load(), DeviceMemory(cpu)
        modules = (kept.backbone, kept.vae, *kept.text_encoders)
        yield _compared(
            f"switch back to {words} kept in memory, against a plain copy",
            lambda: copied(kept, main_memory),
            lambda: [one.clone() for m in modules for one in m.state_dict().values()],
            pairs,
            "≤ 1.5",
        )
        what = f"load of {words}, cold, over a slow mount, against `cat`"
        if missing := [name for name in ("fusermount3", "/dev/fuse") if not _has(name)]:
            yield [what, "-", f"no {missing[0]} here", "-", "≤ 1"]
            return
        with _slow_mount(path.parent) as mounted:
            far = model_file(mounted / path.name)
            cat = ["cat", str(far.path)]
            yield _compared(
                what,
                lambda: load(far),
                lambda: subprocess.run(cat, stdout=subprocess.DEVNULL, check=True),
                pairs,
                "≤ 1",
            )


def _compared(
    what: str, one: Callable[[], object], other: Callable[[], object], pairs: int, promise: str
) -> list[str]:
    one(), other()  # imports, and memory that the kernel gives for the first time
    return comparison(what, alternating(partial(_timed, one), partial(_timed, other), pairs), promise)


def _timed(what: Callable[[], object]) -> float:
    import torch

    from easel.studio.engine import give_back

    give_back(torch.device("cpu"))  # nobody gets the memory that the one before has left
    began = time.perf_counter()
    kept = what()
    seconds = time.perf_counter() - began
    del kept
    return seconds


def _has(name: str) -> bool:
    return shutil.which(name) is not None or Path(name).is_char_device()


@contextmanager
def _slow_mount(folder: Path) -> Iterator[Path]:
    """`folder`, far away. The kernel forgets a file of it whenever one opens it, so every read is cold."""
    with (
        tempfile.TemporaryDirectory(prefix="easel-far-") as point,
        child("slow_mount", folder, point, LATENCY, RATE) as process,
    ):
        while not os.path.ismount(point):
            if process.poll() is not None:
                raise RuntimeError("the slow folder could not be mounted")
            time.sleep(0.05)
        yield Path(point)


if __name__ == "__main__":
    for row in rows():
        sys.stdout.write(" | ".join(row) + "\n")

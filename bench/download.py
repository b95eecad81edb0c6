"""Downloads from a server 20 ms away that limits each connection, against aria2c, curl and the hub's client.

Each program is a process of its own, its start counted, as a person waits for it. EASEL_BENCH_BYTES sets the
size (2 GB), EASEL_BENCH_RATE what one connection carries (25 MB a second), EASEL_BENCH_PAIRS the pairs (3).
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
from pathlib import Path

import httpx

from bench.child import child
from bench.table import alternating, comparison, pair_ratio, spread
from easel.models import AUTOV3_BELOW
from scripts.settings import ROOT

LATENCY = 0.02
_EASEL = """
import sys
from pathlib import Path
from easel.models import FetchLimits, Intake, Kind, ModelRequest, Store
if sys.argv[4] == "no hash":
    from easel.models import hashes
    hashes.Digests.update = lambda self, block: None
Intake(Store(Path(sys.argv[2]), hashing=False), limits=FetchLimits(connections=int(sys.argv[3]))).add(
    ModelRequest(sys.argv[1], Kind.CHECKPOINT))
"""
_HUB = """
import sys
from huggingface_hub import hf_hub_download
hf_hub_download("org/repo", "model.safetensors", local_dir=sys.argv[2], endpoint=sys.argv[1], token=False)
"""


def rows() -> Iterator[list[str]]:
    """The table's rows: ours, theirs, the ratio and the promise."""
    size = int(float(os.environ.get("EASEL_BENCH_BYTES", "2e9")))
    rate = float(os.environ.get("EASEL_BENCH_RATE", "25e6"))
    pairs = int(os.environ.get("EASEL_BENCH_PAIRS", "3"))
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder), size, rate) as url:
        file = f"{url}/org/repo/resolve/main/model.safetensors"
        work = Path(folder) / "work"

        def easel(connections: int) -> Callable[[], float]:
            line = [sys.executable, "-c", _EASEL, file, str(work), str(connections), ""]
            return lambda: _time(line, work, size)

        aria2c = ["aria2c", "-q", "-x16", "-s16", "-d", str(work), "-o", "file", file]
        digest = httpx.head(file).headers["etag"].strip('"')
        others: dict[str, tuple[list[str], int]] = {
            "curl": (["curl", "-sSf", "-o", str(work / "file"), file], 8),
            "huggingface_hub": ([sys.executable, "-c", _HUB, url, str(work)], 8),
            "aria2c -x16, which checks nothing": (aria2c, 16),
            "aria2c -x16 that checks the SHA-256 too": ([*aria2c, f"--checksum=sha-256={digest}"], 16),
        }
        for name, (line, connections) in others.items():
            what = f"download of {size / 1e9:g} GB, {connections} connections, against {name}"
            if shutil.which(line[0]) is None:
                yield [what, "-", f"{name} is not installed", "-", ""]
                continue
            one = easel(connections)
            found = alternating(one, lambda line=line: _time(line, work, size), pairs)  # type: ignore[misc]
            yield comparison(what, found, "" if "nothing" in name else "≤ 1")
    # Of a file as large as a checkpoint AutoV3 is not computed; of one as large as a LoRA may be, it is.
    for whole in (size, min(size, AUTOV3_BELOW) * 19 // 20):
        hashes = "SHA-256" if whole >= AUTOV3_BELOW else "SHA-256 and AutoV3"
        with tempfile.TemporaryDirectory() as folder, _server(Path(folder), whole, rate) as url:
            file, work = f"{url}/org/repo/resolve/main/model.safetensors", Path(folder) / "work"
            line = [sys.executable, "-c", _EASEL, file, str(work), "8"]
            found = alternating(
                lambda: _time([*line, ""], work, whole),  # noqa: B023 - called here and now
                lambda: _time([*line, "no hash"], work, whole),  # noqa: B023
                pairs,
            )
            with_hash, without = zip(*found, strict=True)
            yield [f"hashing {whole / 1e9:g} GB while it streams, {hashes}", spread(with_hash),
                   f"{spread(without)}, no hash", pair_ratio(with_hash, without), "≤ 1.05"]  # fmt: skip


def _time(line: list[str], work: Path, size: int) -> float:
    """Seconds that a program takes for the whole file."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "image"), "HF_HUB_DISABLE_XET": "1",
                   "HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # fmt: skip
    began = time.perf_counter()
    subprocess.run(line, check=True, env=environment, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    if size not in {path.stat().st_size for path in work.rglob("*") if path.is_file()}:
        raise RuntimeError(f"{line[0]} did not bring the whole file")
    return seconds


@contextmanager
def _server(folder: Path, size: int, rate: float) -> Iterator[str]:
    """The server far away, with a sparse file that has the header of a model."""
    file = folder / "model.safetensors"
    text = f'{{"w":{{"dtype":"U8","shape":[{size - 512}],"data_offsets":[0,{size - 512}]}}}}'.encode().ljust(
        504
    )
    with file.open("wb") as out:
        out.write((504).to_bytes(8, "little") + text)
        out.truncate(size)
    with child("far_server", file, LATENCY, rate) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"

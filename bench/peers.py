"""Easel's studio against another server that reads the same file, over HTTP, in turns: by itself,
`python -m bench.peers [SIDE [STEPS]]` (512, 4).

The other is stable-diffusion.cpp by its Python package, one picture at a time behind a lock
(`peer_server.py`): EASEL_BENCH_PEER names the Python of an environment where
`pip install stable-diffusion-cpp-python` has built it, EASEL_BENCH_PEER_THREADS its threads (all cores). The
file is an SD 1.5 of full size with made-up weights in half precision, in the layout of published ones; the
other knows no shape than those, so not the starter's. Easel computes in single precision on a CPU, the other
with weights in half precision. EASEL_BENCH_PAIRS sets the rounds (3). It takes 7 GB of memory.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import httpx

from bench.checkpoint_file import FULL, of_size
from bench.crowd import rate, seconds
from bench.running import ROOT
from bench.studio_process import StudioProcess, studio_process
from bench.table import comparison, in_turns, machine, markdown_lines
from bench.txt2img import request
from tests.ports import free_port

PEOPLE = ("ada", "bob", "cyd", "dee")
COLOURS = ("red", "blue", "green", "yellow")
HEADER = ("what", "Easel", "stable-diffusion.cpp", "ratio (range of pairs)", "promise")
ROUNDS = int(os.environ.get("EASEL_BENCH_PAIRS", "3"))
_LOOK = 0.05


class Waited(NamedTuple):
    """Seconds from a request until its picture was there, and until its first step was done."""

    picture: float
    first_step: float


Draw = Callable[[str, dict[str, object]], Waited]


def main(side: int, steps: int) -> None:
    """Measure and print."""
    sys.stdout.write(f"{machine()}\n\n")
    with tempfile.TemporaryDirectory(prefix="easel-peers-") as folder:
        _, checkpoint = of_size(Path(folder), FULL)
        with _peer(checkpoint) as theirs, studio_process(Path(folder) / "home", checkpoint) as studio:
            studio.until_ready()
            rows = _rows(lambda who, body: _ours(studio, who, body), theirs, side, steps)
            for line in markdown_lines(HEADER, rows):
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
    sys.stdout.write(f"\nload average at the end {os.getloadavg()[0]:.1f}\n")


def _rows(ours: Draw, theirs: Draw, side: int, steps: int) -> Iterator[list[str]]:
    for people in (1, len(PEOPLE)):
        pairs = in_turns(
            lambda number, count=people: _round(ours, count, side, steps, number),
            lambda number, count=people: _round(theirs, count, side, steps, number),
            ROUNDS + 1,
        )[1:]
        what = f"{'one person' if people == 1 else f'{people} people'}, {side}x{side}, {steps} steps"
        for name, shown, found in (
            ("pictures a minute", rate, lambda all_of: 60 * len(all_of) / max(one.picture for one in all_of)),
            ("median wait", seconds, lambda all_of: statistics.median(one.picture for one in all_of)),
            ("longest wait", seconds, lambda all_of: max(one.picture for one in all_of)),
            ("first step, the last of them", seconds, lambda all_of: max(one.first_step for one in all_of)),
        ):
            yield comparison(f"{what}, {name}", [(found(a), found(b)) for a, b in pairs], "", shown)


def _round(draw: Draw, people: int, side: int, steps: int, number: int) -> list[Waited]:
    """Everybody asks at once, and waits."""
    bodies = [
        {**request(f"a {colour} star on white", side, number * len(PEOPLE) + place), "steps": steps}
        for place, colour in enumerate(COLOURS[:people])
    ]
    with ThreadPoolExecutor(people) as crowd:
        return list(crowd.map(draw, PEOPLE[:people], bodies))


def _ours(studio: StudioProcess, who: str, body: dict[str, object]) -> Waited:
    """What a person looks at while they wait says when the first step was done: late by a look at most."""
    began, seen, through = time.perf_counter(), list[float](), threading.Event()

    def look() -> None:
        with studio.client(who) as client:
            while not (seen or through.wait(_LOOK)):
                shown = client.get("/sdapi/v1/progress", params={"skip_current_image": True}).json()
                if shown["state"]["sampling_step"] > 0:
                    seen.append(time.perf_counter() - began)

    looking = threading.Thread(target=look)
    looking.start()
    with studio.client(who) as client:
        client.post("/sdapi/v1/txt2img", json={**body, "save_images": False}).raise_for_status()
    took = time.perf_counter() - began
    through.set()
    looking.join()
    return Waited(took, seen[0] if seen else took)


@contextlib.contextmanager
def _peer(checkpoint: Path) -> Iterator[Draw]:
    """The other server, until the end of the measurement."""
    python, port = os.environ.get("EASEL_BENCH_PEER"), free_port()
    if python is None:
        raise SystemExit("EASEL_BENCH_PEER: a Python where stable-diffusion-cpp-python is installed")
    line = [python, str(ROOT / "bench" / "peer_server.py"), str(checkpoint), str(port)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=3600, trust_env=False) as client:

        def draw(_who: str, body: dict[str, object]) -> Waited:
            began = time.perf_counter()
            answer = client.post("/", json=body).raise_for_status().json()
            return Waited(time.perf_counter() - began, answer["first_step"])

        try:
            _until_it_listens(process, client)
            yield draw
        finally:
            process.kill()
            process.wait()


def _until_it_listens(process: subprocess.Popen[bytes], client: httpx.Client) -> None:
    while process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            client.get("/")  # it knows no GET, and says so
            return
        time.sleep(0.2)
    raise RuntimeError("the other server ended before it listened")


if __name__ == "__main__":
    asked = dict(enumerate(map(int, sys.argv[1:])))
    main(asked.get(0, 512), asked.get(1, 4))

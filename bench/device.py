"""What this machine's device gives, by the shapes of published models: by itself,
`python -m bench.device [sd1 sdxl …]`.

For a GPU, in one run of some minutes. Weights are made up, in the published layout and of full size; nothing
is fetched. The peer is diffusers' own pipeline in a process of its own, on the same device, in half precision
on a GPU. Studios stand beside each other, as written, with `compile` and with `cuda_graphs`; turns alternate.
At the end what the peer's profiler says of one call of its UNet: how long the device worked of it, which is
all that CUDA graphs can save, and what a decode is of a picture of 20 steps, which is all that a stream for
the VAE could.

EASEL_BENCH_SIDE sets the side (512 for sd1 and its like, else 1024), EASEL_BENCH_ROUNDS the rounds (7). With
`starter` it measures the starter as it is shipped: to see that all this runs, where there is no GPU.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

from bench.checkpoint_file import written
from bench.crowd import PEOPLE, rate, wishes
from bench.device_peer import DevicePeer, device_peer
from bench.loras import at_once
from bench.running import STARTER
from bench.studio_process import StudioProcess, studio_process
from bench.table import comparison, in_turns, machine, markdown
from bench.txt2img import draw, request
from easel.models import Architecture
from easel.studio.families import family

HEADER = ("what", "one", "other", "ratio (range of pairs)", "promise")
ROUNDS = int(os.environ.get("EASEL_BENCH_ROUNDS", "7"))
# Of which the first calls measure how many pictures pay, and compile.
WARM = 2
_STUDIOS: dict[str, dict[str, str]] = {
    "written": {}, "compiled": {"EASEL_COMPILE": "1"}, "recorded": {"EASEL_CUDA_GRAPHS": "1"},
}  # fmt: skip


def main(names: list[str]) -> None:
    """Measure and print, model by model."""
    sys.stdout.write(f"{machine()}\n")
    for name in names or ["sd1", "sdxl"]:
        with tempfile.TemporaryDirectory(prefix="easel-bench-") as folder, contextlib.ExitStack() as stack:
            architecture = Architecture(name)
            checkpoint = STARTER
            if architecture is not Architecture.STARTER:
                checkpoint = written(Path(folder), family(architecture))
            peer = stack.enter_context(device_peer(checkpoint, architecture))
            plain, compiled, recorded = (
                stack.enter_context(studio_process(Path(folder) / how, checkpoint, settings))
                for how, settings in _STUDIOS.items()
            )
            for studio in (plain, compiled, recorded):
                studio.until_ready()
            found = [
                *_rows(name, peer, plain),
                *_beside(name, "compiled", plain, compiled),
                *_beside(name, "CUDA graphs", plain, recorded),
            ]
            sys.stdout.write(f"\n{peer.device}\n\n{markdown(HEADER, found)}\n{_profiled(name, peer)}\n")
            sys.stdout.flush()


def _rows(name: str, peer: DevicePeer, plain: StudioProcess) -> Iterator[list[str]]:
    side = _side(name)
    with plain.client("ada") as ours:
        alone = partial(_alone, side)
        yield _compared(f"{name}, one picture, {side}x{side}: Easel, diffusers",
                        partial(alone, ours), lambda number: peer.draw(_body(side, number)))  # fmt: skip
        with ThreadPoolExecutor(PEOPLE) as people:
            crowd = partial(_crowd, people, side)
            eight = f"{name}, eight people, pictures a minute"
            yield _rates(f"{eight}: Easel, diffusers one after another", partial(crowd, ours),
                         lambda number: sum(peer.draw(body) for body in wishes(side, number)))  # fmt: skip
            yield _rates(f"{eight}: Easel, diffusers with all eight in one call", partial(crowd, ours),
                         lambda number: peer.draw({**_body(side, number), "batch": PEOPLE}))  # fmt: skip
            yield _rates(f"{eight}: `cache: deep`, without", partial(crowd, ours, cache="deep"),
                         partial(crowd, ours))  # fmt: skip


def _beside(name: str, how: str, plain: StudioProcess, other: StudioProcess) -> Iterator[list[str]]:
    """A studio that draws in another way beside the one that draws as it is written."""
    side = _side(name)
    with plain.client("ada") as ours, other.client("ada") as faster:
        alone = partial(_alone, side)
        yield _compared(f"{name}, one picture: {how}, as written",
                        partial(alone, faster), partial(alone, ours))  # fmt: skip
        with ThreadPoolExecutor(PEOPLE) as people:
            crowd = partial(_crowd, people, side)
            yield _rates(f"{name}, eight people, pictures a minute: {how}, as written",
                         partial(crowd, faster), partial(crowd, ours))  # fmt: skip


def _profiled(name: str, peer: DevicePeer) -> str:
    """One line for one row and one for eight people's rows."""
    lines = []
    for rows in (2, 2 * PEOPLE):
        seen = peer.profile(_side(name), rows)
        busy = f"the device worked {seen.busy / seen.call:.0%} of it" if seen.busy else "no GPU, so not split"
        share = seen.decode / (seen.decode + 20 * seen.call)
        lines.append(
            f"- {name}, a UNet call of {rows} rows: {seen.call * 1000:.1f} ms, {seen.launches} launches, "
            f"{busy}; a decode of {rows // 2} is {share:.1%} of 20 steps"
        )
    return "\n" + "\n".join(lines)


def _side(name: str) -> int:
    usual = "512" if name.startswith("sd1") or name == "starter" else "1024"
    return int(os.environ.get("EASEL_BENCH_SIDE", usual))


def _body(side: int, number: int) -> dict[str, object]:
    return request("a red star on white", side, number)


def _alone(side: int, client: httpx.Client, number: int) -> float:
    return draw(client, _body(side, number))


def _crowd(people: ThreadPoolExecutor, side: int, client: httpx.Client, number: int, **more: object) -> float:
    """Seconds until all eight have theirs."""
    return at_once(client, people, wishes(side, number, **more))[0]


def _compared(what: str, one: Callable[[int], float], other: Callable[[int], float]) -> list[str]:
    return comparison(what, in_turns(one, other, ROUNDS + WARM)[WARM:], "")


def _rates(what: str, one: Callable[[int], float], other: Callable[[int], float]) -> list[str]:
    pairs = in_turns(one, other, ROUNDS + WARM)[WARM:]
    return comparison(what, [(PEOPLE * 60 / a, PEOPLE * 60 / b) for a, b in pairs], "", rate)


if __name__ == "__main__":
    main(sys.argv[1:])

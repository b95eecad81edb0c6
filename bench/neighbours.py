"""Two studios that draw at once on the same cores, against one that draws alone: by itself,
`python -m bench.neighbours [SIDE …]`.

Each is a process of its own, as two endpoints of one machine are. Turns alternate, so that others on the
machine meet both. The processor's seconds are beside: they hold on a busy machine too, where those of the
clock do not. At the end the same with threads that wait as torch's own OpenMP has it, which is what a studio
did once. EASEL_BENCH_PAIRS sets the pairs (5).
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.running import STARTER
from bench.studio_process import StudioProcess, studio_process
from bench.table import comparison, in_turns, machine, markdown
from bench.txt2img import draw, request

HEADER = ("what", "two at once", "one alone", "ratio (range of pairs)", "promise")
# Pictures of a turn by their side: a turn takes a second or two alone.
PICTURES = {64: 12, 128: 6, 256: 3, 512: 1}
PAIRS = int(os.environ.get("EASEL_BENCH_PAIRS", "5"))
# What libgomp does by itself: a third of a million looks at what it waits for, then it sleeps.
AS_TORCH_COMES = {"GOMP_SPINCOUNT": "300000"}


def main(sides: list[int]) -> None:
    """Measure and print."""
    sys.stdout.write(f"{machine()}\n\n")
    found = []
    for name, more in (("", {}), (", threads waiting as torch comes", AS_TORCH_COMES)):
        with _studios(more) as studios:
            for side in sides:
                found += _rows(studios, side, name)
    sys.stdout.write(markdown(HEADER, found) + f"\n\nload average at the end {os.getloadavg()[0]:.1f}\n")


def _rows(studios: list[StudioProcess], side: int, name: str) -> list[list[str]]:
    one = studios[:1]
    pairs = in_turns(
        lambda number: _turn(studios, side, number), lambda number: _turn(one, side, number), PAIRS + 1
    )[1:]
    clock = [(ours[0], theirs[0]) for ours, theirs in pairs]
    # of one studio, so that 1 says that company costs the processor nothing
    work = [(ours[1] / 2, theirs[1]) for ours, theirs in pairs]
    what, promise = f"{PICTURES[side]} of {side}x{side}{name}", "" if name else "≤ 2.3"
    return [
        comparison(f"{what}, until both are there", clock, promise),
        comparison(f"{what}, processor, of one studio", work, ""),
    ]


def _turn(studios: list[StudioProcess], side: int, number: int) -> tuple[float, float]:
    """Seconds until each has drawn its pictures, and of the processor, all together."""

    def drawn(one: StudioProcess) -> None:
        with one.client("ada") as client:
            for picture in range(PICTURES[side]):
                draw(client, request("a red star on white", side, number * 100 + picture))

    before = sum(one.processor() for one in studios)
    began = time.perf_counter()
    with ThreadPoolExecutor(len(studios)) as people:
        list(people.map(drawn, studios))
    took = time.perf_counter() - began
    return took, sum(one.processor() for one in studios) - before


@contextlib.contextmanager
def _studios(more: dict[str, str]) -> Iterator[list[StudioProcess]]:
    with contextlib.ExitStack() as all_of_it:
        homes = [all_of_it.enter_context(tempfile.TemporaryDirectory()) for _ in range(2)]
        started = [all_of_it.enter_context(studio_process(Path(home), STARTER, more)) for home in homes]
        for one in started:
            one.until_ready()
        yield started


if __name__ == "__main__":
    main([int(side) for side in sys.argv[1:]] or [128, 512])

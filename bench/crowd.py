"""Eight people at once on the starter, against the same requests one after another through the plain
pipeline."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.plain import Plain
from bench.running import Running
from bench.txt2img import draw, request

PEOPLE = 8
ROUNDS = 5
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "black", "white")


def rows(easel: Running, plain: Plain) -> Iterator[list[str]]:
    """Pictures a minute and the longest wait of anyone, as medians over the rounds."""
    rates: list[tuple[float, float]] = []
    waits: list[tuple[float, float]] = []
    with easel.client() as client, ThreadPoolExecutor(PEOPLE) as people:
        for number in range(ROUNDS + 2):
            bodies = [
                request(f"a {colour} star on white", 128, number * PEOPLE + i)
                for i, colour in enumerate(COLOURS)
            ]
            began = time.perf_counter()
            ours = list(people.map(lambda body: draw(client, body), bodies))
            together = time.perf_counter() - began
            theirs = [plain.draw(body) for body in bodies]
            if number >= 2:  # the first rounds are where the width is measured
                rates.append((PEOPLE * 60 / together, PEOPLE * 60 / sum(theirs)))
                waits.append((max(ours), sum(theirs)))
    yield _row("eight people, pictures a minute", rates, "≥ 1.4", "{:.1f}")
    yield _row("eight people, longest wait", waits, "< 1", "{:.2f} s")


def _row(name: str, pairs: list[tuple[float, float]], promise: str, shape: str) -> list[str]:
    ours, theirs = zip(*pairs, strict=True)
    ratios = [a / b for a, b in pairs]
    low, high = min(ratios), max(ratios)
    middle = statistics.median(ours), statistics.median(theirs)
    return [
        name,
        shape.format(middle[0]),
        shape.format(middle[1]),
        f"{middle[0] / middle[1]:.3f} ({low:.3f}-{high:.3f})",
        promise,
    ]

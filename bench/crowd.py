"""Eight people at once on the starter, against the same requests one after another through the plain
pipeline; and a small picture beside somebody who asks for as much as one may, against the same one alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.plain import Plain
from bench.running import Running
from bench.table import comparison
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
            bodies = wishes(128, number)
            began = time.perf_counter()
            ours = list(people.map(lambda body: draw(client, body), bodies))
            together = time.perf_counter() - began
            theirs = [plain.draw(body) for body in bodies]
            if number >= 2:  # the first rounds are where the width is measured
                rates.append((PEOPLE * 60 / together, PEOPLE * 60 / sum(theirs)))
                waits.append((max(ours), sum(theirs)))
        alone = [draw(client, small(number)) for number in range(ROUNDS)]
        beside = _beside_the_greedy(easel)
    small_beside = zip(beside, alone, strict=True)
    yield comparison("a 64-pixel picture beside 60 of 1024 at 150 steps", small_beside, "", seconds)
    yield comparison("eight people, pictures a minute", rates, "≥ 1.4", rate)
    yield comparison("eight people, longest wait", waits, "< 1", seconds)


def wishes(side: int, number: int, **more: object) -> list[dict[str, object]]:
    """What the eight ask for in a round: each in a colour and by a seed of their own."""
    return [
        {**request(f"a {colour} star on white", side, number * PEOPLE + i), **more}
        for i, colour in enumerate(COLOURS)
    ]


def small(number: int) -> dict[str, object]:
    """A picture that is nothing to draw."""
    return {**request("a red star on white", 64, number), "steps": 4}


def _beside_the_greedy(easel: Running) -> list[float]:
    """Seconds of small pictures while another person draws the largest request that is taken."""
    greedy = {**request("a blue star on white", 1024, 1), "steps": 150, "batch_size": 15, "n_iter": 4}
    other = easel.another()
    waits = []
    with other, ThreadPoolExecutor(1) as one, easel.client() as client:
        job = one.submit(other.post, "/sdapi/v1/txt2img", json=greedy)
        while other.get("/sdapi/v1/progress?skip_current_image=true").json()["progress"] == 0:
            if job.done():  # refused: on this machine, now, a step of that size is too long
                job.result().raise_for_status()
            time.sleep(0.2)
        for number in range(ROUNDS):
            waits.append(draw(client, small(number)))
            time.sleep(1)  # as another person comes when they come, not right behind the last
        other.post("/sdapi/v1/interrupt").raise_for_status()
        job.result()
    return waits


def seconds(found: Sequence[float]) -> str:
    """The median, as the table has it."""
    return f"{statistics.median(found):.2f} s"


def rate(found: Sequence[float]) -> str:
    """The median of pictures a minute."""
    return f"{statistics.median(found):.1f}"

"""Eight people at once with the cache of the UNet's deep part, against the same eight without, on the same
Easel: what the cache is worth on top of sharing calls."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx

from bench.crowd import PEOPLE, rate, wishes
from bench.loras import at_once
from bench.running import Running
from bench.table import comparison, in_turns

ROUNDS = 9
SIDES = (128, 256)


def rows(easel: Running) -> Iterator[list[str]]:
    """Pictures a minute at each size, round by round with and without."""
    with easel.client() as client, ThreadPoolExecutor(PEOPLE) as people:
        for side in SIDES:
            rates = _measured(client, people, side)
            what = f"eight people with `cache: deep`, {side}x{side}, pictures a minute"
            yield comparison(what, rates, "≥ 1.5", rate)


def _measured(client: httpx.Client, people: ThreadPoolExecutor, side: int) -> list[tuple[float, float]]:
    """Pictures a minute with the cache and without, round by round."""

    def seconds(number: int, **more: object) -> float:
        return at_once(client, people, wishes(side, number, **more))[0]

    # the first rounds are where the width is measured
    pairs = in_turns(lambda number: seconds(number, cache="deep"), seconds, ROUNDS + 2)[2:]
    return [(PEOPLE * 60 / ours, PEOPLE * 60 / theirs) for ours, theirs in pairs]

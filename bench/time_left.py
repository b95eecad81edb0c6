"""How wrong the time left is that tickets tell: on a stand-in device whose clock is a number, and while two
people wait for requests of mixed sizes."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator

import httpx

from bench.plain import Plain
from bench.running import Running
from bench.stand_in_device import StandInDevice
from bench.txt2img import request

PEOPLE, EACH = 2, 4
AFTERNOONS, JOBS = 8, 40
# What is left of less is a step or two, and of no use to anybody.
SHORTEST = 1.0
STEPS_KNOWN = 3


def rows(easel: Running, _: Plain) -> Iterator[list[str]]:
    """Median errors of what was told: of what was being drawn, after three steps, and of what waited."""
    yield _stand_in()
    told: list[tuple[str, str, float, float]] = []
    with easel.client() as one, easel.another() as other:
        tickets = _asked([one, other])
        ends: dict[str, float] = {}
        while len(ends) < len(tickets):
            for client in (one, other):
                _look(client, tickets, ends, told)
            time.sleep(0.2)
    for state, name in (("drawing", "being drawn, after three steps"), ("queued", "waiting")):
        errors = [
            (eta - left) / left
            for ticket, was, at, eta in told
            if was == state and (left := ends[ticket] - at) > SHORTEST
        ]
        sizes = [abs(one) for one in errors]
        yield [
            f"time left told, {name}: error",
            _shown(sizes),
            "",
            f"bias {statistics.median(errors):+.0%}",
            "≤ 25 %",
        ]


def _stand_in() -> list[str]:
    """The same numbers each time; a test holds them."""
    errors = [one for seed in range(AFTERNOONS) for one in StandInDevice(seed).run(JOBS)]
    sizes = [abs(one) for one in errors]
    return [
        "time left told, stand-in device with recorded steps, company coming and going: error",
        _shown(sizes),
        "",
        f"bias {statistics.median(errors):+.0%}",
        "≤ 25 %",
    ]


def _shown(sizes: list[float]) -> str:
    return f"{statistics.median(sizes):.0%} (nine of ten within {statistics.quantiles(sizes, n=10)[-1]:.0%})"


def _asked(clients: list[httpx.Client]) -> set[str]:
    chance, tickets = random.Random(4), set()
    for number in range(EACH):
        for client in clients:
            body = request("a red circle on white", chance.choice((64, 128, 192, 256)), number)
            body |= {"steps": chance.choice((20, 40, 60)), "n_iter": chance.choice((1, 2, 4))}
            answer = client.post("/sdapi/v1/txt2img", json=body, headers={"Prefer": "respond-async"})
            tickets.add(answer.raise_for_status().json()["id"])
    return tickets


def _look(
    client: httpx.Client, tickets: set[str], ends: dict[str, float], told: list[tuple[str, str, float, float]]
) -> None:
    """Note what is told now, and which tickets are done."""
    for one in client.get("/jobs").raise_for_status().json()["jobs"]:
        now = time.monotonic()
        if one["id"] not in tickets or one["id"] in ends:
            continue
        if one["state"] in ("done", "failed", "cancelled"):
            ends[one["id"]] = now
        elif one["eta"] is not None and (one["state"] == "queued" or one["step"] >= STEPS_KNOWN):
            told.append((one["id"], one["state"], now, one["eta"]))

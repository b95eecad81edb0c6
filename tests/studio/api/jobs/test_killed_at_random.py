"""Two hundred accepted requests and a studio that is killed again and again: each ends drawn with the right
pixels, or reported.

Thirty of them in `make test-long`; all in `make faults`, which sets EASEL_FAULT_JOBS.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.studio.api.jobs.requests_of_a_day import KindOfRequest, request_of_a_day
from tests.studio.api.jobs.restarted_studio import RestartedStudio

JOBS = int(os.environ.get("EASEL_FAULT_JOBS", "30"))
# Requests that come in one life; so many lives are ended.
A_LIFE = 6
PEOPLE = ("ada", "bob", "cyd", "dee", "eve")
ASYNC = {"Prefer": "respond-async"}


class Crowd:
    """People who send requests to a studio that dies, and who ask again where they had no answer."""

    def __init__(self, studio: RestartedStudio, chance: random.Random) -> None:
        self.studio, self._chance = studio, chance
        self.waiting = list(range(JOBS))
        self.tickets: dict[int, tuple[str, str]] = {}
        """By the request's number its owner and the ticket's id."""
        self.unanswered = 0
        self.at_work: Counter[str] = Counter()
        """Kinds of what was begun and not ended when the studio was killed, all kills together."""
        self.kills: Counter[str] = Counter()

    def live(self) -> None:
        """Start the studio, have some requests come, and kill it: now and then while it starts, else while it
        takes requests or draws, and every second time in the middle of a picture, which takes less than a
        second: left to chance alone, all kills of a run have missed them on a fast machine."""
        self.studio.launch()
        if self._chance.random() < 0.15:
            time.sleep(self._chance.uniform(0.5, 6))
            self._kill("while it started")
            return
        self.studio.until_ready()
        with ThreadPoolExecutor(1) as people:
            sent = people.submit(self._send, self.waiting[:A_LIFE])
            if self.kills["while it drew"] % 2 == 0:
                self._until_something_is_drawn()
                time.sleep(self._chance.uniform(0, 0.3))
            else:
                time.sleep(self._chance.uniform(0.05, 2.5))
            self._kill("while it drew" if sent.done() else "while requests came")
            sent.result()

    def _send(self, numbers: list[int]) -> None:
        for number in numbers:
            owner, asked = PEOPLE[number % len(PEOPLE)], request_of_a_day(number)
            try:
                with self.studio.ask(owner) as client:
                    answer = client.post(asked.route, json=asked.body, headers=ASYNC)
            except httpx.TransportError:
                self.unanswered += 1
                return
            assert answer.status_code == 202, answer.text
            self.tickets[number] = owner, answer.json()["id"]
            self.waiting.remove(number)

    def _until_something_is_drawn(self) -> None:
        """For five seconds at the most: everything may be drawn already."""
        until = time.monotonic() + 5
        while time.monotonic() < until and not any(map(_at_work, records(self.studio.journal))):
            time.sleep(0.01)

    def _kill(self, when: str) -> None:
        self.studio.kill()
        self.kills[when] += 1
        numbers = {id: number for number, (_, id) in self.tickets.items()}
        for record in records(self.studio.journal):
            if _at_work(record):
                number = numbers.get(record["id"])
                name = "a request without an answer" if number is None else request_of_a_day(number).name
                self.at_work[name] += 1


def _at_work(record: dict[str, Any]) -> bool:
    return bool(record["begun"]) and record["ended"] is None


def records(journal: Path) -> list[dict[str, Any]]:
    """What the studio has written down of each request."""
    found = [path for path in journal.glob("*.json") if not path.name.endswith("-request.json")]
    return [json.loads(path.read_text()) for path in found]


def pictures(answer: httpx.Response) -> list[np.ndarray[Any, Any]]:
    """Those of an A1111 answer."""
    body = answer.raise_for_status().json()
    texts = body["images"] if "images" in body else [body["image"]]
    opened = [Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB") for text in texts]
    return [np.asarray(one).astype(int) for one in opened]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[RestartedStudio]:
    # pictures here take less than a second: what they reach is kept at each step, not each half minute
    studio = RestartedStudio(tmp_path, environment={"EASEL_KEEP_STEPS_EVERY": "0"})
    yield studio
    studio.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_each_is_drawn_with_the_right_pixels_or_reported(studio: RestartedStudio) -> None:
    """Whatever was answered 202 ends, in however many lives of the studio: drawn, bit for bit as it is drawn
    undisturbed (within two of 255 where it shared calls), or failed, where the studio was killed twice while
    it was at it. Pictures go on from steps that an earlier life had reached; each is in the gallery once, and
    nothing is left in the journal."""
    seed = int(os.environ.get("EASEL_FAULT_SEED") or random.randrange(10_000))
    print(f"random seed {seed}")
    crowd = Crowd(studio, random.Random(seed))
    while crowd.waiting:
        crowd.live()
    studio.start()
    tickets = {number: studio.ended(id, owner) for number, (owner, id) in crowd.tickets.items()}
    studio.until(lambda: all(one["ended"] for one in records(studio.journal)))

    drawn = [number for number, ticket in tickets.items() if ticket["state"] == "done"]
    failed = {number: ticket["error"] for number, ticket in tickets.items() if ticket["state"] != "done"}
    went_on = [line for line in studio.log.splitlines() if '"event": "went on"' in line]
    kinds = Counter(request_of_a_day(number).name for number in tickets)
    print(f"{len(tickets)} accepted: {len(drawn)} drawn, {len(failed)} reported")
    print(f"{crowd.kills.total()} kills: {dict(crowd.kills)}; {crowd.unanswered} requests had no answer")
    print(f"{len(went_on)} pictures went on from a step that an earlier life had reached")
    print(f"kinds: {dict(kinds)}")
    print(f"begun and not ended at a kill: {dict(crowd.at_work)}")

    assert len(tickets) == JOBS
    assert crowd.kills.total() >= JOBS // A_LIFE
    assert {error["kind"] for error in failed.values()} <= {"cut_short"}, failed
    assert len(drawn) >= 0.8 * JOBS
    assert went_on
    assert "answers are another picture's" not in studio.log
    assert '"level": "error"' not in studio.log
    _see_pixels(studio, crowd, drawn)
    _see_that_nothing_is_left(studio)


def _see_pixels(studio: RestartedStudio, crowd: Crowd, drawn: list[int]) -> None:
    """Against the same requests, one after another, in a life that nobody disturbs."""
    with studio.ask("undisturbed") as client:
        for number in drawn:
            owner, id = crowd.tickets[number]
            asked = request_of_a_day(number)
            with studio.ask(owner) as mine:
                found = pictures(mine.get(f"/jobs/{id}/result"))
            wanted = pictures(client.post(asked.route, json={**asked.body, "save_images": True}))
            assert len(found) == len(wanted), asked.name
            for one, other in zip(found, wanted, strict=True):
                assert one.shape == other.shape, asked.name
                assert np.abs(one - other).max() <= _allowed(asked), (number, asked.name)


def _allowed(asked: KindOfRequest) -> int:
    """Of 255: beside others sums are taken in another order (docs/decisions/0006)."""
    return 0 if asked.body.get("exact", True) else 2


def _see_that_nothing_is_left(studio: RestartedStudio) -> None:
    noted = sum(len(record["done"]) for record in records(studio.journal))
    outputs = studio.home / "outputs" / "studio"
    saved = [path for person in PEOPLE for path in outputs.glob(f"{person}-*/*/*.png")]
    assert len(saved) == noted
    ends = (".png", "-request.json", ".steps")
    assert [path.name for path in studio.journal.iterdir() if path.name.endswith(ends)] == []

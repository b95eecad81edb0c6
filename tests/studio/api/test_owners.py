"""Many callers: each sees and stops its own work only."""

from __future__ import annotations

import base64
import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image

from easel.studio.engine import JobState

LONG = {"prompt": "x", "steps": 150, "width": 128, "height": 128, "n_iter": 20}


def wait_for(found, seconds: float = 60):
    """Look until there is something."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen")


class Long:
    """A request that takes minutes, sent in the background."""

    def __init__(self, running, owner: str, **fields) -> None:
        self.running, self.owner, self.answer = running, owner, None
        self.thread = threading.Thread(target=self._send, args=(fields,))
        self.thread.start()
        self.job = wait_for(lambda: (running.studio.engine.jobs(owner) or [None])[0])

    def _send(self, fields) -> None:
        self.answer = self.running.draw(self.owner, **{**LONG, **fields})

    def stop(self) -> httpx.Response:
        with self.running.ask(self.owner) as client:
            assert client.post("/sdapi/v1/interrupt").json() == {}
        self.thread.join(60)
        assert self.answer is not None
        return self.answer


def test_progress_is_ones_own(running) -> None:
    """Progress tells the caller's work; to everybody else the studio is idle."""
    work = Long(running, "ada", force_task_id="task(mine)")
    try:
        with running.ask("ada") as ada, running.ask("bob") as bob:
            seen = wait_for(
                lambda: (now := ada.get("/sdapi/v1/progress").json())["current_image"] and now,
            )
            assert 0 < seen["progress"] < 1
            assert seen["eta_relative"] > 0
            state = seen["state"]
            assert (state["job_count"], state["sampling_steps"], state["interrupted"]) == (20, 150, False)
            assert Image.open(io.BytesIO(base64.b64decode(seen["current_image"]))).format == "PNG"
            short = ada.get("/sdapi/v1/progress?skip_current_image=true").json()
            assert short["current_image"] is None
            assert ada.get("/sdapi/v1/progress?skipCurrentImage=true").json()["current_image"] is None

            idle = bob.get("/sdapi/v1/progress").json()
            assert (idle["progress"], idle["state"]["job_count"]) == (0, 0)

            task = ada.post("/internal/progress", json={"id_task": "task(mine)"}).json()
            assert (task["active"], task["queued"], task["completed"]) == (True, False, False)
            other = bob.post("/internal/progress", json={"id_task": "task(mine)"}).json()
            assert (other["active"], other["queued"], other["progress"]) == (False, False, None)
            assert ada.get("/internal/pending-tasks").json() == {"size": 1, "tasks": ["task(mine)"]}
            assert bob.get("/internal/pending-tasks").json() == {"size": 0, "tasks": []}
    finally:
        work.stop()
    with running.ask("ada") as ada:
        assert ada.get("/sdapi/v1/progress").json()["state"]["job_count"] == 0
        assert ada.post("/internal/progress", json={"id_task": "task(mine)"}).json()["completed"] is True


def test_interrupt_stops_ones_own(running) -> None:
    """Interrupt ends the caller's job within seconds, with what is there; another's goes on."""
    mine, theirs = Long(running, "ada"), Long(running, "bob")
    wait_for(lambda: mine.job.progress().fraction > 0)
    with running.ask("eve") as eve:
        assert eve.post("/sdapi/v1/interrupt").json() == {}
        assert eve.post("/sdapi/v1/skip").json() == {}
    time.sleep(0.3)
    assert mine.job.state not in {JobState.CANCELLED, JobState.FAILED}
    began = time.monotonic()
    answer = mine.stop()
    assert time.monotonic() - began < 30
    assert answer.status_code == 200
    assert 1 <= len(answer.json()["images"]) < 20
    assert theirs.job.state in {JobState.QUEUED, JobState.RUNNING}
    theirs.stop()


def pixels(image: str) -> bytes:
    """Of a picture as an answer carries it."""
    return Image.open(io.BytesIO(base64.b64decode(image))).tobytes()


def test_skip_goes_on_with_the_next_batch(running) -> None:
    """Of the first batch there is what was drawn of it; the others are what they are without a skip."""
    size = {"width": 64, "height": 64}
    asked = {**LONG, "n_iter": 2, "batch_size": 1, "steps": 30, "seed": 5, "exact": True, **size}
    whole = running.draw("ada", **asked).json()["images"]
    work = Long(running, "ada", **asked)
    with running.ask("ada") as ada:
        wait_for(lambda: work.job.progress().step > 2)
        assert ada.post("/sdapi/v1/skip").json() == {}
    work.thread.join(60)
    assert work.job.state is JobState.DONE
    images = work.answer.json()["images"]
    same = [pixels(one) == pixels(other) for one, other in zip(images, whole, strict=True)]
    assert same == [False, True]


def test_skip_of_the_only_batch_ends_it(running) -> None:
    """With what is there."""
    work = Long(running, "ada", n_iter=1, batch_size=2)
    with running.ask("ada") as ada:
        wait_for(lambda: work.job.progress().fraction > 0)
        assert ada.post("/sdapi/v1/skip").json() == {}
    work.thread.join(60)
    assert work.job.state is JobState.CANCELLED
    assert 1 <= len(work.answer.json()["images"]) <= 2


def test_hanging_up_cancels(running) -> None:
    """A client that goes away leaves no work behind."""
    with running.ask("leaver") as client, pytest.raises(httpx.ReadTimeout):
        client.post("/sdapi/v1/txt2img", json=LONG, timeout=1)
    wait_for(lambda: not running.studio.engine.jobs("leaver"))


def test_options_are_ones_own(running, ada) -> None:
    """POST options changes the caller's checkpoint and nobody else's."""
    assert ada.post("/sdapi/v1/options", json={"sd_model_checkpoint": "second"}).json() is None
    try:
        with running.ask("bob") as bob:
            assert ada.get("/sdapi/v1/options").json()["sd_model_checkpoint"].startswith("second.safetensors")
            assert bob.get("/sdapi/v1/options").json()["sd_model_checkpoint"].startswith("easel-starter")
        assert "Model: second" in running.draw("ada").json()["info"]
        assert "Model: easel-starter" in running.draw("bob").json()["info"]
    finally:
        ada.post("/sdapi/v1/options", json={"sd_model_checkpoint": "easel-starter"})


def test_eight_at_once(running) -> None:
    """Eight people draw at the same time, and each gets the picture of their own seed."""
    alone = [running.draw(seed=seed).json()["images"] for seed in (1, 2)]
    with ThreadPoolExecutor(8) as pool:
        together = list(
            pool.map(lambda n: running.draw(f"user{n}", seed=1 + n % 2).json()["images"], range(8))
        )
    for number, images in enumerate(together):
        one, other = (
            Image.open(io.BytesIO(base64.b64decode(found[0]))) for found in (images, alone[number % 2])
        )
        worst = max(abs(a - b) for a, b in zip(one.tobytes(), other.tobytes(), strict=True))
        assert worst <= 2

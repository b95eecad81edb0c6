"""What the page accepted, beside the real engine: kept until saved, drawn again by whoever comes next."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from easel.studio.durable_jobs import DurableJobs, JobJournal, JobRecord
from easel.studio.durable_jobs import jobs as jobs_module
from easel.studio.engine import Engine, Job, Stopped, TextToImage
from easel.studio.outputs import NotSaved, Outputs

SMALL = TextToImage(prompt="a red circle on blue", width=64, height=64, steps=3, seed=7, sampler="Euler")
GONE, ID = "c" * 32, "a" * 32
WAIT = 120


@pytest.fixture
def engine(running) -> Engine:
    return running.studio.engine


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "outputs")


def keeper(engine: object, outputs: Outputs) -> DurableJobs:
    return DurableJobs(engine, outputs, lambda drawn: drawn, outputs.folder / ".accepted")  # type: ignore[arg-type]


def left(outputs: Outputs, **fields: object) -> JobJournal:
    """A journal as a process that is gone has left it."""
    journal = JobJournal(outputs.folder / ".accepted")
    entry = {"id": ID, "owner": "ada", "by": GONE, "at": time.time(), "request": SMALL, **fields}
    journal.write(JobRecord(**entry))  # type: ignore[arg-type]
    journal.close()
    return journal


def wait_for(found: Callable[[], object]) -> None:
    until = time.monotonic() + WAIT
    while not found():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def entries(outputs: Outputs) -> list[Path]:
    return [path for path in (outputs.folder / ".accepted").iterdir() if path.suffix in {".json", ".png"}]


def test_what_is_left_is_drawn_again(engine: Engine, outputs: Outputs) -> None:
    """Only what is missing, from the same seeds, into the gallery of whoever asked, who is told once."""
    asked = replace(SMALL, batch_count=3, seed=40)
    left(outputs, request=engine.settled(asked), done=[1], begun=True)
    durable_jobs = keeper(engine, outputs)
    assert durable_jobs.resume() == 1
    (coming,) = durable_jobs.news("ada")
    assert coming.words.startswith("The studio was restarted. It draws")
    assert durable_jobs.news("bob") == []
    wait_for(lambda: len(outputs.recent("ada")) == 2)
    saved = {int(path.stem.partition("-")[2]): path for path in outputs.recent("ada")}
    assert set(saved) == {40, 42}
    for drawn in engine.submit("ada", asked).result(WAIT):
        if drawn.seed in saved:
            again = np.asarray(Image.open(saved[drawn.seed])).astype(int)
            assert int(np.abs(again - np.asarray(drawn.image)).max()) <= 2
    wait_for(lambda: durable_jobs.news("ada") == [jobs_module.JobNews(
        "The studio was restarted, and drew 2 pictures again.", bad=False)])  # fmt: skip
    assert durable_jobs.news("ada") == []
    assert entries(outputs) == []
    assert durable_jobs.resume() == 0
    durable_jobs.close(1)


def test_a_picture_is_saved_when_it_is_finished(engine: Engine, outputs: Outputs) -> None:
    """Closing the tab in the middle of a batch loses what was not finished, and nothing else."""
    durable_jobs = keeper(engine, outputs)
    keeping = durable_jobs.submit("ada", replace(SMALL, width=128, height=128, steps=40, batch_count=40))
    assert len(entries(outputs)) == 1
    wait_for(lambda: outputs.recent("ada"))
    keeping.job.cancel()
    kept = keeping.saved.result(WAIT)
    assert 1 <= len(kept) < 40
    assert len(outputs.recent("ada")) == len(kept)
    assert entries(outputs) == []
    durable_jobs.close(1)


def test_an_orderly_end_keeps_the_job_and_blames_nobody(outputs: Outputs) -> None:
    """SIGTERM ends the job with Stopped: it stays for the next process, as if it had not begun."""

    class Ending:
        def settled(self, request: TextToImage) -> TextToImage:
            return request

        def submit(self, owner: str, request: TextToImage, **_: object) -> Job:
            from types import SimpleNamespace

            return Job(owner, request, None, (SimpleNamespace(notes=()),))  # type: ignore[arg-type]

    durable_jobs = keeper(Ending(), outputs)
    keeping = durable_jobs.submit("ada", SMALL)
    keeping.begun()
    keeping.job.future.set_exception(Stopped("shut down"))
    with pytest.raises(Stopped):
        keeping.saved.result(WAIT)
    durable_jobs.close(1)
    (taken,) = JobJournal(outputs.folder / ".accepted").take_over(JobRecord.note_saved)
    assert (taken.begun, taken.tries) == (False, 0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"begun": True, "tries": 1}, "ended 2 times while it was at it"),
        ({"taken": 20}, "The studio ended 21 times"),
        ({"at": 5.0}, "away for more than a day"),
        ({"request": replace(SMALL, checkpoint="gone.safetensors")}, "gone.safetensors"),
        ({"request": replace(SMALL, sampler="No Such")}, "No Such"),
        ({"request": replace(SMALL, batch_count=100, width=2048, height=2048, steps=150)}, "megapixel-steps"),
    ],
)
def test_what_is_not_drawn_again_is_told(
    engine: Engine, outputs: Outputs, fields: dict[str, object], words: str
) -> None:
    """In words, to whoever asked, once."""
    left(outputs, **fields)
    durable_jobs = keeper(engine, outputs)
    assert durable_jobs.resume() == 0
    (news,) = durable_jobs.news("ada")
    assert news.bad
    assert words in news.words
    assert durable_jobs.news("ada") == []
    assert entries(outputs) == []
    durable_jobs.close(1)


def test_suspects_are_drawn_one_at_a_time(engine: Engine, outputs: Outputs) -> None:
    """Of several jobs that a process ended with, one is drawn after the other."""
    for number in range(3):
        left(outputs, id=f"{number}" * 32, begun=True, owner=f"owner {number}")
    durable_jobs = keeper(engine, outputs)
    assert durable_jobs.resume() == 3
    most = 0
    while len(entries(outputs)) and not all(outputs.recent(f"owner {number}") for number in range(3)):
        most = max(most, sum(len(engine.jobs(f"owner {number}")) for number in range(3)))
        time.sleep(0.002)
    assert most == 1
    durable_jobs.close(1)


def test_a_full_disk(engine: Engine, outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be saved is handed back with the reason; a job drawn again stays in the journal."""

    def full(*_: object, **__: object) -> Path:
        raise NotSaved("the disk is full")

    left(outputs, request=engine.settled(SMALL))
    monkeypatch.setattr(outputs, "save", full)
    durable_jobs = keeper(engine, outputs)
    assert durable_jobs.resume() == 1
    (kept,) = durable_jobs.submit("bob", SMALL).saved.result(WAIT)
    assert (kept.path, kept.problem) == (None, "the disk is full")
    wait_for(lambda: not durable_jobs._again)
    assert [path.name for path in entries(outputs)] == [f"{ID}.json"]
    durable_jobs.close(1)

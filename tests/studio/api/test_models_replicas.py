"""Two replicas of an endpoint over one store: each shows the other's downloads, and takes a cancel to it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from easel.models import Store
from easel.studio.engine import Engine
from easel.studio.library import Library
from easel.studio.library.remote_jobs import GONE_AFTER, KEPT, RemoteJobs
from easel.studio.studio import Studio
from tests.models.civitai_stand_in import version
from tests.studio.library import QUICK, Place, api, place


@dataclass
class Pair:
    """Two replicas, and a replica of another endpoint of the team."""

    here: Place
    there: Place
    other: Place

    def board(self) -> Path:
        return self.here.root / ".easel" / "jobs" / "studio"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with place(tmp_path) as here, ExitStack() as clients:
        found = [here]
        for endpoint in ("studio", "gallery"):
            store = Store(tmp_path / "models", hashing=False)
            studio = Studio.at(tmp_path, endpoint, Engine(store))
            vars(studio)["library"] = Library(store, studio.activity, endpoint=endpoint, limits=QUICK)
            found.append(Place(studio, here.civitai))
        for one in found:
            one.client = clients.enter_context(api(one.studio))
        here.civitai.publish(version())
        yield Pair(*found)
        for one in found[1:]:
            one.studio.library.jobs.close()


def jobs(place: Place, owner: str = "ada") -> list[dict[str, Any]]:
    return list(place.ask("GET", "jobs", owner).json())


def shown(place: Place, job: dict[str, Any], owner: str = "ada") -> dict[str, Any]:
    """The job as this replica shows it, once it does."""
    end = time.monotonic() + 20
    while not (found := [one for one in jobs(place, owner) if one["id"] == job["id"]]):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found[0]


def test_the_other_replica_shows_it(pair: Pair) -> None:
    """Its progress, its end and the file, without a Reload; whose it is goes along. No other endpoint's."""
    pair.here.civitai.rate = 500_000
    job = pair.here.start("ada")
    seen = shown(pair.there, job)
    assert (seen["state"], seen["mine"], seen["kind"]) == ("running", True, "download")
    assert not shown(pair.there, job, "bob")["mine"]
    moving = pair.there.until(job, lambda now: now["done"] > 0)
    assert 0 < moving["done"] <= moving["total"]
    done = pair.there.ended(job)
    assert done["state"] == "done"
    assert done["result"]["file"]["name"] == "dreamshaper_8.safetensors"
    assert [one["name"] for one in pair.there.ask("GET", "files").json()] == ["dreamshaper_8.safetensors"]
    assert len(jobs(pair.here)) == len(jobs(pair.there)) == 1
    assert jobs(pair.other) == []
    assert pair.other.ask("GET", f"jobs/{job['id']}").status_code == 404


def test_a_cancel_reaches_the_replica_that_is_at_it(pair: Pair) -> None:
    """Whoever asked for it may cancel it from there; nobody else may."""
    pair.here.civitai.rate = 200_000
    job = pair.here.start("ada")
    shown(pair.there, job)
    assert pair.there.ask("DELETE", f"jobs/{job['id']}", "eve").status_code == 403
    assert pair.there.ask("DELETE", f"jobs/{job['id']}", "ada").status_code == 200
    assert pair.here.ended(job)["state"] == "cancelled"
    assert pair.there.ended(job)["state"] == "cancelled"
    assert [path.suffix for path in pair.board().iterdir()] == [".json"]


def test_events_of_the_others_job(pair: Pair) -> None:
    """Server-sent events go on to its end, too."""
    pair.here.civitai.rate = 1_000_000
    job = pair.here.start("ada")
    shown(pair.there, job)
    answer = pair.there.ask("GET", f"jobs/{job['id']}/events")
    seen = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert seen[-1]["state"] == "done"


def posted(pair: Pair, **said: Any) -> Path:
    """What a replica wrote that is not there any more."""
    view = {"id": "0123456789abcdef", "kind": "download", "title": "dream.safetensors", "state": "running",
            "words": "fetching", "done": 5, "total": 10, "speed": 3.0, "left": 1.0, "created": 1.0,
            **said}  # fmt: skip
    path = pair.board() / f"{view['id']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"view": view, "owners": ["ada"]}))
    return path


def test_a_replica_that_is_gone(pair: Pair) -> None:
    """Its job has failed, with what to do; after a day nobody speaks of it."""
    path = posted(pair)
    assert jobs(pair.there)[0]["state"] == "running"
    old = time.time() - GONE_AFTER - 1
    os.utime(path, (old, old))
    one = pair.there.ask("GET", "jobs/0123456789abcdef").json()
    assert (one["state"], one["error"]["error"], one["speed"]) == ("failed", "Gone", 0)
    assert "start it again, it goes on from there" in one["words"]
    assert pair.there.ask("DELETE", "jobs/0123456789abcdef").json()["state"] == "failed"
    old = time.time() - KEPT - 1
    os.utime(path, (old, old))
    assert RemoteJobs(pair.board()).others(()) == []
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        '{"view": {}, "owners": []}',
        '{"view": null, "owners": null}',
        "[" * 100_000,
    ],
)
def test_nonsense_on_the_board(pair: Pair, text: str) -> None:
    """A file that says nothing is nothing; names that are none lead nowhere."""
    posted(pair).write_text(text)
    (pair.board() / "..odd.json").write_text("{}")
    assert jobs(pair.there) == []
    for number in ("0123456789abcdef", "..%2Fx", "x" * 16, "0123456789ABCDEF"):
        assert pair.there.ask("GET", f"jobs/{number}").status_code == 404


def test_a_store_that_cannot_be_written(pair: Pair) -> None:
    """Then nobody hears of it, and the replica's own jobs go on."""
    pair.board().parent.parent.mkdir(parents=True)
    pair.board().parent.write_text("a file where the folder should be")
    assert pair.here.ended(pair.here.start())["state"] == "done"
    assert jobs(pair.there) == []

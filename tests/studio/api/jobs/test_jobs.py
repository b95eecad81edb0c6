"""`Prefer: respond-async` and `/jobs`: a request is a ticket, and its pictures come whoever waits."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops

from easel.studio.durable_jobs import Journal

ASYNC = {"Prefer": "respond-async"}
SMALL = {"prompt": "a red circle on blue", "steps": 3, "width": 64, "height": 64, "seed": 7, "subseed": 1}
LONG = {**SMALL, "steps": 150, "width": 128, "height": 128, "batch_size": 2, "do_not_save_grid": True}
FINAL = {"done", "failed", "cancelled"}


@pytest.fixture
def ada(running, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Somebody who has nothing under way yet, and leaves nothing."""
    with running.ask(request.node.name) as client:
        yield client
        client.post("/sdapi/v1/interrupt")


def accept(client: httpx.Client, route: str = "txt2img", **fields: Any) -> dict[str, Any]:
    answer = client.post(f"/sdapi/v1/{route}", json=fields, headers=ASYNC)
    assert answer.status_code == 202, answer.text
    ticket: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/jobs/{ticket['id']}"
    assert answer.headers["preference-applied"] == "respond-async"
    return ticket


def wait(client: httpx.Client, id: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    end = time.monotonic() + 100
    while True:
        ticket: dict[str, Any] = client.get(f"/jobs/{id}").raise_for_status().json()
        if until(ticket):
            return ticket
        assert time.monotonic() < end, ticket
        time.sleep(0.02)


def ended(client: httpx.Client, id: str) -> dict[str, Any]:
    return wait(client, id, lambda ticket: ticket["state"] in FINAL)


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")


def differ(one: Image.Image, other: Image.Image) -> int:
    return max(high for _, high in ImageChops.difference(one, other).getextrema())


def test_a_request_is_a_ticket(ada: httpx.Client) -> None:
    """202 at once; the picture is in the gallery, and the result is what the route answers."""
    ticket = accept(ada, **SMALL)
    assert ticket["kind"] == "txt2img"
    assert ticket["prompt"] == SMALL["prompt"]
    done = ended(ada, ticket["id"])
    assert (done["state"], done["fraction"], done["error"]) == ("done", 1.0, None)
    (picture,) = done["results"]
    assert ada.get(f"/{picture['url']}").content.startswith(b"\x89PNG")
    assert (picture["width"], picture["seed"], picture["prompt"]) == (64, 7, SMALL["prompt"])
    result = ada.get(f"/jobs/{ticket['id']}/result").raise_for_status().json()
    answer = ada.post("/sdapi/v1/txt2img", json=SMALL).json()
    assert differ(opened(result["images"][0]), opened(answer["images"][0])) <= 2
    assert result.keys() == answer.keys()
    now, then = json.loads(answer["info"]), json.loads(result["info"])
    assert {key: then[key] for key in now if key != "job_timestamp"} == {
        key: now[key] for key in now if key != "job_timestamp"
    }
    listed = ada.get("/jobs").json()["jobs"]
    assert ticket["id"] in [one["id"] for one in listed]


def test_what_is_wrong_is_said_at_once(ada: httpx.Client) -> None:
    """A request that cannot be drawn is refused as without the preference, and leaves no ticket."""
    before = len(ada.get("/jobs").json()["jobs"])
    for fields, status in (
        ({"sampler_name": "No Such"}, 400),
        ({"steps": 9999}, 422),
        ({"width": "wide"}, 422),
        ({"override_settings": {"sd_model_checkpoint": "gone"}}, 400),
        ({"script_name": "no such script"}, 422),
    ):
        with_it = ada.post("/sdapi/v1/txt2img", json={**SMALL, **fields}, headers=ASYNC)
        without = ada.post("/sdapi/v1/txt2img", json={**SMALL, **fields})
        assert (with_it.status_code, with_it.json()) == (status, without.json())
    assert ada.post("/sdapi/v1/img2img", json=SMALL, headers=ASYNC).status_code == 404
    assert len(ada.get("/jobs").json()["jobs"]) == before


def test_nobody_elses(running, ada: httpx.Client) -> None:
    """Another person's job is not there: not in the list, not by its id, for no verb."""
    ticket = accept(ada, **LONG)
    path = f"/jobs/{ticket['id']}"
    with running.ask("eve") as eve:
        assert eve.get("/jobs").json() == {"jobs": []}
        assert eve.get(path).status_code == 404
        assert eve.get(f"{path}/result").status_code == 404
        assert eve.delete(path).status_code == 404
        assert eve.post(f"{path}/move", json={"before": None}).status_code == 404
        for id in ("0" * 32, "%2e%2e", "x" * 500):
            assert eve.get(f"/jobs/{id}").status_code == 404
    assert ada.get(path).json()["state"] not in FINAL
    assert ada.delete(path).json()["state"] == "cancelled"


def test_cancel(ada: httpx.Client) -> None:
    """Cancelled at once: waiting or under way. With `keep` what is half drawn is saved as it is."""
    first, second = accept(ada, **LONG), accept(ada, **LONG)
    wait(ada, first["id"], lambda ticket: ticket["state"] == "drawing" and ticket["step"] > 2)
    assert ada.get(f"/jobs/{first['id']}/result").status_code == 409
    gone = ada.delete(f"/jobs/{second['id']}").json()
    assert (gone["state"], gone["results"]) == ("cancelled", [])
    ada.delete(f"/jobs/{first['id']}", params={"keep": True})
    kept = ended(ada, first["id"])
    assert kept["state"] == "cancelled"
    # Of the two that which has not begun is nothing yet.
    assert 1 <= len(kept["results"]) <= 2
    assert ada.get(f"/jobs/{second['id']}/result").json()["images"] == []
    assert len(ada.get(f"/jobs/{first['id']}/result").json()["images"]) == len(kept["results"])


def test_move(ada: httpx.Client) -> None:
    """What has not begun is drawn in the order that its owner wants."""
    many = {**LONG, "batch_size": 8}
    first = accept(ada, **many)
    wait(ada, first["id"], lambda ticket: ticket["state"] == "drawing")
    second, third = accept(ada, **SMALL), accept(ada, **{**SMALL, "batch_size": 8})
    moved = ada.post(f"/jobs/{third['id']}/move", json={"before": second["id"]}).json()["jobs"]
    mine = [first["id"], third["id"], second["id"]]
    assert [one["id"] for one in moved if one["id"] in mine] == mine
    assert [one["place"] for one in moved[:3]] == [0, 1, 2]
    assert ada.post(f"/jobs/{third['id']}/move", json={"before": "nothing"}).status_code == 404
    ada.delete(f"/jobs/{first['id']}")
    moved_up, passed = (ended(ada, id)["results"] for id in mine[1:])
    assert min(one["id"] for one in moved_up) < passed[0]["id"]


def test_nothing_is_begun_before_it_is_written(ada: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of one ticket begins the next, and not one that is on its way to a slow disk."""
    write = Journal.write_request

    def slowly(*given: Any) -> None:
        time.sleep(1.5)
        write(*given)

    first = accept(ada, **{**SMALL, "steps": 20, "width": 128, "height": 128})
    monkeypatch.setattr(Journal, "write_request", slowly)
    second = accept(ada, **SMALL)
    assert ended(ada, first["id"])["state"] == "done"
    assert ended(ada, second["id"])["state"] == "done"


def test_bounds(running, ada: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One person has no more than so many requests and pictures waiting: 429, when to try again, and why."""
    limits = running.studio.engine.limits
    few = dataclasses.replace(limits, requests_waiting=2, pictures_waiting=10)
    monkeypatch.setattr(running.studio.engine, "limits", few)
    tickets = [accept(ada, **LONG), accept(ada, **LONG)]
    third = ada.post("/sdapi/v1/txt2img", json=SMALL, headers=ASYNC)
    assert third.status_code == 429
    assert int(third.headers["retry-after"]) > 0
    assert "EASEL_REQUESTS_WAITING" in third.json()["errors"]
    ada.delete(f"/jobs/{tickets.pop()['id']}")
    many = ada.post("/sdapi/v1/txt2img", json={**SMALL, "batch_size": 9}, headers=ASYNC)
    assert many.status_code == 429
    assert "pictures" in many.json()["errors"]
    never = ada.post("/sdapi/v1/txt2img", json={**SMALL, "batch_size": 11}, headers=ASYNC)
    assert never.status_code == 422
    assert "Retry-After" not in never.headers
    visitors = dataclasses.replace(limits, role="visitors", requests_waiting=1)
    with_roles = dataclasses.replace(few, roles={"visitors": visitors})
    monkeypatch.setattr(running.studio.engine, "limits", with_roles)
    with running.ask("anonymous/1") as visitor:
        tickets.append(accept(visitor, **LONG))
        second = visitor.post("/sdapi/v1/txt2img", json=SMALL, headers=ASYNC)
        assert second.status_code == 429
        assert "limits.visitors.requests_waiting" in second.json()["errors"]
        visitor.delete(f"/jobs/{tickets.pop()['id']}")
    ada.delete(f"/jobs/{tickets.pop()['id']}")


def test_a_script_and_its_grid(ada: httpx.Client) -> None:
    """A script's pictures and its grid are results, as the route sends them: the grid first."""
    fields = {**SMALL, "prompt": "a red circle|on blue", "script_name": "prompt matrix",
              "script_args": [False, False, "positive", "comma", 0]}  # fmt: skip
    done = ended(ada, accept(ada, **fields)["id"])
    assert (done["state"], done["error"]) == ("done", None)
    result = ada.get(f"/jobs/{done['id']}/result").json()
    assert len(result["images"]) == len(done["results"]) == 3
    assert opened(result["images"][0]).width > 64
    answer = ada.post("/sdapi/v1/txt2img", json=fields).json()
    for one, other in zip(result["images"], answer["images"], strict=True):
        assert differ(opened(one), opened(other)) <= 2


def test_extras(ada: httpx.Client) -> None:
    """A picture is made larger by a ticket too."""
    picture = ada.post("/sdapi/v1/txt2img", json=SMALL).json()["images"][0]
    for upscaler, side in (("Lanczos", 128), ("None", 64)):
        asked = {"image": picture, "upscaler_1": upscaler, "upscaling_resize": 2}
        done = ended(ada, accept(ada, "extra-single-image", **asked)["id"])
        assert (done["kind"], done["state"], done["error"]) == ("extras", "done", None)
        assert done["results"][0]["width"] == side
        result = ada.get(f"/jobs/{done['id']}/result").json()
        assert result == ada.post("/sdapi/v1/extra-single-image", json=asked).json()


def test_interrupt_ends_what_waits_too(ada: httpx.Client) -> None:
    """A1111's interrupt is of all that the caller has."""
    tickets = [accept(ada, **{**LONG, "batch_size": 8}), accept(ada, **LONG)]
    ada.post("/sdapi/v1/interrupt")
    assert [ended(ada, one["id"])["state"] for one in tickets] == ["cancelled", "cancelled"]


def test_nothing_begins_while_all_is_interrupted(ada: httpx.Client) -> None:
    """Jobs were ended one after another, the first one first: each of the others began meanwhile, and left a
    picture of a step or none in the gallery. A call has eight pictures at the most, so the ninth job has not
    begun before."""
    tickets = [accept(ada, **LONG) for _ in range(18)]
    wait(ada, tickets[0]["id"], lambda ticket: ticket["state"] == "drawing")
    ada.post("/sdapi/v1/interrupt")
    found = [ended(ada, one["id"]) for one in tickets]
    assert {one["state"] for one in found} == {"cancelled"}
    assert [len(one["results"]) for one in found[8:]] == [0] * 10


def test_what_the_engine_has_may_be_moved(ada: httpx.Client, running) -> None:
    """Also one that the engine was given, and has not begun, gives way to another one of its owner."""
    with running.ask("somebody who draws for long") as other:
        busy = accept(other, **{**LONG, "override_settings": {"sd_model_checkpoint": "second.safetensors"}})
        wait(other, busy["id"], lambda ticket: ticket["state"] == "drawing")
        # of another checkpoint, so that the engine begins none of them
        asked = {**SMALL, "override_settings": {"sd_model_checkpoint": "easel-starter.safetensors"}}
        first = accept(ada, **{**asked, "batch_size": 8, "do_not_save_grid": True})
        second = accept(ada, **asked)
        moved = ada.post(f"/jobs/{second['id']}/move", json={"before": first["id"]}).json()["jobs"]
        assert [one["id"] for one in moved[:2]] == [second["id"], first["id"]]
        assert [one["place"] for one in moved[:2]] == [1, 2]
        other.delete(f"/jobs/{busy['id']}")
    assert [ended(ada, one["id"])["state"] for one in (first, second)] == ["done", "done"]
    assert len(ada.get(f"/jobs/{first['id']}").json()["results"]) == 8

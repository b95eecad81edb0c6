"""What styles and presets look like: kept by the studio, so that each device of a person shows it."""

from __future__ import annotations

import io
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from tests.studio.api.jobs.test_jobs import accept, ended

STYLE = {"name": "Chalky", "prompt": "chalk"}
SMALL = {"prompt": "a red circle", "steps": 1, "width": 64, "height": 64}


@pytest.fixture
def kim(running) -> Iterator[httpx.Client]:
    with running.ask("looks/kim") as client:
        yield client


def drawn(client: httpx.Client, **fields) -> str:
    """The id of a picture that a ticket drew."""
    ticket = ended(client, accept(client, **SMALL, **fields)["id"])
    assert ticket["state"] == "done"
    id: str = ticket["results"][0]["id"]
    return id


def looks(client: httpx.Client, whose: str) -> dict[str, str | None]:
    return {one["name"]: one["look"] for one in client.get("/studio/styles").json()[whose]}


def test_a_style_looks_like_the_last_picture_drawn_with_it(kim) -> None:
    """By itself, and small; renamed it keeps its look, deleted it leaves none behind."""
    assert kim.post("/studio/styles/own", json=STYLE).status_code == 201
    assert looks(kim, "own") == {"Chalky": None}
    drawn(kim, styles=["Chalky"])
    look = looks(kim, "own")["Chalky"]
    assert look
    file = kim.get("/" + look)
    assert file.headers["content-type"] == "image/webp"
    assert len(file.content) <= 30_000
    assert Image.open(io.BytesIO(file.content)).format == "WEBP"
    kim.put("/studio/styles/own", params={"name": "Chalky"}, json=STYLE | {"name": "Chalk"})
    renamed = looks(kim, "own")["Chalk"]
    assert renamed
    assert kim.get("/" + renamed).content == file.content
    kim.delete("/studio/styles/own", params={"name": "Chalk"})
    assert kim.get("/" + renamed).status_code == 404


def test_the_team_sees_what_somebody_showed_it(running, kim) -> None:
    """One's own picture with a style of the team is one's own look of it; only by a choice it is everybody's.
    Nobody shows another person's picture, and a visitor shows the team none."""
    assert kim.post("/studio/styles/team", json=STYLE | {"name": "Ours"}).status_code == 201
    picture = drawn(kim, styles=["Ours"])
    assert "/own/" in str(looks(kim, "team")["Ours"])
    put = {"url": "/studio/styles/team/look", "params": {"name": "Ours"}, "json": {"picture": picture}}
    with running.ask("looks/lea") as lea, running.ask("visitor") as visitor:
        assert looks(lea, "team")["Ours"] is None
        assert lea.put(**put).status_code == 404
        assert visitor.put(**put).status_code in (403, 404)
        assert kim.put(**put).status_code == 204
        shown = looks(lea, "team")["Ours"]
        assert shown
        assert "/team/" in shown
        assert lea.get("/" + shown).status_code == 200
        own = looks(kim, "team")["Ours"]
        assert lea.get(f"/{own}").status_code == 404
    kim.delete("/studio/styles/team", params={"name": "Ours"})


def test_presets_are_a_persons(running, kim) -> None:
    """Kept, replaced under the same name, with a look, and gone; nobody else has them."""
    picture = drawn(kim)
    kept = kim.put("/studio/presets", params={"name": "quick"}, json={"fields": {"steps": 2}})
    assert kept.json()["presets"] == [{"name": "quick", "fields": {"steps": 2}, "look": None}]
    again = {"fields": {"steps": 3, "shape": "wide"}, "picture": picture}
    kim.put("/studio/presets", params={"name": "quick"}, json=again)
    [preset] = kim.get("/studio/presets").json()["presets"]
    assert preset["fields"] == again["fields"]
    assert kim.get("/" + preset["look"]).headers["content-type"] == "image/webp"
    with running.ask("looks/lea") as lea:
        assert lea.get("/studio/presets").json() == {"presets": []}
        assert lea.get("/" + preset["look"]).status_code == 404
    for name, fields in (("", {}), ("x" * 61, {}), (" a", {}), ("large", {"prompt": "x" * 30_000})):
        answer = kim.put("/studio/presets", params={"name": name}, json={"fields": fields})
        assert answer.status_code == 422
    assert kim.delete("/studio/presets", params={"name": "quick"}).json() == {"presets": []}
    assert kim.get("/" + preset["look"]).status_code == 404

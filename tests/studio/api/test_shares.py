"""`/studio/shares`: a picture or a board for others of the endpoint, and nothing else of its owner's."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest


@pytest.fixture(scope="module")
def pictures(running) -> list[str]:
    for seed in (21, 22, 23):
        assert running.draw("sue", save_images=True, prompt=f"a fox {seed}", seed=seed).status_code == 200
    with running.ask("sue") as client:
        return [one["id"] for one in client.get("/studio/gallery").json()["pictures"]]


@pytest.fixture
def sue(running, pictures) -> Iterator[httpx.Client]:
    with running.ask("sue") as client:
        yield client
        for share in client.get("/studio/shares").json()["shares"]:
            client.delete(f"/studio/shares/{share['token']}")


@pytest.fixture
def tom(running) -> Iterator[httpx.Client]:
    with running.ask("tom") as client:
        yield client


def shared(client: httpx.Client, **what: str) -> dict:
    answer = client.post("/studio/shares", json=what)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_picture_is_shared(running, sue, tom, pictures) -> None:
    """Another sees it, small and whole, and what it was drawn from; not whose it is, nor its stars."""
    sue.post("/studio/gallery/star", json={"pictures": pictures, "starred": True})
    share = shared(sue, picture=pictures[0])
    assert re.fullmatch(r"#shared/[A-Za-z0-9_-]{32}", share["address"])
    seen = tom.get(f"/studio/shares/{share['token']}")
    (one,) = seen.json()["pictures"]
    assert (one["id"], one["prompt"], one["starred"], one["boards"]) == (pictures[0], "a fox 23", False, [])
    assert one["url"].startswith(f"studio/shares/{share['token']}/pictures/")
    full = tom.get("/" + one["url"])
    assert full.content == sue.get(f"/files/pictures/{pictures[0]}").content
    assert full.headers["content-type"] == "image/png"
    assert tom.get("/" + one["small"]).headers["content-type"] == "image/webp"
    for answer in (full, tom.get("/" + one["small"])):
        assert answer.headers["cache-control"] == "private, no-cache"
    said = tom.get(f"/studio/shares/{share['token']}/parameters/{pictures[0]}").json()
    assert said["request"]["seed"] == 23
    assert "sue" not in seen.text
    sue.post("/studio/gallery/star", json={"pictures": pictures, "starred": False})


def test_nothing_else_is_shared(sue, tom, pictures) -> None:
    """Not her other pictures by this token, not the shared one without it; he changes and ends nothing."""
    token = shared(sue, picture=pictures[0])["token"]
    for kind in ("pictures", "small", "parameters"):
        assert tom.get(f"/studio/shares/{token}/{kind}/{pictures[1]}").status_code == 404
    assert tom.get(f"/files/pictures/{pictures[0]}").status_code == 404
    assert tom.get(f"/studio/gallery/small/{pictures[0]}").status_code == 404
    assert tom.delete(f"/studio/shares/{token}").status_code == 404
    assert tom.get("/studio/shares").json() == {"shares": []}
    assert tom.post("/studio/gallery/delete", json={"pictures": pictures}).json() == {"deleted": []}
    assert tom.get(f"/studio/shares/{token}").status_code == 200


def test_a_share_is_ended(sue, tom, pictures) -> None:
    """By its owner, at once and for good; sharing again is another address."""
    share = shared(sue, picture=pictures[0])
    assert shared(sue, picture=pictures[0]) == share
    assert sue.get("/studio/shares").json()["shares"] == [share]
    assert sue.delete(f"/studio/shares/{share['token']}").status_code == 204
    for path in ("", f"/pictures/{pictures[0]}", f"/small/{pictures[0]}", f"/parameters/{pictures[0]}"):
        assert tom.get(f"/studio/shares/{share['token']}{path}").status_code == 404
    assert sue.delete(f"/studio/shares/{share['token']}").status_code == 404
    assert shared(sue, picture=pictures[0])["token"] != share["token"]


def test_a_board_is_shared_as_it_is(sue, tom, pictures) -> None:
    """What is put on it later is seen, what is taken off is not; with the board the share ends."""
    board = sue.post("/studio/boards", json={"name": "Foxes"}).json()["id"]
    token = shared(sue, board=board)["token"]
    assert tom.get(f"/studio/shares/{token}").json() == {"board": "Foxes", "pictures": []}
    sue.post(f"/studio/boards/{board}/pictures", json={"add": pictures[:2]})
    seen = tom.get(f"/studio/shares/{token}").json()["pictures"]
    assert [one["id"] for one in seen] == pictures[:2]
    assert tom.get("/" + seen[1]["url"]).status_code == 200
    sue.post(f"/studio/boards/{board}/pictures", json={"remove": pictures[:1]})
    assert tom.get("/" + seen[0]["url"]).status_code == 404
    assert tom.get("/" + seen[1]["url"]).status_code == 200
    assert tom.get("/studio/gallery", params={"board": board}).status_code == 404
    sue.delete(f"/studio/boards/{board}")
    assert tom.get(f"/studio/shares/{token}").status_code == 404
    assert tom.get("/" + seen[1]["url"]).status_code == 404


def test_a_deleted_picture_is_shared_no_more(running, tom) -> None:
    """Its share ends with it."""
    running.draw("short-lived", save_images=True, seed=1)
    with running.ask("short-lived") as client:
        picture = client.get("/studio/gallery").json()["pictures"][0]["id"]
        token = shared(client, picture=picture)["token"]
        assert tom.get(f"/studio/shares/{token}").status_code == 200
        client.post("/studio/gallery/delete", json={"pictures": [picture]})
        assert tom.get(f"/studio/shares/{token}").status_code == 404
        assert client.get("/studio/shares").json() == {"shares": []}


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "x" * 32,
        "x" * 65,
        "..",
        "%2e%2e%2f%2e%2e%2foptions",
        "..%2fshares",
        "\u00fc" * 32,
        "a" * 31 + "%00",
    ],
)
def test_tokens_that_are_none(sue, tom, token: str) -> None:
    """Nothing is shared there, and no token is a path."""
    for tail in ("", "/pictures/2026-01-01/00001-1.png", "/small/2026-01-01/00001-1.png"):
        assert tom.get(f"/studio/shares/{token}{tail}").status_code in (404, 405, 422)


@pytest.mark.parametrize(
    "body", [{}, {"picture": None}, {"picture": 7}, {"board": "x" * 65}, [], {"both": 1}]
)
def test_what_cannot_be_shared(sue, body) -> None:
    """One picture, or one board."""
    assert sue.post("/studio/shares", json=body).status_code == 422


def test_not_both_and_not_nothing(sue, pictures) -> None:
    """And what is not there is not shared."""
    assert sue.post("/studio/shares", json={"picture": pictures[0], "board": "x"}).status_code == 422
    assert sue.post("/studio/shares", json={"picture": "2026-01-01/00001-1.png"}).status_code == 404
    assert sue.post("/studio/shares", json={"board": "nowhere"}).status_code == 404
    assert sue.get("/studio/shares").json() == {"shares": []}

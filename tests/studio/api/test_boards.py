"""`/studio/boards`: pictures put together under a name, each person's own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest


@pytest.fixture(scope="module")
def pictures(running) -> list[str]:
    for seed in (1, 2, 3):
        assert running.draw("bo", save_images=True, seed=seed).status_code == 200
    with running.ask("bo") as client:
        return [one["id"] for one in client.get("/studio/gallery").json()["pictures"]]


@pytest.fixture
def bo(running, pictures) -> Iterator[httpx.Client]:
    with running.ask("bo") as client:
        yield client
        for board in client.get("/studio/boards").json()["boards"]:
            assert client.delete(f"/studio/boards/{board['id']}").status_code == 204


def made(client: httpx.Client, name: str) -> dict:
    answer = client.post("/studio/boards", json={"name": name})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_board_from_its_making_to_its_end(bo, pictures) -> None:
    """Made, filled, renamed, filtered by, emptied, deleted; its pictures stay."""
    board = made(bo, "  F\u00fcchse \u4e16\u754c  ")
    assert board == {"id": board["id"], "name": "F\u00fcchse \u4e16\u754c", "count": 0, "cover": None}
    at = f"/studio/boards/{board['id']}"
    for _ in range(2):
        full = bo.post(f"{at}/pictures", json={"add": pictures[:2]}).json()
        assert full["count"] == 2
    assert bo.get("/" + full["cover"]).headers["content-type"] == "image/webp"
    page = bo.get("/studio/gallery", params={"board": board["id"]}).json()
    assert [one["id"] for one in page["pictures"]] == pictures[:2]
    assert page["pictures"][0]["boards"] == [board["id"]]
    assert bo.patch(at, json={"name": "foxes"}).json()["name"] == "foxes"
    less = bo.post(f"{at}/pictures", json={"add": [pictures[2]], "remove": [pictures[0], pictures[1]]}).json()
    assert less["count"] == 1
    assert bo.get("/studio/boards").json()["boards"] == [less]
    assert bo.delete(at).status_code == 204
    assert bo.get("/studio/gallery").json()["total"] == 3
    for answer in (bo.delete(at), bo.patch(at, json={"name": "x"}), bo.post(f"{at}/pictures", json={})):
        assert answer.status_code == 404
    assert bo.get("/studio/gallery", params={"board": board["id"]}).status_code == 404


def test_the_last_made_comes_first(bo) -> None:
    """And a picture may be on many."""
    names = [made(bo, name)["name"] for name in ("one", "two", "three")]
    assert [one["name"] for one in bo.get("/studio/boards").json()["boards"]] == names[::-1]


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 101, "a\x00b", "a\x1bb", "\u202egnp.exe", "x" * 401, None, 7, ["x"], "\ud800"]
)
def test_what_a_board_cannot_be_called(bo, name) -> None:
    """Refused with words."""
    body = b'{"name": "\\ud800"}' if name == "\ud800" else None
    board = made(bo, "b")
    for answer in (
        bo.post("/studio/boards", **({"content": body} if body else {"json": {"name": name}})),
        bo.patch(
            f"/studio/boards/{board['id']}", **({"content": body} if body else {"json": {"name": name}})
        ),
    ):
        if name == "\ud800":  # half a letter becomes a question mark, as everywhere
            assert answer.status_code in (200, 201, 409)
            continue
        assert answer.status_code == 422
        assert answer.json()["errors"]


def test_a_name_is_one_boards(bo) -> None:
    """Whatever the case; a board may keep its own."""
    first, second = made(bo, "Foxes"), made(bo, "Owls")
    assert bo.post("/studio/boards", json={"name": "FOXES"}).status_code == 409
    assert bo.patch(f"/studio/boards/{second['id']}", json={"name": "foxes"}).status_code == 409
    assert bo.patch(f"/studio/boards/{first['id']}", json={"name": "foxes"}).status_code == 200


def test_anothers_board_is_not_there(running, bo, pictures) -> None:
    """By its exact id: not seen, changed, filled, filtered by, shared or deleted."""
    board = made(bo, "mine")
    with running.ask("eve") as eve:
        at = f"/studio/boards/{board['id']}"
        assert eve.get("/studio/boards").json() == {"boards": []}
        assert eve.patch(at, json={"name": "x"}).status_code == 404
        assert eve.delete(at).status_code == 404
        assert eve.post(f"{at}/pictures", json={"add": pictures}).status_code == 404
        assert eve.get("/studio/gallery", params={"board": board["id"]}).status_code == 404
        assert eve.post("/studio/shares", json={"board": board["id"]}).status_code == 404
    assert [one["name"] for one in bo.get("/studio/boards").json()["boards"]] == ["mine"]


def test_only_ones_own_pictures_go_on_a_board(running, pictures) -> None:
    """Ids of nobody's, or of somebody else's, put nothing on it."""
    with running.ask("empty-handed") as client:
        board = made(client, "b")
        answer = client.post(f"/studio/boards/{board['id']}/pictures", json={"add": pictures})
        assert (answer.status_code, answer.json()["count"]) == (200, 0)


@pytest.mark.parametrize("id", ["..", "%2e%2e", "..%2f..%2fx", "x" * 65, "\u00fc", "%00"])
def test_ids_that_cannot_be(bo, id: str) -> None:
    """No id leads anywhere."""
    assert bo.delete(f"/studio/boards/{id}").status_code in (404, 405, 422)


@pytest.mark.parametrize("body", [{"add": ["x"]}, {"add": "x"}, {"add": [NotImplemented]}, {"remove": [7]}])
def test_what_cannot_be_put(bo, body: dict) -> None:
    """Refused, and the board stays as it was."""
    board = made(bo, "b")
    if body.get("add") == [NotImplemented]:
        body = {"add": ["2026-01-01/00001-1.png"] * 10_001}
    assert bo.post(f"/studio/boards/{board['id']}/pictures", json=body).status_code == 422
    assert bo.get("/studio/boards").json()["boards"] == [board]

"""`/studio/gallery`: one's own pictures over HTTP, and nobody else's."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image

from easel.studio.api.gallery_zip import ZipTickets
from easel.studio.gallery import PictureId
from easel.studio.outputs import Outputs

SEEDS = (11, 12, 13)
NOWHERE = "2026-01-01/00001-1.png"


@pytest.fixture(scope="module")
def drawn(running) -> dict[str, list[str]]:
    """Pictures of two people, the newest first, none of the same name."""
    for owner, prompt, seeds in (("gal", "a red fox", SEEDS), ("hal", "a blue whale", (21, 22, 23))):
        for seed in seeds:
            fields = {"prompt": f"{prompt} {seed}", "seed": seed, "save_images": True}
            assert running.draw(owner, **fields).status_code == 200
    return {owner: [one["id"] for one in listed(running, owner)["pictures"]] for owner in ("gal", "hal")}


def listed(running, owner: str, **asked) -> dict:
    with running.ask(owner) as client:
        answer = client.get("/studio/gallery", params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def gal(running, drawn) -> Iterator[httpx.Client]:
    with running.ask("gal") as client:
        yield client


@pytest.fixture
def hal(running, drawn) -> Iterator[httpx.Client]:
    with running.ask("hal") as client:
        yield client


def test_one_lists_ones_own(running, drawn, gal) -> None:
    """The newest first, each with what a tile needs, and addresses that lead to it."""
    page = gal.get("/studio/gallery").json()
    assert page["total"] == 3
    assert page["next"] is None
    first = page["pictures"][0]
    assert first["id"].endswith("-13.png")
    assert (first["width"], first["height"], first["seed"]) == (64, 64, 13)
    assert first["prompt"] == "a red fox 13"
    assert first["checkpoint"] == "easel-starter"
    assert (first["starred"], first["boards"]) == (False, [])
    full = gal.get("/" + first["url"])
    assert full.status_code == 200
    small = gal.get("/" + first["small"])
    assert small.headers["content-type"] == "image/webp"
    assert "immutable" in small.headers["cache-control"]
    assert "private" in small.headers["cache-control"]
    with Image.open(io.BytesIO(small.content)) as image:
        assert image.size == (64, 64)
    assert listed(running, "nobody-yet") == {"pictures": [], "next": None, "total": 0}


def test_pages_and_words(gal, drawn) -> None:
    """`before` goes on, `limit` is kept to, `q` finds words in any order."""
    seen, before = [], None
    while True:
        asked = {"limit": 2, **({"before": before} if before else {})}
        page = gal.get("/studio/gallery", params=asked).json()
        seen += [one["id"] for one in page["pictures"]]
        before = page["next"]
        if before is None:
            break
    assert seen == drawn["gal"]
    assert gal.get("/studio/gallery", params={"q": "FOX 12"}).json()["total"] == 1
    assert gal.get("/studio/gallery", params={"q": "whale"}).json()["total"] == 0


@pytest.mark.parametrize(
    "asked",
    [{"before": "../../etc/passwd"}, {"before": "2026-01-01"}, {"before": "x" * 100}, {"limit": 0},
     {"limit": 501}, {"limit": "many"}, {"q": "x" * 501}, {"starred": "perhaps"}],
)  # fmt: skip
def test_what_a_listing_cannot_mean(gal, asked: dict) -> None:
    """Refused with words, in A1111's shape."""
    answer = gal.get("/studio/gallery", params=asked)
    assert answer.status_code == 422
    assert answer.json()["errors"]


BAD_IDS = [
    "", "/", "..", "../..", "2026-01-01", "2026-01-01/", "/00001-1.png", "2026-01-01/../00001-1.png",
    "2026-01-01/00001-1.png/..", "../hal/2026-01-01/00001-1.png", "2026-01-01\\00001-1.png",
    "2026-01-01/00001-1.png\x00", "2026-01-01/00001-1.PNG", "2026-01-01/.gallery",
    "2026-01-01/00001-1.png.webp",
    "2026-01-01/\u0660\u0660\u0660\u0660\u0661-1.png", "\uff12026-01-01/00001-1.png",
    "2026-01-01/00001-1.png\n",
    "2026-01-01/" + "9" * 40 + "-1.png", "..%2f..%2fetc/passwd", "styles.csv", ".gallery.json",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_IDS)
def test_what_is_no_picture_is_refused(gal, bad: str) -> None:
    """No id is a path: in lists 422, whatever else is in them, and nothing is done."""
    good = gal.get("/studio/gallery").json()["pictures"][0]["id"]
    board = gal.post("/studio/boards", json={"name": "b"}).json()["id"]
    try:
        for path, body in [
            ("/studio/gallery/star", {"pictures": [good, bad], "starred": True}),
            ("/studio/gallery/delete", {"pictures": [good, bad]}),
            ("/studio/gallery/zip", {"pictures": [good, bad]}),
            ("/studio/gallery/zip/tickets", {"pictures": [good, bad]}),
            ("/studio/shares", {"picture": bad}),
            (f"/studio/boards/{board}/pictures", {"add": [bad]}),
            (f"/studio/boards/{board}/pictures", {"remove": [bad]}),
        ]:
            assert gal.post(path, json=body).status_code == 422, path
    finally:
        gal.delete(f"/studio/boards/{board}")
    page = gal.get("/studio/gallery").json()
    assert page["total"] == 3
    assert not any(one["starred"] for one in page["pictures"])


@pytest.mark.parametrize("route", ["small", "parameters"])
@pytest.mark.parametrize(
    "tail",
    ["..%2f..%2fstyles.csv", "2026-01-01/..%2f..%2f.gallery.json", "%2e%2e/00001-1.png", "2026-01-01/x.png",
     "2026-01-01/00001-1.png%00", "2026-01-01/%D9%A0%D9%A0%D9%A0%D9%A0%D9%A1-1.png"],
)  # fmt: skip
def test_what_is_no_picture_has_no_address(gal, route: str, tail: str) -> None:
    """Nor in an address."""
    assert gal.get(f"/studio/gallery/{route}/{tail}").status_code in (404, 405, 422)


def test_anothers_pictures_are_not_there(drawn, gal, hal) -> None:
    """By their exact ids: not listed, not seen, not small, no parameters, star, board, ZIP or share; and not
    deleted."""
    board = hal.post("/studio/boards", json={"name": "mine"}).json()["id"]
    assert {one["id"] for one in hal.get("/studio/gallery").json()["pictures"]} == set(drawn["hal"])
    assert hal.get("/studio/gallery", params={"q": "fox"}).json()["total"] == 0
    for id in drawn["gal"]:
        for path in ("files/pictures", "studio/gallery/small", "studio/gallery/parameters"):
            assert hal.get(f"/{path}/{id}").status_code == 404
        assert hal.post("/studio/shares", json={"picture": id}).status_code == 404
    asked = {"pictures": drawn["gal"]}
    assert hal.post("/studio/gallery/zip", json=asked).status_code == 404
    assert hal.post("/studio/gallery/zip/tickets", json=asked).status_code == 404
    assert hal.post("/studio/gallery/star", json={**asked, "starred": True}).status_code == 204
    assert hal.post(f"/studio/boards/{board}/pictures", json={"add": drawn["gal"]}).json()["count"] == 0
    assert hal.post("/studio/gallery/delete", json=asked).json() == {"deleted": []}
    mixed = hal.post("/studio/gallery/zip", json={"pictures": [*drawn["gal"], drawn["hal"][0]]})
    assert zipfile.ZipFile(io.BytesIO(mixed.content)).namelist() == drawn["hal"][:1]
    assert hal.get("/studio/gallery", params={"starred": True}).json()["total"] == 0
    hal.delete(f"/studio/boards/{board}")
    page = gal.get("/studio/gallery").json()
    assert page["total"] == 3
    assert not any(one["starred"] for one in page["pictures"])


def test_the_same_id_is_everybodys_own(running, gal, drawn) -> None:
    """Somebody without pictures finds none, whatever id is asked for."""
    first = drawn["gal"][0]
    with running.ask("ivy") as ivy:
        for path in (f"small/{first}", f"parameters/{first}"):
            assert ivy.get(f"/studio/gallery/{path}").status_code == 404
        assert ivy.get(f"/files/pictures/{first}").status_code == 404
        assert ivy.post("/studio/gallery/zip", json={"pictures": [first]}).status_code == 404
        assert ivy.post("/studio/shares", json={"picture": first}).status_code == 404
        assert ivy.post("/studio/gallery/delete", json={"pictures": [first]}).json() == {"deleted": []}
        assert (
            ivy.post("/studio/gallery/star", json={"pictures": [first], "starred": True}).status_code == 204
        )
        assert ivy.get("/studio/gallery", params={"starred": True}).json()["total"] == 0
    assert gal.get(f"/studio/gallery/small/{first}").status_code == 200
    assert gal.get("/studio/gallery", params={"starred": True}).json()["total"] == 0


def test_stars(gal, drawn) -> None:
    """Given and taken, twice is once, and filtered by."""
    some = drawn["gal"][:2]
    for _ in range(2):
        assert gal.post("/studio/gallery/star", json={"pictures": some, "starred": True}).status_code == 204
    page = gal.get("/studio/gallery", params={"starred": True}).json()
    assert [one["id"] for one in page["pictures"]] == some
    assert all(one["starred"] for one in page["pictures"])
    assert gal.get("/studio/gallery", params={"starred": True, "q": "11"}).json()["total"] == 0
    assert gal.post("/studio/gallery/star", json={"pictures": some, "starred": False}).status_code == 204
    assert gal.get("/studio/gallery", params={"starred": True}).json()["total"] == 0
    assert gal.post("/studio/gallery/star", json={"pictures": [NOWHERE], "starred": True}).status_code == 204


def test_parameters(gal, drawn) -> None:
    """What a picture was drawn from, as a request that draws it again."""
    said = gal.get(f"/studio/gallery/parameters/{drawn['gal'][0]}").json()
    assert said["text"].startswith("a red fox 13\n")
    assert (said["request"]["prompt"], said["request"]["seed"]) == ("a red fox 13", 13)
    assert said["notes"] == []
    again = gal.post("/sdapi/v1/txt2img", json={**said["request"], "save_images": False})
    assert again.status_code == 200
    assert gal.get(f"/studio/gallery/parameters/{NOWHERE}").status_code == 404


def test_parameters_of_what_is_sent(gal, drawn) -> None:
    """A text and a file are read alike; what says nothing says nothing."""
    first = drawn["gal"][0]
    saved = gal.get(f"/studio/gallery/parameters/{first}").json()
    assert gal.post("/studio/parameters", json={"text": saved["text"]}).json() == saved
    file = gal.get(f"/files/pictures/{first}").content
    files = {"picture": ("any name \u00fc.png", file, "image/png")}
    assert gal.post("/studio/parameters", files=files).json() == saved
    clamped = gal.post(
        "/studio/parameters", json={"text": "x\nSteps: 9999, Sampler: Euler, CFG scale: 7, Seed: 1"}
    )
    assert "9999" in clamped.json()["notes"][0]
    assert "steps" not in clamped.json()["request"]
    plain = gal.post("/studio/parameters", json={"text": "a fox"}).json()
    assert (plain["request"], len(plain["notes"])) == ({}, 1)
    silent = io.BytesIO()
    Image.new("RGB", (8, 8)).save(silent, "PNG")
    answer = gal.post("/studio/parameters", files={"picture": ("a.png", silent.getvalue(), "image/png")})
    assert answer.json()["request"] == {}


@pytest.mark.parametrize(
    "how",
    [{"json": {}}, {"json": []}, {"content": b"{"}, {"json": {"text": 7}}, {"content": b"\xff"},
     {"files": {"picture": ("a.png", b"no picture", "image/png")}},
     {"files": {"other": ("a.png", b"", "image/png")}},
     {"data": {"picture": "text"}, "files": {"other": ("a.png", b"", "image/png")}},
     {"content": b"--x", "headers": {"content-type": "multipart/form-data; boundary=y"}},
     {"content": b"--x", "headers": {"content-type": "multipart/form-data"}}],
)  # fmt: skip
def test_what_says_nothing_at_all(gal, how: dict) -> None:
    """4xx with words for what is neither."""
    answer = gal.post("/studio/parameters", **how)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["errors"]


def test_zip(gal, drawn) -> None:
    """Every picture that is there, once, whole, under its day; a browser's download is by a ticket."""
    asked = {"pictures": [*drawn["gal"], drawn["gal"][0], NOWHERE]}
    answer = gal.post("/studio/gallery/zip", json=asked)
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == drawn["gal"]
        for one in drawn["gal"]:
            assert archive.read(one) == gal.get(f"/files/pictures/{one}").content
    address = gal.post("/studio/gallery/zip/tickets", json=asked).json()["address"]
    download = gal.get(f"/{address}")
    assert download.headers["content-disposition"].startswith("attachment; filename=")
    assert zipfile.ZipFile(io.BytesIO(download.content)).namelist() == drawn["gal"]
    assert gal.get(f"/{address}").status_code == 404
    assert gal.post("/studio/gallery/zip", json={"pictures": [NOWHERE]}).status_code == 404
    assert gal.post("/studio/gallery/zip/tickets", json={"pictures": []}).status_code == 404


def test_a_zip_ticket_is_good_on_every_replica(running, drawn) -> None:
    """What one gave another takes, for whoever it was given, once, for five minutes."""
    one, other = (ZipTickets(Outputs(running.studio.outputs.folder)) for _ in range(2))
    ids = [PictureId.parse(one) for one in drawn["gal"]]
    ticket = one.issue("gal", ids)
    assert other.take("hal", ticket) is None
    assert other.take("gal", ticket) == ids
    assert one.take("gal", ticket) is None
    late = one.issue("gal", ids)
    (file,) = (running.studio.outputs.owned("gal") / ".zips").iterdir()
    os.utime(file, (1_000_000_000, 1_000_000_000))
    assert other.take("gal", late) is None


def test_a_zip_can_be_read_as_it_comes(gal, drawn) -> None:
    """Readers that cannot wind back need entries that say their own end: deflated ones do."""
    content = gal.post("/studio/gallery/zip", json={"pictures": drawn["gal"][:1]}).content
    flags, method = struct.unpack_from("<HH", content, 6)
    assert (flags & 0x08, method) == (0x08, 8)


def test_a_ticket_is_its_owners(gal, hal, drawn) -> None:
    """Nobody else downloads by it, and trying does not use it up."""
    address = gal.post("/studio/gallery/zip/tickets", json={"pictures": drawn["gal"]}).json()["address"]
    assert hal.get(f"/{address}").status_code == 404
    assert gal.get(f"/{address}").status_code == 200
    assert gal.get("/studio/gallery/zip/nonsense").status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"pictures": "x"}, {"pictures": [7]}, {"pictures": ["2026-01-01/00001-1.png"] * 10_001}]
)
@pytest.mark.parametrize("route", ["delete", "zip", "zip/tickets", "star"])
def test_lists_are_bounded(gal, route: str, body: dict) -> None:
    """No list is longer than ten thousand, and all in it is text."""
    answer = gal.post(f"/studio/gallery/{route}", json={**body, "starred": True})
    assert answer.status_code == 422
    assert len(answer.content) < 5_000


def test_deleting(running) -> None:
    """For good, small version and all; twice is no fault; the same seed afterwards is another picture."""
    running.draw("del", save_images=True, seed=1)
    with running.ask("del") as client:
        one = client.get("/studio/gallery").json()["pictures"][0]
        assert client.get("/" + one["small"]).status_code == 200
        assert client.post("/studio/gallery/delete", json={"pictures": [one["id"]]}).json() == {
            "deleted": [one["id"]]
        }
        assert client.post("/studio/gallery/delete", json={"pictures": [one["id"]]}).json() == {"deleted": []}
        for address in (one["url"], one["small"], f"studio/gallery/parameters/{one['id']}"):
            assert client.get("/" + address).status_code == 404
        assert client.get("/studio/gallery").json()["total"] == 0


def test_open_pages_are_told(running) -> None:
    """Of each picture that comes and goes, its owner's alone."""
    with running.ask("told") as client, client.stream("GET", "/studio/events") as stream:
        lines = stream.iter_lines()

        def told(name: str) -> dict:
            while next(lines) != f"event: {name}":
                pass
            return json.loads(next(lines).removeprefix("data: "))

        told("hello")
        running.draw("another", seed=1, save_images=True)
        running.draw("told", seed=2, save_images=True)
        picture = told("picture")
        assert picture["seed"] == 2
        with running.ask("told") as beside:
            beside.post("/studio/gallery/delete", json={"pictures": [picture["id"]]})
        assert told("gone") == {"pictures": [picture["id"]]}


def test_a_picture_deleted_as_a_file_is_gone_here_too(running) -> None:
    """`easel files rm` and the gallery agree, and nothing stays that keeps the day from being removed."""
    running.draw("rm", save_images=True, seed=1)
    with running.ask("rm") as client:
        one = client.get("/studio/gallery").json()["pictures"][0]
        client.get("/" + one["small"])
        client.post("/studio/gallery/star", json={"pictures": [one["id"]], "starred": True})
        listing = client.get("/files/list", params={"path": f"outputs/{one['day']}"}).json()
        assert [entry["path"] for entry in listing["entries"]] == [f"outputs/{one['id']}"]
        assert client.delete("/files/content", params={"path": f"outputs/{one['id']}"}).status_code == 200
        assert client.get("/studio/gallery").json()["total"] == 0
        assert client.delete("/files/content", params={"path": f"outputs/{one['day']}"}).status_code == 200


def test_what_is_kept_beside_is_nobodys_file(gal, drawn) -> None:
    """Indexes, small versions, lists and shares are not listed and not fetched as files."""
    gal.post("/studio/gallery/star", json={"pictures": drawn["gal"][:1], "starred": True})
    said = gal.get("/files/list", params={"path": "outputs", "recursive": 1}).json()
    assert not [entry["path"] for entry in said["entries"] if "gallery" in entry["path"]]
    day = drawn["gal"][0].split("/")[0]
    for path in (f"outputs/{day}/.gallery/index.jsonl", "outputs/.gallery.json"):
        assert gal.get("/files/content", params={"path": path}).status_code == 400
    gal.post("/studio/gallery/star", json={"pictures": drawn["gal"][:1], "starred": False})


def test_many_tiles_at_once(gal, drawn) -> None:
    """Sixty tiles are asked for at a time, of one picture even."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: gal.get(f"/studio/gallery/small/{drawn['gal'][n % 3]}"), range(60)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 3


def test_other_kinds_of_files(running) -> None:
    """JPEG and WebP are listed, small and read as PNG is."""
    for kind in ("jpg", "webp"):
        running.draw(
            "kinds",
            save_images=True,
            prompt=f"a {kind} \u00fc\u4e16",
            override_settings={"samples_format": kind},
            seed=5,
        )
    with running.ask("kinds") as client:
        page = client.get("/studio/gallery").json()
        assert {one["id"].rsplit(".")[-1] for one in page["pictures"]} == {"jpg", "webp"}
        for one in page["pictures"]:
            assert one["prompt"].startswith("a ")
            assert "\u00fc\u4e16" in one["prompt"]
            assert client.get("/" + one["small"]).status_code == 200
            said = client.get(f"/studio/gallery/parameters/{one['id']}").json()
            assert said["request"]["seed"] == 5

"""Models in through the API: what is at an address, downloads as jobs, scan and new versions."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from easel.studio.library import NoPicture
from easel.studio.library.previews import small
from tests.models.civitai_stand_in import CONTENT, TOKEN, file, version
from tests.models.serving import model_bytes, sha256
from tests.studio.library import PAGE, Place, api, place, png


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path) as found, api(found.studio) as found.client:
        yield found


@pytest.mark.parametrize(
    "address",
    [
        PAGE,
        "https://civitai.com/models/4384",
        "https://www.civitai.com/models/4384/dreamshaper",
        "https://civitai.com/api/download/models/128713?type=Model&format=SafeTensor",
        "https://civitai.com/model-versions/128713",
        "civitai.com/models/4384?modelVersionId=128713",
        "http://civitai.com/models/4384",
        "  https://civitai.com/models/4384 \n",
        "civitai://models/4384?version=128713",
        "urn:air:sd1:checkpoint:civitai:4384@128713",
        "4384",
    ],
)
def test_every_form_of_an_address(made: Place, address: str) -> None:
    """Whatever people copy leads to the same card."""
    made.civitai.publish(version())
    card = made.ask("POST", "info", json={"url": address}).json()
    assert (card["name"], card["kind"], card["version"]) == ("DreamShaper", "checkpoint", 128713)
    assert card["versions"][0]["files"][0]["address"] == "civitai://models/4384?version=128713&fileId=92139"


def test_the_card(made: Place) -> None:
    """Files with what is wrong with them, licence, words, and the rating of each preview."""
    made.civitai.publish(
        version(
            files=[
                file(),
                file(id=2, name="a.ckpt", metadata={"format": "PickleTensor"}),
                file(id=3, pickleScanResult="Danger"),
                file(id=4, virusScanResult="Pending"),
            ]
        )
    )
    made.civitai.publish(version(200000, name="9", availability="EarlyAccess"))
    card = made.ask("POST", "info", json={"url": PAGE}).json()
    assert [one["id"] for one in card["versions"]] == [200000, 128713]
    assert card["version"] == 128713, "the address names one"
    assert card["versions"][0]["early_access"]
    first, pickle, danger, pending = card["versions"][1]["files"]
    assert (first["size"], first["precision"], first["scan"], first["problem"]) == (
        1499996,
        "fp16",
        "clean",
        "",
    )
    assert "run code" in pickle["problem"]
    assert "dangerous" in danger["problem"]
    assert (pending["scan"], pending["problem"]) == ("pending", "")
    allowed = {one["what"]: one["allowed"] for one in card["licence"]}
    assert allowed["Sell pictures made with it"] is True
    assert allowed["Sell the model or merges of it"] is False
    assert [one["mature"] for one in card["versions"][1]["pictures"]] == [False, True]


def test_a_mature_preview_is_blurred(made: Place) -> None:
    """What is sent without asking for it shows nothing; both are small pictures made anew."""
    made.civitai.publish(version())
    mild, mature = made.ask("POST", "info", json={"url": PAGE}).json()["versions"][0]["pictures"]
    pictures = {}
    for name, key, ask in (("mild", mild, ""), ("blurred", mature, ""), ("clear", mature, "?mature=true")):
        answer = made.ask("GET", f"previews/{key['key']}{ask}")
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["x-content-type-options"] == "nosniff"
        pictures[name] = Image.open(io.BytesIO(answer.content)).convert("L")
    low, high = pictures["clear"].getextrema()
    assert high - low > 200
    low, high = pictures["blurred"].getextrema()
    assert high - low < 100


@pytest.mark.parametrize(
    "content",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<html><script>alert(1)</script>",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"",
        b"GIF89a<script>alert(1)</script>",
    ],
)
def test_a_preview_that_is_no_picture(made: Place, content: bytes) -> None:
    """Told by taking it apart, whatever the server calls it."""
    made.civitai.storage.put("/preview.png", content, type="image/png")
    made.civitai.publish(version())
    picture = made.ask("POST", "info", json={"url": PAGE}).json()["versions"][0]["pictures"][0]
    assert made.ask("GET", f"previews/{picture['key']}").status_code == 404


def test_a_picture_with_a_tail_loses_it(made: Place) -> None:
    """Markup behind the pixels, or in a comment, does not reach the browser."""
    assert b"script" not in small(png() + b"<script>alert(1)</script>")


def test_a_picture_of_too_many_pixels() -> None:
    """A small file that would fill the memory is not unpacked."""
    content = io.BytesIO()
    Image.new("1", (9000, 9000)).save(content, "PNG")
    with pytest.raises(NoPicture, match="pixels"):
        small(content.getvalue())


def test_only_previews_that_a_source_named(made: Place) -> None:
    """The studio fetches no address on a visitor's word."""
    for key in ("0" * 32, "http:%2F%2F127.0.0.1:9%2Fx", "..%2F..%2Fx"):
        assert made.ask("GET", f"previews/{key}").status_code == 404
    assert made.civitai.storage.seen == []


def test_a_download(made: Place) -> None:
    """From POST to a model that every list shows, with information and preview beside it."""
    made.civitai.publish(version())
    job = made.start(folder="anime/soft")
    assert job["mine"]
    done = made.ended(job)
    assert done["state"] == "done", done
    assert done["result"]["file"]["name"] == "anime/soft/dreamshaper_8.safetensors"
    found = made.root / "Stable-diffusion" / "anime" / "soft"
    assert (found / "dreamshaper_8.safetensors").read_bytes() == CONTENT
    assert json.loads((found / "dreamshaper_8.civitai.info").read_text())["modelId"] == 4384
    assert (found / "dreamshaper_8.preview.png").read_bytes() == png()
    listed = made.ask("GET", "files").json()[0]
    assert listed["trained_words"] == ["dreamy", "soft light"]
    assert listed["preview"]
    shown = made.ask("GET", "files/preview", params={"type": "checkpoint", "name": listed["name"]})
    assert Image.open(io.BytesIO(shown.content)).format == "WEBP"
    assert made.ask("GET", "folders", params={"type": "checkpoint"}).json()["folders"] == [
        "/",
        "anime",
        "anime/soft",
    ]
    assert made.client is not None
    titles = [one["title"] for one in made.client.get("/sdapi/v1/sd-models").json()]
    assert titles == [f"anime/soft/dreamshaper_8.safetensors [{sha256(CONTENT)[:10]}]"]


def test_the_file_that_was_chosen(made: Place) -> None:
    """Of several files of a version, the one that its address names."""
    other = model_bytes(600_000, seed=5)
    second = file(other, id=5, name="other.safetensors", primary=False)
    made.civitai.publish(version(files=[file(), second]), other)
    done = made.ended(made.start(url="civitai://models/4384?version=128713&fileId=5"))
    assert done["state"] == "done", done
    assert (made.root / "Stable-diffusion" / "other.safetensors").read_bytes() == other


def test_two_people_one_job(made: Place) -> None:
    """The same file is downloaded once; one who cancels does not take it from the other."""
    made.civitai.rate = 1_000_000
    made.civitai.publish(version())
    first, second = made.start("ada"), made.start("bob")
    assert first["id"] == second["id"]
    assert made.ask("DELETE", f"jobs/{first['id']}", "eve").status_code == 403
    assert made.ask("DELETE", f"jobs/{first['id']}", "ada").json()["state"] == "running"
    assert made.ended(second, "bob")["state"] == "done"


def test_cancel_keeps_what_came(made: Place) -> None:
    """DELETE ends it; the same download goes on from there."""
    made.civitai.rate = 400_000
    made.civitai.publish(version())
    job = made.start()
    made.until(job, lambda now: now["done"] > 100_000)
    made.ask("DELETE", f"jobs/{job['id']}")
    assert made.ended(job)["state"] == "cancelled"
    assert made.ask("GET", "files").json() == []
    made.civitai.rate = 0
    before = sum(each.sent for each in made.civitai.storage.files.values())
    assert made.ended(made.start())["state"] == "done"
    assert sum(each.sent for each in made.civitai.storage.files.values()) - before < len(CONTENT) - 60_000


def test_the_machine_is_not_idle_meanwhile(made: Place) -> None:
    """A download keeps the endpoint awake as drawing does, and no longer than it lasts."""
    made.civitai.rate = 800_000
    made.civitai.publish(version())
    job = made.start()
    made.until(job, lambda now: now["state"] == "running")
    assert made.studio.activity.idle_seconds(1000.0) == 0
    made.ended(job)
    end = threading.Event()
    while made.studio.activity.idle_seconds(1000.0) == 0 and not end.wait(0.01):
        pass
    assert made.studio.activity.idle_seconds(1000.0) < 30


def test_a_download_that_trickles_ends(made: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardly a byte for long: it ends by itself, so that nobody pays for a machine that waits."""
    monkeypatch.setattr("easel.studio.library.background_job.STALLED_AFTER", 0.5)
    made.civitai.rate = 60_000
    made.civitai.publish(version())
    done = made.ended(made.start())
    assert done["error"]["error"] == "Stalled", done
    assert "look for another source" in done["words"]


def test_progress_as_events(made: Place) -> None:
    """Server-sent events of the job's JSON, the last of them its end."""
    made.civitai.publish(version())
    answer = made.ask("GET", f"jobs/{made.start()['id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    seen = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert seen[-1]["state"] == "done"


def test_an_address_of_the_web(made: Place) -> None:
    """Any https address; the person says what it is."""
    made.civitai.storage.put("/style.safetensors", CONTENT)
    address = f"{made.civitai.storage.url}/style.safetensors?key=secret"
    card = made.ask("POST", "info", json={"url": address}).json()
    assert (card["source"], card["name"], card["kind"]) == ("web", "style.safetensors", None)
    assert "secret" not in json.dumps(card)
    done = made.ended(made.start(url=address, type="lora", folder="styles"))
    assert done["result"]["file"]["name"] == "styles/style.safetensors", done
    assert "secret" not in json.dumps(done)


def test_the_token_is_used_and_not_shown(tmp_path: Path) -> None:
    """The operator's token goes to Civitai, and into no answer."""
    with place(tmp_path, CIVITAI_TOKEN=TOKEN) as made, api(made.studio) as made.client:
        made.civitai.needs_login = True
        made.civitai.publish(version())
        card = made.ask("POST", "info", json={"url": PAGE}).text
        done = made.ended(made.start())
        assert done["state"] == "done", done
        assert TOKEN not in card + json.dumps(done) + made.ask("GET", "files").text


def put(made: Place, name: str, content: bytes) -> Path:
    path = made.root / "Lora" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_scan(made: Place) -> None:
    """Files that came by other ways are known by their hash; a pause that Civitai wants is taken."""
    made.civitai.publish(version(kind="LORA"))
    known, unknown = put(made, "old.safetensors", CONTENT), put(made, "own.safetensors", model_bytes(9_000))
    made.civitai.pauses = [1]
    done = made.ended(made.ask("POST", "scan").json())
    assert done["state"] == "done", done
    assert (done["result"]["matched"], done["result"]["unknown"]) == (
        ["old.safetensors"],
        ["own.safetensors"],
    )
    assert json.loads(known.with_suffix(".civitai.info").read_text())["id"] == 128713
    assert known.with_suffix(".preview.png").exists()
    assert not unknown.with_suffix(".civitai.info").exists()


def test_a_scan_does_not_wait_for_ever(made: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that only ever wants pauses ends it, with what to do."""
    monkeypatch.setattr("easel.studio.library.scan._PAUSES", 1)
    put(made, "old.safetensors", CONTENT)
    made.civitai.pauses = [0, 0, 0]
    monkeypatch.setattr("easel.studio.library.scan._PAUSE", 0.05)
    done = made.ended(made.ask("POST", "scan").json())
    assert done["error"]["error"] == "TooManyRequests", done


def test_new_versions(made: Place) -> None:
    """What has a newer version is named with its address; what is up to date is not."""
    made.civitai.publish(version())
    made.civitai.publish(version(11, model=5, files=[file(id=8, name="b.safetensors")]))
    for address in (PAGE, "civitai://models/5"):
        assert made.ended(made.start(url=address))["state"] == "done"
    made.civitai.publish(version(200000, name="9", files=[file(model_bytes(9_000), id=9)]))
    done = made.ended(made.ask("POST", "updates").json())
    assert done["result"]["asked"] == 2
    assert [(one["name"], one["version"], one["address"]) for one in done["result"]["newer"]] == [
        ("dreamshaper_8.safetensors", "9", "civitai://models/4384?version=200000")
    ]


def test_the_load_says_it(made: Place) -> None:
    """`/easel/load` is what the gateway reads."""
    assert made.client is not None
    made.civitai.rate = 800_000
    made.civitai.publish(version())
    job = made.start()
    made.until(job, lambda now: now["state"] == "running")
    assert made.client.get("/easel/load").json()["idle_seconds"] == 0
    made.ask("DELETE", f"jobs/{job['id']}")

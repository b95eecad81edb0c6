"""Models in through the API, refused: each in plain words, with A1111's error body."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from easel.models import Store
from easel.studio.activity import Activity
from easel.studio.api import create_api
from easel.studio.engine import Engine
from easel.studio.library import Library
from easel.studio.studio import Studio
from tests.models.civitai_stand_in import file, version
from tests.studio.library import PAGE, QUICK, Place, api, place


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path) as found, api(found.studio, raise_server_exceptions=False) as found.client:
        yield found


def shaped(answer: httpx.Response, status: int) -> str:
    """A1111's error body; gives its words."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error", "detail", "body", "errors"}
    return str(body["errors"])


@pytest.mark.parametrize(
    ("status", "said", "kind", "words"),
    [
        (401, {"error": "Unauthorized"}, "NeedsToken", "make a key at"),
        (403, {"error": "Early Access", "deadline": "2030-01-02T00:00:00Z"}, "EarlyAccess", "2030-01-02"),
        (403, {"error": "Forbidden"}, "NoAccess", "open its page to see why"),
        (404, {"error": "File not found"}, "NotThere", "check the page"),
        (410, {"error": "Model archived"}, "Archived", "Look for the same hash elsewhere"),
        (429, {"error": "Too many"}, "TooManyRequests", "start it again"),
    ],
)
def test_refusals_of_a_download(
    made: Place, status: int, said: dict[str, Any], kind: str, words: str
) -> None:
    """Each in plain words with what to do, in the job."""
    made.civitai.publish(version())
    made.civitai.refusals[128713] = (status, said)
    done = made.ended(made.start())
    assert (done["state"], done["error"]["error"]) == ("failed", kind)
    assert words in done["words"] == done["error"]["errors"]
    assert set(done["error"]) == {"error", "detail", "body", "errors"}
    assert made.ask("GET", "files").json() == []


@pytest.mark.parametrize(
    ("status", "ours", "words"),
    [(401, 403, "CIVITAI_TOKEN"), (403, 403, "may"), (404, 404, "deleted"), (410, 410, "archived"),
     (429, 429, "start it again"), (500, 502, "try again later"), (418, 422, "browser")],
)  # fmt: skip
def test_refusals_of_a_question(made: Place, status: int, ours: int, words: str) -> None:
    """The same for "Get model info". A 401 of the source is none of ours: the caller's token is right."""
    made.civitai.service.fallback = lambda request: request.json(status, {"error": "no"}, Retry_After="7")
    answer = made.ask("POST", "info", json={"url": PAGE})
    assert words in shaped(answer, ours)
    assert status != 429 or answer.headers["retry-after"] == "7"


def test_no_network(made: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers: said so, with what to do."""
    monkeypatch.setenv("CIVITAI_ENDPOINT", "http://127.0.0.1:9")
    at_once = SimpleNamespace(sleep=lambda seconds: None)
    monkeypatch.setattr("easel.models.sources.civitai.time", at_once)
    assert "check the network" in shaped(made.ask("POST", "info", json={"url": PAGE}), 502)


@pytest.mark.parametrize(
    "address",
    ["", "   ", "no address", "https://civitai.com/images/5", "https://civitai.com/models/x",
     "ftp://example.com/a", "civitai://models/1?version=x", "urn:air:x", "https://", "x" * 1999,
     "https://huggingface.co/org/repo"],
)  # fmt: skip
def test_what_is_no_address(made: Place, address: str) -> None:
    """Told what would be one."""
    shaped(made.ask("POST", "info", json={"url": address}), 422)
    shaped(made.ask("POST", "downloads", json={"url": address}), 422)


@pytest.mark.parametrize("address", ["s3://bucket/key", "file:/etc/passwd"])
def test_what_is_the_operators_own(made: Place, address: str) -> None:
    """Page and API read no files and buckets of the machine, whatever the setting says."""
    assert "operator only" in shaped(made.ask("POST", "downloads", json={"url": address}), 403)


@pytest.mark.parametrize(
    "fields",
    [{"folder": "../x"}, {"folder": "/../../x"}, {"folder": "a/../../b"}, {"folder": ".hidden"},
     {"folder": "a\\..\\b"}, {"folder": "a\0b"}, {"folder": "x" * 300}, {"name": "../x.safetensors"},
     {"name": "a/b"}, {"name": "x.ckpt"}, {"type": "pickle"}, {"type": "../.."}, {"sha256": "12"},
     {"url": None}, {"url": 5}, {"folder": {}}],
)  # fmt: skip
def test_names_that_cannot_be(made: Place, fields: dict[str, Any]) -> None:
    """Nothing leaves its folder, and nothing begins."""
    made.civitai.publish(version())
    shaped(made.ask("POST", "downloads", json={"url": PAGE, **fields}), 422)
    assert made.ask("GET", "jobs").json() == []
    assert not made.root.exists()


def test_a_link_out_of_the_folder(made: Place, tmp_path: Path) -> None:
    """A link in the store to elsewhere is not followed."""
    made.civitai.publish(version())
    (made.root / "Stable-diffusion").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (made.root / "Stable-diffusion" / "out").symlink_to(tmp_path / "elsewhere")
    shaped(made.ask("POST", "downloads", json={"url": PAGE, "folder": "out"}), 422)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_file_that_is_dangerous(made: Place) -> None:
    """Refused by the studio also where the page's own block is passed by."""
    made.civitai.publish(version(files=[file(pickleScanResult="Danger", pickleScanMessage="os.system")]))
    done = made.ended(made.start(url="civitai://models/4384?version=128713&fileId=92139"))
    assert done["error"]["error"] == "Unsafe"


def test_over_the_teams_quota(made: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends as soon as its size is known, and says what to do."""
    monkeypatch.setenv("EASEL_QUOTA", "1000000")
    made.civitai.rate = 400_000
    made.civitai.publish(version())
    done = made.ended(made.start())
    assert done["error"]["error"] == "OverQuota", done
    assert "storage.quota" in done["words"]
    assert made.ask("GET", "files").json() == []


@pytest.mark.parametrize("owner", ["anonymous/abc", "anonymous"])
def test_the_anonymous_add_nothing(made: Place, owner: str) -> None:
    """Visitors of a public endpoint see what is there; they ask nobody, start nothing, see no jobs."""
    made.civitai.publish(version())
    job = made.start("ada")
    made.ended(job)
    made.civitai.service.seen.clear()
    for method, path, said in (
        ("POST", "info", {"json": {"url": PAGE}}),
        ("POST", "downloads", {"json": {"url": PAGE}}),
        ("POST", "scan", {}),
        ("POST", "updates", {}),
        ("GET", "jobs", {}),
        ("GET", f"jobs/{job['id']}", {}),
        ("GET", f"jobs/{job['id']}/events", {}),
        ("DELETE", f"jobs/{job['id']}", {}),
        ("GET", "folders", {}),
        ("GET", "previews/x", {}),
    ):
        assert "open a link of the team" in shaped(made.ask(method, path, owner, **said), 403)
    assert made.civitai.service.seen == []
    assert made.ask("GET", "files", owner).status_code == 200


def test_a_name_that_only_begins_so(made: Place) -> None:
    """A token may be called "anonymous-art"; its holder is known."""
    assert made.ask("GET", "jobs", "anonymous-art").status_code == 200


def test_private_addresses(tmp_path: Path) -> None:
    """Without the operator's setting none is reached, though Civitai itself should send there."""
    studio = Studio.at(tmp_path, "studio", Engine(Store(tmp_path / "models", hashing=False)))
    vars(studio)["library"] = library = Library(studio.engine.store, Activity(), limits=QUICK)
    bare = Place(studio, None, TestClient(create_api(studio)))  # type: ignore[arg-type]
    for address in ("https://127.0.0.1:9/a.safetensors", "https://169.254.169.254/a.safetensors",
                    "https://[::1]/a.safetensors", "https://2130706433/a.safetensors"):  # fmt: skip
        assert bare.ended(bare.start(url=address, type="lora"))["error"]["error"] == "Forbidden", address
    shaped(bare.ask("POST", "downloads", json={"url": "http://example.com/a.safetensors"}), 403)
    library.jobs.close()


def test_what_is_not_there(made: Place) -> None:
    """Unknown jobs, previews and routes."""
    for method, path in (("GET", "jobs/none"), ("DELETE", "jobs/none"), ("GET", "jobs/none/events"),
                         ("GET", "nothing"), ("GET", "files/preview?type=lora&name=../../x")):  # fmt: skip
        shaped(made.ask(method, path), 404)


def test_too_many(made: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue has an end."""
    monkeypatch.setattr("easel.studio.library.background_jobs.MOST_WAITING", 2)
    made.civitai.rate = 100_000
    made.civitai.publish(version())
    jobs = [made.start(name=f"{number}.safetensors") for number in range(2)]
    answer = made.ask("POST", "downloads", json={"url": PAGE, "name": "3.safetensors"})
    shaped(answer, 429)
    assert answer.headers["retry-after"]
    for job in jobs:
        made.ask("DELETE", f"jobs/{job['id']}")


@pytest.mark.parametrize(
    "said",
    [{"modelVersions": None}, {"modelVersions": "x"}, {"modelVersions": [1, None, {"id": "x"}]},
     {"modelVersions": []}],
)  # fmt: skip
def test_a_model_without_versions(made: Place, said: dict[str, Any]) -> None:
    """Whatever the service answers is no 500 here."""
    made.civitai.publish(version())
    made.civitai.model_says = said
    shaped(made.ask("POST", "info", json={"url": "4384"}), 404)


def test_nonsense_in_every_field(made: Place) -> None:
    """Fields of the wrong kind are left out; a card comes all the same."""
    for nonsense in (None, 5, -1, 1e400, True, [], {}, [[]], "\ud800", "\u202e" * 5000):
        made.civitai.model_says = dict.fromkeys(
            ("name", "type", "nsfw", "tags", "creator", "description", "allowCommercialUse"), nonsense
        )
        wrong = file(**dict.fromkeys(("name", "sizeKB", "metadata", "hashes", "scannedAt", "type"), nonsense))
        fields = ("name", "baseModel", "trainedWords", "description", "publishedAt")
        images = [{"url": nonsense, "nsfwLevel": nonsense}, {"url": "http://x", "width": nonsense}]
        made.civitai.publish(version(files=[wrong], images=images, **dict.fromkeys(fields, nonsense)))
        answer = made.ask("POST", "info", json={"url": PAGE})
        assert answer.status_code == 200, (nonsense, answer.text)
        assert "\u202e" not in answer.json()["name"]

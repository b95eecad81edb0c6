"""The models that are there, over HTTP: what fits whom, and what people change of them."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.models.civitai_stand_in import file, version
from tests.models.serving import model_bytes
from tests.studio import networks
from tests.studio.library import PAGE, Place, api, place, png

XL = {"lora_unet_x_attn2_to_k.lora_down.weight": torch.zeros(4, 2048)}
CHALK = {"lora_unet_x_attn2_to_k.lora_down.weight": torch.zeros(4, 64)}
ELSEWHERE = (
    "../Lora/film.safetensors", "/etc/passwd", "film", "art/../film.safetensors", "FILM.safetensors",
    "f\u0131lm.safetensors",
)  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path) as found, api(found.studio, raise_server_exceptions=False) as found.client:
        (found.root / "Stable-diffusion").mkdir(parents=True)
        (found.root / "Stable-diffusion/easel-starter.safetensors").write_bytes(networks.STARTER.read_bytes())
        networks.write(found.root / "Lora/art/chalk.safetensors", CHALK)
        networks.write(found.root / "Lora/film.safetensors", XL)
        yield found


def library(made: Place, owner: str = "ada", **asked: Any) -> dict[str, Any]:
    answer = made.ask("GET", "library", owner, params=asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def named(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in found["models"]}


def refused(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["errors"])


def test_what_fits_the_callers_checkpoint(made: Place) -> None:
    """Told by the files themselves, with the reason; the checkpoint that is drawn with is marked."""
    found = named(library(made))
    assert (found["art/chalk.safetensors"]["fits"], found["art/chalk.safetensors"]["family"]) == (
        True,
        "starter",
    )
    film = found["film.safetensors"]
    assert (film["fits"], film["reason"]) == (False, "made for SDXL; your checkpoint is Starter")
    assert found["easel-starter.safetensors"]["in_use"]


def test_a_choice_meanwhile_is_in_all_of_the_answer_or_in_none(
    made: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that was told the new name and the old mark never asked again: the mark stayed where it was."""
    second = made.root / "Stable-diffusion/second.safetensors"
    second.write_bytes(networks.STARTER.read_bytes())
    files = made.studio.engine.store.checkpoints()
    asked = iter(sorted(files, key=lambda one: one.name) * 2)
    monkeypatch.setattr(type(made.studio), "checkpoint", lambda _self, _owner: next(asked))
    found = library(made)
    assert [one["name"] for one in found["models"] if one["in_use"]] == [found["checkpoint"]]


def test_what_is_asked_for(made: Place) -> None:
    """Kind, folder, words and order; the counts are of everything, for the tabs."""
    made.ask("PATCH", "files", json={"type": "lora", "name": "film.safetensors", "notes": "Kodak Portra"})
    assert list(named(library(made, kind="lora", folder="art"))) == ["art/chalk.safetensors"]
    assert list(named(library(made, q="portra FILM"))) == ["film.safetensors"]
    assert list(named(library(made, q="portra chalk"))) == []
    assert next(iter(named(library(made, sort="largest")))) == "easel-starter.safetensors"
    found = library(made, kind="vae")
    assert (found["models"], found["total"], found["kinds"]) == ([], 3, {"checkpoint": 1, "lora": 2})


@pytest.mark.parametrize(
    "asked", [{"kind": "pickle"}, {"sort": "best"}, {"q": "x" * 201}, {"folder": "x" * 401}, {"kind": ""}]
)
def test_what_cannot_be_asked_for(made: Place, asked: dict[str, str]) -> None:
    """Words that are none are named."""
    refused(made.ask("GET", "library", params=asked), 422)


@pytest.mark.parametrize("folder", ["../..", "/etc", "..", "art/../..", "\x00"])
def test_a_folder_is_compared_and_never_opened(made: Place, folder: str) -> None:
    """Nothing below it, whatever it is called."""
    assert library(made, folder=folder)["models"] == []


def test_unchanged_is_said_in_no_words(made: Place) -> None:
    """Pages ask after every change of anything: what they have is not sent again."""
    tag = made.ask("GET", "library").headers["etag"]
    assert made.client is not None
    again = made.client.get("/studio/models/library", headers={"X-Easel-User": "ada", "If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    made.ask("PATCH", "files", json={"type": "lora", "name": "film.safetensors", "words": "film"})
    again = made.client.get("/studio/models/library", headers={"X-Easel-User": "ada", "If-None-Match": tag})
    assert again.status_code == 200


def test_a_long_list_is_packed(made: Place) -> None:
    """For who takes it so; the words are the same."""
    assert made.client is not None
    asked = {"X-Easel-User": "ada", "Accept-Encoding": "identity"}
    for name in ("film.safetensors", "art/chalk.safetensors"):
        change(made, "write", name, notes="so much to say " * 250)
    plain = made.client.get("/studio/models/library", headers=asked)
    packed = made.client.get("/studio/models/library", headers={**asked, "Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert (packed.headers["content-encoding"], packed.json()) == ("gzip", plain.json())


def test_words_and_notes(made: Place) -> None:
    """Kept where A1111 keeps them, for everybody; what is not named stays, and an empty text clears."""
    said = {
        "words": "chalk style, dust",
        "negative_words": "photo",
        "weight": 0.7,
        "notes": "zwei\nZeilen ü 🎨",
    }
    answer = made.ask("PATCH", "files", json={"type": "lora", "name": "art/chalk.safetensors", **said})
    assert {key: answer.json()[key] for key in said} == said
    beside = made.root / "Lora/art/chalk.json"
    assert json.loads(beside.read_text())["activation text"] == "chalk style, dust"
    made.ask(
        "PATCH", "files", json={"type": "lora", "name": "art/chalk.safetensors", "words": "", "weight": 0}
    )
    found = named(library(made, "bob"))["art/chalk.safetensors"]
    assert (found["words"], found["weight"], found["notes"]) == ("", 0, said["notes"])


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("way", ["write", "rename", "preview"])
def test_only_a_name_that_the_list_says(made: Place, name: str, way: str) -> None:
    """Names are compared with what is there, exactly: none leads anywhere else."""
    refused(change(made, way, name), 404)
    assert (made.root / "Lora/film.safetensors").exists()


def change(made: Place, way: str, file: str, owner: str = "ada", kind: str = "lora", **said: Any) -> Any:
    """One of the changes, all fields right but those that are said otherwise."""
    it = {"type": kind, "name": file}
    if way == "write":
        return made.ask("PATCH", "files", owner, json={**it, "notes": "x", **said})
    if way == "rename":
        return made.ask("POST", "files/rename", owner, json={**it, "new_name": "new", **said})
    picture = drawn(made, owner)
    return made.ask("PUT", "files/preview", owner, json={**it, "picture": picture, **said})


def drawn(made: Place, owner: str, seed: int = 7) -> str:
    """One of `owner`'s saved pictures, with its prompt in it."""
    content, told = io.BytesIO(), PngInfo()
    told.add_text("parameters", "a secret prompt")
    Image.open(io.BytesIO(png(900))).save(content, "PNG", pnginfo=told)
    path = made.studio.outputs.save(owner, content.getvalue(), seed)
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("way", ["write", "rename", "preview"])
def test_visitors_change_nothing(made: Place, way: str) -> None:
    """They see the models, and are told who may."""
    assert "visitors" in refused(change(made, way, "film.safetensors", "anonymous/1"), 403)
    found = library(made, "anonymous/1")
    assert found["may_change"] is False
    assert not any(one["may_change"] for one in found["models"])
    assert library(made)["may_change"] is True


@pytest.mark.parametrize("way", ["write", "rename", "preview"])
def test_what_lies_elsewhere_is_changed_there(made: Place, way: str, tmp_path: Path) -> None:
    """A link of the operator's is shown and left alone."""
    elsewhere = tmp_path / "elsewhere"
    networks.write(elsewhere / "own.safetensors", XL)
    (made.root / "Lora/linked").symlink_to(elsewhere)
    assert named(library(made))["linked/own.safetensors"]["may_change"] is False
    assert "elsewhere" in refused(change(made, way, "linked/own.safetensors"), 403)
    assert [one.name for one in elsewhere.iterdir()] == ["own.safetensors"]


@pytest.mark.parametrize(
    "said",
    [
        {"weight": 11}, {"weight": -10.5}, {"weight": "x"}, {"words": "x" * 1001}, {"notes": "x" * 4001},
        {"type": "pickle"}, {"type": None}, {"name": None}, {"notes": 7}, {"words": ["x"]},
    ],
)  # fmt: skip
def test_notes_that_cannot_be(made: Place, said: dict[str, Any]) -> None:
    """Named by their field, and nothing is written."""
    refused(change(made, "write", "film.safetensors", **said), 422)
    assert not (made.root / "Lora/film.json").exists()


def test_another_kind_is_another_name(made: Place) -> None:
    """A LoRA is no VAE of the same name."""
    refused(change(made, "write", "film.safetensors", kind="vae"), 404)


def test_a_new_name(made: Place) -> None:
    """With its notes, into a folder that was not there; the old name is gone."""
    change(made, "write", "film.safetensors")
    answer = change(made, "rename", "film.safetensors", new_name="Körnung 35mm", folder="film/neu")
    assert answer.json()["name"] == "film/neu/Körnung 35mm.safetensors", answer.text
    assert answer.json()["notes"] == "x"
    assert "film.safetensors" not in named(library(made))


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"new_name": "../chalk"}, 422), ({"new_name": "a/b"}, 422), ({"new_name": ".hidden"}, 422),
        ({"new_name": "x.ckpt"}, 422), ({"new_name": "x" * 190}, 422), ({"new_name": ""}, 422),
        ({"new_name": "a\nb"}, 422), ({"folder": ".."}, 422), ({"folder": "/a/../../b"}, 422),
        ({"folder": "a//b"}, 422), ({"new_name": "chalk", "folder": "art"}, 409),
    ],
)  # fmt: skip
def test_names_that_cannot_be(made: Place, said: dict[str, str], status: int) -> None:
    """None that leads out, hides, says pickle or is taken; the model keeps its name."""
    refused(change(made, "rename", "film.safetensors", **said), status)
    assert "film.safetensors" in named(library(made))


def test_its_old_name_is_understood(made: Place) -> None:
    """It stands on the card, is looked for, and a choice of it stays one, whoever renames."""
    (made.root / "Stable-diffusion/two.safetensors").write_bytes(networks.STARTER.read_bytes())
    made.studio.engine.store.refresh()
    made.studio.options.update("bob", {"sd_model_checkpoint": "two.safetensors"})
    assert change(made, "rename", "two.safetensors", kind="checkpoint", new_name="deux").status_code == 200
    found = library(made, "bob")
    assert found["checkpoint"] == "deux.safetensors"
    card = named(found)["deux.safetensors"]
    assert (card["formerly"], card["path"]) == (
        ["two.safetensors"],
        "models/Stable-diffusion/deux.safetensors",
    )
    assert list(named(library(made, q="two"))) == ["deux.safetensors"]


def test_the_default_keeps_its_name(made: Place) -> None:
    """Requests that name no checkpoint are drawn with it."""
    answer = change(made, "rename", "easel-starter.safetensors", kind="checkpoint")
    assert "no checkpoint" in refused(answer, 409)


def test_ones_choice_follows(made: Place) -> None:
    """Who renames the checkpoint that they draw with goes on drawing with it."""
    (made.root / "Stable-diffusion/two.safetensors").write_bytes(networks.STARTER.read_bytes())
    made.studio.engine.store.refresh()
    made.studio.options.update("ada", {"sd_model_checkpoint": "two.safetensors"})
    answer = change(made, "rename", "two.safetensors", kind="checkpoint", new_name="deux")
    assert answer.status_code == 200, answer.text
    assert library(made)["checkpoint"] == "deux.safetensors"


def test_a_preview_of_ones_own(made: Place) -> None:
    """A small copy of the pixels: what the picture says of its prompt is nobody's business."""
    answer = change(made, "preview", "film.safetensors")
    assert answer.status_code == 200, answer.text
    content = (made.root / "Lora/film.preview.png").read_bytes()
    assert b"secret" not in content
    assert Image.open(io.BytesIO(content)).size == (512, 512)
    before = answer.json()["preview"]
    assert made.client is not None
    shown = made.client.get(f"/{before}", headers={"X-Easel-User": "bob"})
    assert Image.open(io.BytesIO(shown.content)).format == "WEBP"
    assert change(made, "preview", "film.safetensors").json()["preview"] != before, (
        "a browser would keep the old one"
    )


@pytest.mark.parametrize(
    "picture", ["", "x", "../../x", "2026-01-29/00001-7.png", "2026-01-29/../x.png", "\x00/x"]
)
def test_a_picture_that_is_not_there(made: Place, picture: str) -> None:
    """Nor one that is another person's."""
    refused(change(made, "preview", "film.safetensors", picture=picture), 404)
    refused(change(made, "preview", "film.safetensors", picture=drawn(made, "bob", 8)), 404)
    assert not (made.root / "Lora/film.preview.png").exists()


def test_deleted_with_its_notes(made: Place) -> None:
    """What people wrote of a model goes with it, and says nothing of the next one of that name."""
    change(made, "write", "film.safetensors")
    from easel.models import Kind, remove_model

    store = made.studio.engine.store
    remove_model(store, store.find(Kind.LORA, "film.safetensors"))
    assert not (made.root / "Lora/film.json").exists()


def test_newer_versions_are_marked(made: Place) -> None:
    """After a look for them, until the newer one is here."""
    made.civitai.publish(version())
    assert made.ended(made.start())["state"] == "done"
    made.civitai.publish(
        version(200000, name="9", files=[file(model_bytes(9_000), id=9, name="nine.safetensors")]),
        model_bytes(9_000),
    )
    name = "dreamshaper_8.safetensors"
    assert named(library(made))[name]["newer"] is None
    made.ended(made.ask("POST", "updates").json())
    newer = named(library(made, "bob"))[name]["newer"]
    assert (newer["version"], newer["address"]) == ("9", "civitai://models/4384?version=200000")
    assert made.ended(made.start(url=newer["address"]))["state"] == "done"
    assert named(library(made))[name]["newer"] is None


def test_a_failed_download_again(made: Place) -> None:
    """With the address that only the studio knows; a job that is not here is said to be none."""
    made.civitai.publish(version())
    made.civitai.refusals[128713] = (503, {"error": "later"})
    failed = made.ended(made.start(url=PAGE))
    assert failed["state"] == "failed"
    del made.civitai.refusals[128713]
    answer = made.ask("POST", f"jobs/{failed['id']}/again", "bob")
    assert answer.status_code == 202
    assert made.ended(answer.json(), "bob")["state"] == "done"
    refused(made.ask("POST", "jobs/0000000000000000/again"), 404)
    refused(made.ask("POST", f"jobs/{failed['id']}/again", "anonymous/1"), 403)


def test_who_listens_hears_of_new_models(made: Place) -> None:
    """Files that come by any way, a renaming and notes; a download under way does not ring all the time."""
    heard = threading.Semaphore(0)
    made.studio.library.changes._every = 0.05
    stop = made.studio.library.changes.listen(heard.release)
    try:
        assert heard.acquire(timeout=10), "what came before the first look"
        assert not heard.acquire(timeout=0.3), "nothing has changed"
        networks.write(made.root / "Lora/late/new.safetensors", XL)
        assert heard.acquire(timeout=10)
        change(made, "write", "late/new.safetensors")
        assert heard.acquire(timeout=10)
        for number in range(5):
            (made.root / "Lora/late/.x.part.json").write_text(str(number))
            (made.root / f"Lora/late/.x.{number}").touch()
        assert not heard.acquire(timeout=0.5)
        (made.root / "Lora/late/new.safetensors").unlink()
        assert heard.acquire(timeout=10)
    finally:
        stop()


def test_nobody_looks_for_nobody(made: Place) -> None:
    """The watch ends with its last listener, and one listener's fault is not the next one's."""
    changes = made.studio.library.changes
    changes._every = 0.02
    heard = threading.Semaphore(0)

    def broken() -> None:
        raise RuntimeError("x")

    stops = [changes.listen(broken), changes.listen(heard.release)]
    assert heard.acquire(timeout=10)
    networks.write(made.root / "Lora/new.safetensors", XL)
    assert heard.acquire(timeout=10)
    for stop in stops:
        stop()
    watcher = changes._watcher
    if watcher is not None:
        watcher.join(10)
    assert changes._watcher is None

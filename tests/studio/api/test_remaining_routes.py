"""A1111's routes beside drawing: all of them are there, or say in its own shape why not."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from easel.studio.png import encode
from tests.studio.api.answers import sent

A1111S = """
POST txt2img img2img extra-single-image extra-batch-images png-info interrogate interrupt skip options
POST refresh-embeddings refresh-checkpoints refresh-vae refresh-loras unload-checkpoint reload-checkpoint
POST create/embedding create/hypernetwork train/embedding train/hypernetwork
GET progress options cmd-flags samplers schedulers upscalers latent-upscale-modes sd-models sd-vae
GET hypernetworks face-restorers realesrgan-models prompt-styles embeddings memory scripts script-info
GET extensions loras
"""


def shaped(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text[:300]
    body = answer.json()
    assert set(body) == {"error", "detail", "body", "errors"}
    return body


def test_every_route_of_a1111_is_described(ada) -> None:
    """The routes of release 1.10, but `server-*`, which a server without `--api-server-stop` has not."""
    paths = ada.get("/openapi.json").json()["paths"]
    for line in A1111S.split("\n")[1:-1]:
        method, *names = line.split()
        for name in names:
            assert method.lower() in paths.get(f"/sdapi/v1/{name}", {}), name


@pytest.mark.parametrize("name", ["server-kill", "server-restart", "server-stop", "artists", "nothing"])
def test_routes_that_a1111_has_not_either(ada, name) -> None:
    """404 as there, which clients tell from other faults by its words."""
    assert shaped(ada.post(f"/sdapi/v1/{name}"), 404)["detail"] == "Not Found"


@pytest.mark.parametrize(
    "name", ["create/embedding", "create/hypernetwork", "train/embedding", "train/hypernetwork"]
)
def test_training(ada, name) -> None:
    """501 in words that lead further, whatever is asked for."""
    body = shaped(ada.post(f"/sdapi/v1/{name}", json={"name": "x"}), 501)
    assert "train it with a program made for it" in body["errors"]
    shaped(ada.post(f"/sdapi/v1/{name}", content=b"["), 422)


@pytest.mark.parametrize("name", ["skip", "interrupt", "unload-checkpoint", "reload-checkpoint"])
def test_actions_answer_json(running, ada, name) -> None:
    """Clients read JSON from all of them; nobody else's checkpoint is unloaded by it."""
    assert ada.post(f"/sdapi/v1/{name}").json() == {}
    assert running.draw("bob", steps=1).status_code == 200


def test_sysinfo(running, ada) -> None:
    """What it runs on, without paths and environment; the same as a file."""
    found = ada.get("/internal/sysinfo").json()
    assert found["Version"].startswith("Easel ")
    assert found["RAM"]["total"] > found["RAM"]["used"] > 0
    assert found["Device"] in ("cpu", "cuda")
    file = ada.get("/internal/sysinfo-download")
    assert file.headers["content-disposition"].startswith('attachment; filename="sysinfo-')
    assert set(file.json()) == set(found)
    assert str(running.home) not in file.text
    assert "PATH" not in file.text
    with running.ask("anonymous/1") as visitor:
        shaped(visitor.get("/internal/sysinfo"), 403)
        shaped(visitor.get("/internal/sysinfo-download"), 403)


def test_what_the_page_asks(ada) -> None:
    """All options by name, and how long the start took."""
    hints = ada.get("/internal/quicksettings-hint").json()
    assert {"name", "label"} == set(hints[0])
    assert {one["name"] for one in hints} <= set(ada.get("/sdapi/v1/options").json())
    assert ada.get("/internal/profile-startup").json()["total"] > 0
    assert ada.get("/internal/ping").json() == {}
    assert ada.get("/internal/pending-tasks").json() == {"size": 0, "tasks": []}


@pytest.fixture(scope="module")
def lora(running) -> Iterator[Path]:
    """A LoRA with a picture beside it and another one inside."""
    folder = running.home / "models" / "Lora" / "styles"
    folder.mkdir(parents=True, exist_ok=True)
    cover = sent(Image.new("RGB", (40, 30), "red"))
    said = {"ss_tag": "<b>chalk</b>", "ssmd_cover_images": json.dumps([cover, "nonsense", 5])}
    path = folder / "v1.5 chalk.safetensors"
    save_file({"lora_unet_x.lora_down.weight": np.zeros((1, 1), np.float32)}, path, metadata=said)
    path.with_name("v1.5 chalk.preview.png").write_bytes(encode(Image.new("RGB", (900, 600), "green")))
    with running.ask() as ada:
        ada.post("/sdapi/v1/refresh-loras")
    yield path
    for one in (path, path.with_name("v1.5 chalk.preview.png")):
        one.unlink()
    with running.ask() as ada:
        ada.post("/sdapi/v1/refresh-loras")


def size(answer) -> tuple[int, int]:
    assert answer.headers["content-type"] == "image/jpeg", answer.text[:300]
    return Image.open(io.BytesIO(answer.content)).size


def test_pictures_of_cards(ada, lora) -> None:
    """By the path of the lists or of the picture: small, and made anew. So are those in the file itself."""
    path = next(one["path"] for one in ada.get("/sdapi/v1/loras").json() if one["name"] == lora.stem)
    for name in (path, path.replace(".safetensors", ".preview.png"), "/" + path):
        answer = ada.get("/sd_extra_networks/thumb", params={"filename": name, "mtime": "5"})
        assert size(answer) == (320, 213)
    covers = "/sd_extra_networks/cover-images"
    assert size(ada.get(covers, params={"page": "lora", "item": lora.stem, "index": 0})) == (40, 30)
    for index in (1, 2, 3, -1, 10**30):
        answer = ada.get(covers, params={"page": "lora", "item": lora.stem, "index": index})
        assert answer.status_code in (404, 422)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "Lora",
        "../../../etc/passwd",
        "/etc/hostname",
        "Lora/../Lora/v1.5 chalk.safetensors",
        "x" * 9000,
    ],
)
def test_no_other_file_is_fetched(ada, lora, name) -> None:
    """A name that is no model's is 404: names are compared, and never opened."""
    shaped(ada.get("/sd_extra_networks/thumb", params={"filename": name}), 404)


def test_texts_of_cards(ada, lora) -> None:
    """Metadata as JSON in a string, without the pictures in it; a card that escapes what a file says."""
    answer = ada.get("/sd_extra_networks/metadata", params={"page": "lora", "item": lora.stem}).json()
    assert json.loads(answer["metadata"]) == {"ss_tag": "<b>chalk</b>"}
    for asked in (
        {},
        {"page": "lora"},
        {"page": "nothing", "item": lora.stem},
        {"page": "lora", "item": "x"},
    ):
        assert ada.get("/sd_extra_networks/metadata", params=asked).json() == {}
    card = "/sd_extra_networks/get-single-card"
    html = ada.get(card, params={"page": "Lora", "tabname": "txt2img", "name": lora.stem}).json()["html"]
    assert 'data-path="Lora/styles/v1.5 chalk.safetensors"' in html
    shaped(ada.get(card, params={"page": "checkpoints", "name": "nothing"}), 404)
    assert "easel-starter" in ada.get(card, params={"page": "checkpoints", "name": "easel-starter"}).text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([True, True, {"ad_model": "face_yolov8n.pt"}], "face_yolov8n.pt"),
        ([True, {"ad_model": "hand.pt", "ad_prompt": "x"}, {"ad_model": "None"}], "hand.pt"),
        ([{"ad_model": "face.pt"}], "face.pt"),
        ([{"ad_model": "face.pt", "ad_tab_enable": False}], None),
        ([False, {"ad_model": "face.pt"}], None),
        ([True, {"ad_model": "None"}], None),
        ([], None),
    ],
)
def test_adetailer_is_taken_and_told(running, arguments, told) -> None:
    """Programs send it with every request: drawn without it, and told where it would have done something."""
    answer = running.draw(steps=1, alwayson_scripts={"ADetailer": {"args": arguments}})
    assert answer.status_code == 200, answer.text
    comments = " ".join(json.loads(answer.json()["info"])["comments"])
    assert ("there is no detector file" in comments) == bool(told)
    assert (told or "") in comments


def test_adetailers_arguments_are_a_list(running) -> None:
    """Anything else is refused, as for every script."""
    assert running.draw(alwayson_scripts={"ADetailer": {"args": {"ad_model": "x"}}}).status_code == 422

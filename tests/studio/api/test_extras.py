"""A1111's extras over HTTP: pictures made larger as the caller's jobs, said in file and `html_info`."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import torch
import webuiapi
from PIL import Image

from easel.studio.png import encode
from tests.studio import faces
from tests.studio import upscalers as tiny
from tests.studio.api.answers import info, pictures

SINGLE, BATCH = "/sdapi/v1/extra-single-image", "/sdapi/v1/extra-batch-images"
PICTURE = Image.radial_gradient("L").resize((48, 40)).convert("RGB")


def sent(image: Image.Image = PICTURE, parameters: str = "") -> str:
    return base64.b64encode(encode(image, parameters)).decode()


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


# What A1111's own test/test_extras.py sends.
THEIRS: dict[str, Any] = {
    "resize_mode": 0, "show_extras_results": True, "gfpgan_visibility": 0, "codeformer_visibility": 0,
    "codeformer_weight": 0, "upscaling_resize": 2, "upscaling_resize_w": 128, "upscaling_resize_h": 128,
    "upscaling_crop": True, "upscaler_1": "Lanczos", "upscaler_2": "None", "extras_upscaler_2_visibility": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def upscalers(running) -> Iterator[None]:
    """A model of ×4 and one that A1111 has a name for, while these tests run."""
    folder = running.home / "models" / "ESRGAN"
    torch.manual_seed(5)
    files = [
        tiny.write(folder / "4x-tiny.safetensors", tiny.rrdb()),
        tiny.write(folder / "RealESRGAN_x2plus.safetensors", tiny.compact()),
    ]
    running.studio.engine.store.refresh()
    yield
    for file in files:
        file.unlink()
    running.studio.engine.store.refresh()


def test_a1111s_own_requests(ada) -> None:
    """Its test suite's two: one picture, and many."""
    one = ada.post(SINGLE, json={**THEIRS, "image": sent()})
    assert one.status_code == 200
    assert list(one.json()) == ["html_info", "image"]
    assert one.json()["html_info"] == "<p>Postprocess upscale by: 2.0, Postprocess upscaler: Lanczos</p>"
    assert (
        opened(one.json()["image"]).tobytes() == PICTURE.resize((96, 80), Image.Resampling.LANCZOS).tobytes()
    )
    listed = [{"data": sent(), "name": "a.png"}, {"data": sent(PICTURE.resize((80, 80))), "name": "b.png"}]
    many = ada.post(BATCH, json={**THEIRS, "imageList": listed})
    assert list(many.json()) == ["html_info", "images"]
    assert [opened(text).size for text in many.json()["images"]] == [(96, 80), (160, 160)]


def test_webuiapi_upscales(running, upscalers) -> None:
    """The client's two calls, with its own defaults beside."""
    client = webuiapi.WebUIApi(baseurl=f"{running.url}/sdapi/v1")
    result = client.extra_single_image(PICTURE, upscaler_1="4x-tiny", upscaling_resize=4)
    assert result.image.size == (192, 160)
    assert "Postprocess upscaler: 4x-tiny" in result.info
    results = client.extra_batch_images([PICTURE, PICTURE], upscaler_1="R-ESRGAN 2x+", upscaling_resize=2)
    assert [one.size for one in results.images] == [(96, 80)] * 2


def test_lists(ada, upscalers) -> None:
    """A1111's keys; models under its names for them, else the file's, their place below the store."""
    listed = {one["name"]: one for one in ada.get("/sdapi/v1/upscalers").json()}
    assert list(listed) == ["None", "Lanczos", "Nearest", "4x-tiny", "R-ESRGAN 2x+"]
    assert listed["4x-tiny"] == {
        "name": "4x-tiny", "model_name": "4x-tiny", "model_path": "ESRGAN/4x-tiny.safetensors",
        "model_url": None, "scale": 4,
    }  # fmt: skip
    assert listed["Lanczos"]["model_path"] is None
    assert ada.get("/sdapi/v1/realesrgan-models").json() == [
        {"name": "R-ESRGAN 2x+", "path": "ESRGAN/RealESRGAN_x2plus.safetensors", "scale": 2}
    ]
    assert ada.get("/sdapi/v1/face-restorers").json() == []


@pytest.mark.parametrize(
    ("fields", "size", "info"),
    [
        ({"upscaling_resize": 1.5}, (72, 56), "Postprocess upscale by: 1.5, Postprocess upscaler: Lanczos"),
        (
            {"resize_mode": 1},
            (128, 128),
            "Postprocess upscale to: 128x128, Postprocess crop to: 128x128, Postprocess upscaler: Lanczos",
        ),
        (
            {"resize_mode": "1", "upscaling_crop": False},
            (152, 128),
            "Postprocess upscale to: 128x128, Postprocess upscaler: Lanczos",
        ),
        (
            {"upscaler_2": "Nearest", "extras_upscaler_2_visibility": 0.5},
            (96, 80),
            "Postprocess upscale by: 2.0, Postprocess upscaler: Lanczos, Postprocess upscaler 2: Nearest",
        ),
        ({"upscaler_1": "None"}, (48, 40), ""),
        ({"upscaler_1": "realesrgan_x2PLUS"}, (96, 80),
         "Postprocess upscale by: 2.0, Postprocess upscaler: R-ESRGAN 2x+"),
    ],
)  # fmt: skip
def test_what_is_asked_is_made_and_said(ada, upscalers, fields, size, info) -> None:
    """A1111's sizes and words; the file keeps what it said of itself, and says what was done."""
    body = {**THEIRS, **fields, "image": sent(parameters="a cat\nSteps: 3, Seed: 5")}
    answer = ada.post(SINGLE, json=body).json()
    assert answer["html_info"] == f"<p>{info}</p>"
    found = opened(answer["image"])
    assert found.size == size
    assert found.info["parameters"] == "a cat\nSteps: 3, Seed: 5"
    assert found.info["postprocessing"] == info
    read = ada.post("/sdapi/v1/png-info", json={"image": answer["image"]}).json()
    assert read["items"] == {"postprocessing": info}


@pytest.mark.parametrize("field", ["gfpgan_visibility", "codeformer_visibility"])
def test_faces_are_told(ada, field: str) -> None:
    """Without a file nobody is left to believe that there was a face restorer."""
    answer = ada.post(SINGLE, json={**THEIRS, field: 1, "image": sent()}).json()
    assert "<p>Faces were not restored: there is no face restorer (GFPGANv1.4)" in answer["html_info"]


@pytest.fixture
def restorer(running) -> Iterator[None]:
    """A narrow RestoreFormer, and a detector that sees one face in every picture."""
    folder = running.home / "models" / "GFPGAN"
    files = [
        tiny.write(folder / "RestoreFormer.safetensors", faces.restoreformer()),
        tiny.write(folder / "detection_Resnet50_Final.safetensors", faces.detector(faces.IN_THE_MIDDLE)),
    ]
    running.studio.engine.store.refresh()
    yield
    for file in files:
        file.unlink()
    running.studio.engine.store.refresh()


@pytest.mark.slow
def test_faces_over_http(running, ada, restorer) -> None:
    """With its files: in extras alone and behind an upscaler, in what is drawn, in infotext and list."""
    listed = ada.get("/sdapi/v1/face-restorers").json()
    assert listed == [{"name": "RestoreFormer", "cmd_dir": "GFPGAN"}]
    large = sent(PICTURE.resize((240, 200)))
    alone = {**THEIRS, "upscaler_1": "None", "image": large}
    answer = ada.post(SINGLE, json={**alone, "gfpgan_visibility": 0.75}).json()
    assert answer["html_info"] == (
        "<p>RestoreFormer visibility: 0.75</p>"
        "<p>Faces were restored by RestoreFormer and not by GFPGAN: it is not here.</p>"
    )
    assert opened(answer["image"]).size == (240, 200)
    assert opened(answer["image"]).tobytes() != opened(large).tobytes()
    both = ada.post(SINGLE, json={**THEIRS, "codeformer_visibility": 1, "image": sent()}).json()
    assert "Postprocess upscaler: Lanczos, RestoreFormer visibility: 1" in both["html_info"]
    assert "CodeFormer&#x27;s licence" in both["html_info"]
    assert opened(both["image"]).size == (96, 80)
    (plain,) = pictures(running.draw())
    drawn = running.draw(restore_faces=True, override_settings={"face_restoration_model": "RestoreFormer"})
    assert pictures(drawn)[0].tobytes() != plain.tobytes()
    told = info(drawn)
    assert (told["restore_faces"], told["face_restoration_model"], told["comments"]) == (
        True,
        "RestoreFormer",
        [],
    )
    (text,) = told["infotexts"]
    assert "Face restoration: RestoreFormer, Size" in text
    with running.ask() as client:
        again = client.post("/sdapi/v1/txt2img", json={"infotext": text})
    assert pictures(again)[0].tobytes() == pictures(drawn)[0].tobytes()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"upscaler_1": "x9000"}, "upscaler_1 is 'x9000'; allowed: None, Lanczos"),
        ({"upscaler_2": "x9000"}, "upscaler_2 is 'x9000'"),
        ({"upscaling_resize": 0}, "upscaling_resize"),
        ({"upscaling_resize": 100}, "upscaling_resize is 100.0; allowed: 0.05 to 16"),
        ({"upscaling_resize": float("nan")}, "nan"),
        ({"resize_mode": 2}, "resize_mode"),
        ({"resize_mode": 1, "upscaling_resize_w": 0}, "upscaling_resize_w"),
        ({"resize_mode": 1, "upscaling_resize_w": 16384, "upscaling_resize_h": 16384}, "pixels"),
        ({"extras_upscaler_2_visibility": 2}, "extras_upscaler_2_visibility"),
        ({"image": ""}, "image is empty"),
        ({"image": "aGVsbG8="}, "image is not a picture"),
        ({"image": "http://example.com/a.png"}, "fetches no pictures"),
    ],
)
def test_what_cannot_be_made_is_refused(running, fields, words) -> None:
    """422 in A1111's shape, with the field."""
    import json

    body = json.dumps({**THEIRS, "image": sent(), **fields}).encode()
    with running.ask("ada") as client:
        answer = client.post(SINGLE, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert set(answer.json()) == {"error", "detail", "body", "errors"}
    assert words.lower() in answer.text.lower()


def test_a_batch_is_limited_as_one(ada) -> None:
    """Each picture would do; all of them are in memory until the answer."""
    large = sent(Image.new("RGB", (1400, 1400)))
    body = {**THEIRS, "upscaling_resize": 4, "imageList": [{"data": large, "name": "a"}] * 9}
    answer = ada.post(BATCH, json=body)
    assert answer.status_code == 422
    assert "9 pictures become 282 megapixels" in answer.json()["errors"]


def test_interrupt_ends_it(running, upscalers) -> None:
    """The caller's own, and no other's; it is answered with what is there."""
    answers: dict[str, httpx.Response] = {}
    large = sent(Image.radial_gradient("L").resize((900, 900)).convert("RGB"))

    def ask(owner: str) -> None:
        body = {**THEIRS, "upscaler_1": "4x-tiny", "upscaling_resize": 4, "image": large}
        with running.ask(owner) as client:
            answers[owner] = client.post(SINGLE, json=body)

    thread = threading.Thread(target=ask, args=("eve",))
    thread.start()
    until = time.monotonic() + 60
    with running.ask("bob") as bob, running.ask("eve") as eve:
        while not 0 < eve.get("/sdapi/v1/progress").json()["progress"] < 1:
            assert time.monotonic() < until
            time.sleep(0.01)
        bob.post("/sdapi/v1/interrupt")
        assert eve.get("/sdapi/v1/progress").json()["state"]["job_count"] == 1
        eve.post("/sdapi/v1/interrupt")
    thread.join(60)
    assert answers["eve"].json()["image"] is None
    assert "Interrupted" in answers["eve"].json()["html_info"]


def test_hires_fix_by_name(running, ada, upscalers) -> None:
    """`hr_upscaler` takes a model; the infotext has A1111's name for it and draws it again."""
    fields = {"enable_hr": True, "hr_scale": 2, "denoising_strength": 0.5}
    answer = running.draw(**fields, hr_upscaler="RealESRGAN_x2plus")
    drawn = opened(answer.json()["images"][0])
    assert drawn.size == (128, 128)
    text = drawn.info["parameters"]
    assert "Hires upscaler: R-ESRGAN 2x+" in text
    again = ada.post("/sdapi/v1/txt2img", json={"infotext": text})
    assert opened(again.json()["images"][0]).tobytes() == drawn.tobytes()


def test_img2img_by_option(ada, upscalers) -> None:
    """`upscaler_for_img2img` enlarges the source, by whatever of its names; an unknown one is refused."""
    body = {
        "init_images": [sent()],
        "width": 96,
        "height": 96,
        "steps": 2,
        "denoising_strength": 0.1,
        "seed": 1,
    }

    def drawn(name: str | None) -> bytes:
        said = {"seed": 1, "override_settings": {"upscaler_for_img2img": name}}
        answer = ada.post("/sdapi/v1/img2img", json={**body, **said})
        assert answer.status_code == 200, answer.text
        return opened(answer.json()["images"][0]).tobytes()

    assert drawn("4x-tiny") != drawn(None)
    refused = ada.post("/sdapi/v1/options", json={"upscaler_for_img2img": "x9000"})
    assert refused.status_code == 422
    assert "upscaler_for_img2img is 'x9000'" in refused.json()["errors"]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"ESRGAN_tile": 8}, "ESRGAN_tile is 8"), ({"ESRGAN_tile": 1024}, "ESRGAN_tile is 1024"),
     ({"ESRGAN_tile": 32, "ESRGAN_tile_overlap": 40}, "less than ESRGAN_tile, which is 32"),
     ({"DAT_tile": 8}, "DAT_tile is 8"), ({"SWIN_tile_overlap": 49}, "SWIN_tile_overlap is 49"),
     ({"ESRGAN_tile_overlap": 49}, "ESRGAN_tile_overlap is 49"), ({"ESRGAN_tile": "wide"}, "whole number")],
)  # fmt: skip
def test_tiles_of_upscalers_have_bounds(ada, options, words) -> None:
    """A1111's own, for a request and as an option; below them they are followed for that request alone."""
    asked = {"init_images": [sent()], "override_settings": options}
    for refused in (
        ada.post("/sdapi/v1/img2img", json=asked),
        ada.post("/sdapi/v1/options", json=options),
    ):
        assert refused.status_code == 422
        assert words in refused.json()["errors"]


def test_tiles_of_upscalers_are_asked_for(running, ada, upscalers) -> None:
    """`override_settings` cuts the tiles of a second pass: the same picture but for the seams; too large a
    tile is told."""
    fields = {"enable_hr": True, "hr_scale": 2, "denoising_strength": 0, "hr_upscaler": "4x-tiny"}
    fields |= {"width": 128, "height": 64}
    whole, cut, large = (
        running.draw(**fields, override_settings={"ESRGAN_tile": tile}).json() for tile in (192, 32, 512)
    )
    first, second = (np.asarray(opened(one["images"][0]), np.int16) for one in (whole, cut))
    assert np.abs(first - second).max() > 0
    assert np.abs(first - second).mean() < 2
    assert json.loads(cut["info"])["comments"] == []
    assert "and not of 512" in json.loads(large["info"])["comments"][0]


def test_sd_upscale_by_a_model(ada, upscalers) -> None:
    """The script's picture goes through the upscaler before it is drawn over, by name or by its place."""
    body = {"init_images": [sent(PICTURE.resize((64, 64)))], "width": 96, "height": 96, "steps": 2, "seed": 3,
            "denoising_strength": 0.1, "script_name": "SD upscale"}  # fmt: skip

    def drawn(upscaler: object) -> bytes:
        answer = ada.post("/sdapi/v1/img2img", json={**body, "script_args": [None, 64, upscaler, 2]})
        assert answer.status_code == 200, answer.text
        image = opened(answer.json()["images"][0])
        assert image.size == (128, 128)
        return image.tobytes()

    names = [one["name"] for one in ada.get("/sdapi/v1/upscalers").json()]
    assert drawn("4x-tiny") == drawn(names.index("4x-tiny")) != drawn("Lanczos")
    refused = ada.post("/sdapi/v1/img2img", json={**body, "script_args": [None, 64, "x9000", 2]})
    assert refused.json()["detail"][0]["loc"] == ["body", "script_args.Upscaler"]


def test_an_interrupted_enlarging_draws_nothing(running, upscalers) -> None:
    """It is answered as any interrupted request is: with what is there, which is nothing."""
    answers: list[httpx.Response] = []
    large = sent(Image.radial_gradient("L").resize((900, 900)).convert("RGB"))
    body = {"init_images": [large], "width": 512, "height": 512, "steps": 2, "denoising_strength": 0.1,
            "script_name": "SD upscale", "script_args": [None, 64, "4x-tiny", 1.5]}  # fmt: skip

    def ask() -> None:
        with running.ask("eve") as client:
            answers.append(client.post("/sdapi/v1/img2img", json=body))

    thread = threading.Thread(target=ask)
    thread.start()
    until = time.monotonic() + 60
    with running.ask("eve") as eve:
        while not eve.get("/sdapi/v1/progress").json()["progress"]:
            assert time.monotonic() < until
            time.sleep(0.01)
        eve.post("/sdapi/v1/interrupt")
    thread.join(60)
    assert answers[0].status_code == 200
    assert answers[0].json()["images"] == []

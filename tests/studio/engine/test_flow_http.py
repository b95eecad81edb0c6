"""Today's families over HTTP: tiny ones in a store, drawn by the studio's app."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from easel.models import Architecture
from easel.studio.app import create_app
from easel.studio.families import FAMILY_LABELS
from easel.studio.studio import Studio
from tests.studio.engine.flow_store import FlowStore, Made, engine, maker


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    return maker(tmp_path, monkeypatch)


@contextmanager
def page(files: FlowStore, home: Path) -> Iterator[TestClient]:
    """The studio's app on the store, spoken to in process."""
    with engine(files) as running:
        while running.status().phase not in {"ready", "failed"}:
            time.sleep(0.02)
        with TestClient(create_app(Studio.at(home, "studio", running))) as client:
            client.headers["X-Easel-User"] = "ada"
            yield client


def asked_over_http(client: TestClient, way: str = "txt2img", **fields: Any) -> tuple[Image.Image, str]:
    asked = {"prompt": "a cat", "steps": 2, "seed": 7, "width": 64, "height": 64, **fields}
    answer = client.post(f"/sdapi/v1/{way}", json=asked)
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0])))
    return image, json.loads(answer.json()["info"])["infotexts"][0]


def test_flux_over_http(made: Made, tmp_path: Path) -> None:
    """Sizes that its patches fill, its guidance in the infotext and from the request, and its card."""
    files, flux = made(Architecture.FLUX_DEV), Architecture.FLUX_DEV
    files.write_transformer(flux, "tiny-flux-dev.safetensors")
    files.write_parts(flux)
    with page(files, tmp_path) as client:
        assert asked_over_http(client, width=100)[0].size == (96, 64)
        image, text = asked_over_http(client)
        assert "Distilled CFG Scale: 3.5" in text
        other, told = asked_over_http(client, distilled_cfg_scale=30)
        assert "Distilled CFG Scale: 30" in told
        assert np.abs(np.asarray(image).astype(int) - np.asarray(other)).max() > 1
        card = client.get("/studio/session").json()["checkpoint"]
        assert (card["family"], card["label"]) == ("flux", FAMILY_LABELS["flux"])
        assert card["defaults"]["distilled_cfg_scale"] == 3.5
        answer = client.post("/sdapi/v1/txt2img", json={"infotext": told}).json()
        again = Image.open(io.BytesIO(base64.b64decode(answer["images"][0])))
        assert np.abs(np.asarray(again).astype(int) - np.asarray(other)).max() <= 1


def test_kontext_looks_at_what_is_sent(made: Made, tmp_path: Path) -> None:
    """With no strength said, all is drawn anew, beside the picture."""
    files, kontext = made(Architecture.FLUX_KONTEXT), Architecture.FLUX_KONTEXT
    files.write_transformer(kontext, "tiny-flux-kontext.safetensors")
    files.write_parts(kontext)
    out = io.BytesIO()
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(out, "PNG")
    with page(files, tmp_path) as client:
        sent = [base64.b64encode(out.getvalue()).decode()]
        _, text = asked_over_http(client, "img2img", init_images=sent)
        assert "Denoising strength: 1" in text


def test_several_pictures_come_by_each_way(made: Made, tmp_path: Path) -> None:
    """In a field of Easel's own, as Forge Neo's script and as OpenAI's files: the same pictures, the same
    drawing. None of them is sent back."""
    files, klein = made(Architecture.FLUX2_KLEIN_4B), Architecture.FLUX2_KLEIN_4B
    files.write_transformer(klein, "tiny-klein-4b.safetensors")
    files.write_parts(klein)
    made_of = [Image.linear_gradient("L"), Image.radial_gradient("L"), Image.effect_noise((80, 48), 90)]
    data = [_png(one.resize((64, 64)) if one.size[0] > 80 else one) for one in made_of]
    source, *more = [base64.b64encode(one).decode() for one in data]
    with page(files, tmp_path) as client:
        plain, _ = asked_over_http(client, "img2img", init_images=[source], exact=True)
        said = {"init_images": [source], "reference_images": more, "exact": True}
        own, _ = asked_over_http(client, "img2img", **said)
        script = {"ImageStitch Integrated": {"args": [True, more, 1024]}}
        neo, _ = asked_over_http(client, "img2img", init_images=[source], alwayson_scripts=script, exact=True)
        fields = {"prompt": "a cat", "steps": 2, "seed": 7, "size": "64x64", "exact": True}
        answer = client.post(
            "/v1/images/edits",
            data=fields,
            files=[("image[]", (f"{n}.png", one)) for n, one in enumerate(data)],
        )
        assert answer.status_code == 200, answer.text
        theirs = Image.open(io.BytesIO(base64.b64decode(answer.json()["data"][0]["b64_json"])))
        by_words, _ = asked_over_http(client, reference_images=[source, *more], exact=True)
        off = {"ImageStitch Integrated": {"args": [False, more]}}
        alone, _ = asked_over_http(client, "img2img", init_images=[source], alwayson_scripts=off, exact=True)
        echo = client.post("/sdapi/v1/img2img", json={"steps": 1, "width": 64, "height": 64, **said}).json()
        assert echo["parameters"]["reference_images"] == []
        many = client.post("/sdapi/v1/txt2img", json={"reference_images": more * 5})
        assert many.status_code == 422
        assert "reference_images" in many.text
        broken = client.post("/sdapi/v1/txt2img", json={"reference_images": ["AAAA"]})
        assert (broken.status_code // 100, "reference_images" in broken.text) == (4, True)
    assert plain.tobytes() == alone.tobytes() != own.tobytes()
    # a source that is drawn anew from nothing but noise is the first that is looked at
    assert own.tobytes() == neo.tobytes() == theirs.tobytes() == by_words.tobytes()


def test_pictures_for_who_looks_at_none(made: Made, tmp_path: Path) -> None:
    """Refused at once, before anything is loaded for it."""
    files, flux = made(Architecture.FLUX_SCHNELL), Architecture.FLUX_SCHNELL
    files.write_transformer(flux, "tiny-flux-schnell.safetensors")
    files.write_parts(flux)
    with page(files, tmp_path) as client:
        sent = [base64.b64encode(_png(Image.linear_gradient("L"))).decode()]
        answer = client.post("/sdapi/v1/txt2img", json={"reference_images": sent})
        assert answer.status_code // 100 == 4
        assert "looks at no pictures" in answer.text


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.convert("RGB").save(out, "PNG")
    return out.getvalue()


def test_modules_of_forge_s_clients(made: Made, tmp_path: Path) -> None:
    """Listed, chosen for one request or for good, said by the infotext as Forge says it, and drawn again by
    it; a name that is not here is refused with those that are, and in an infotext left out and told."""
    files, flux = made(Architecture.FLUX_DEV), Architecture.FLUX_DEV
    files.write_transformer(flux, "tiny-flux-dev.safetensors")
    files.write_parts(flux)
    flipped = {name: one.flip(0) for name, one in files.texts[flux, "t5-xxl"].items()}
    files.write("text_encoder", "zz-t5xxl.safetensors", flipped)
    with page(files, tmp_path) as client:
        listed = client.get("/sdapi/v1/sd-modules").json()
        assert {
            "model_name": "zz-t5xxl.safetensors",
            "filename": "text_encoder/zz-t5xxl.safetensors",
        } in listed
        assert "ae.safetensors" in [one["model_name"] for one in listed]
        plain, _ = asked_over_http(client, exact=True)
        said = {"override_settings": {"forge_additional_modules": ["ae.safetensors", "zz-t5xxl.safetensors"]}}
        other, told = asked_over_http(client, exact=True, **said)
        assert plain.tobytes() != other.tobytes()
        assert "Module 1: ae, Module 2: zz-t5xxl" in told
        assert asked_over_http(client, exact=True)[0].tobytes() == plain.tobytes()
        again = client.post("/sdapi/v1/txt2img", json={"infotext": told, "exact": True}).json()
        assert not any("not here" in one for one in json.loads(again["info"])["comments"])
        picture = Image.open(io.BytesIO(base64.b64decode(again["images"][0])))
        assert np.array_equal(np.asarray(picture), np.asarray(other))
        for words in (["Automatic"], ["Built-in"], [], "None"):
            nothing = {"override_settings": {"forge_additional_modules": words}}
            assert asked_over_http(client, exact=True, **nothing)[0].tobytes() == plain.tobytes()
        refused = client.post(
            "/sdapi/v1/txt2img", json={"override_settings": {"forge_additional_modules": ["t5xxl_fp17"]}}
        )
        assert refused.status_code // 100 == 4
        assert "zz-t5xxl.safetensors" in refused.text
        elsewhere = told.replace("Module 2: zz-t5xxl", "Module 2: gone")
        answer = client.post("/sdapi/v1/txt2img", json={"infotext": elsewhere}).json()
        assert any("gone" in one for one in json.loads(answer["info"])["comments"])
        kept = {"forge_additional_modules": [r"D:\forge\models\text_encoder\zz-t5xxl.safetensors"]}
        assert client.post("/sdapi/v1/options", json=kept).status_code == 200
        options = client.get("/sdapi/v1/options").json()
        assert options["forge_additional_modules"] == ["text_encoder/zz-t5xxl.safetensors"]
        assert asked_over_http(client, exact=True)[0].tobytes() == other.tobytes()
        assert client.post("/sdapi/v1/options", json={"forge_additional_modules": 3}).status_code == 422
        card = client.get("/studio/session").json()["checkpoint"]
        assert card["text_encoders"] == [
            {"label": "T5-XXL", "files": ["t5xxl_fp8_e4m3fn.safetensors", "zz-t5xxl.safetensors"]}
        ]
        client.post("/sdapi/v1/options", json={"forge_additional_modules": []})
        assert asked_over_http(client, exact=True)[0].tobytes() == plain.tobytes()


def test_an_infotext_of_a_flow_draws_its_picture(made: Made, tmp_path: Path) -> None:
    """Whatever sampler is asked for: a flow's Automatic is no other sampler's schedule, and where another
    method stands in for one of timesteps it follows the schedule that is asked for."""
    files, flux = made(Architecture.FLUX_DEV), Architecture.FLUX_DEV
    files.write_transformer(flux, "tiny-flux-dev.safetensors")
    files.write_parts(flux)
    noisy = {"s_noise": 1.1, "override_settings": {"eta_ancestral": 0.7, "eta_noise_seed_delta": 5}}
    with page(files, tmp_path) as client:
        for fields in (
            {"sampler_name": "DPM++ 2M"},
            {"sampler_name": "DDIM", "scheduler": "Karras", "override_settings": {"sigma_max": 0.9}},
            {"sampler_name": "DPM++ SDE", **noisy},
        ):
            image, text = asked_over_http(client, exact=True, steps=3, **fields)
            answer = client.post("/sdapi/v1/txt2img", json={"infotext": text, "exact": True}).json()
            again = Image.open(io.BytesIO(base64.b64decode(answer["images"][0])))
            assert again.tobytes() == image.tobytes(), text
            assert json.loads(answer["info"])["infotexts"] == [text]

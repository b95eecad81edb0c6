"""Quirks of clients as their source shows them, and the lists that all of them read."""

from __future__ import annotations

import json

import pytest


def test_automatic1111_provider(ada) -> None:
    """The Vercel AI SDK's provider: trailing slashes, sizes as strings, hashes that are never null."""
    models = ada.get("/sdapi/v1/sd-models/").json()
    assert all(isinstance(one["hash"], str) and isinstance(one["sha256"], str) for one in models)
    body = {"prompt": "x", "width": "64", "height": "64", "steps": 2, "n_iter": 1, "seed": 3,
            "override_settings": {"sd_model_checkpoint": "easel-starter"}}  # fmt: skip
    assert len(ada.post("/sdapi/v1/txt2img/", json=body).json()["images"]) == 1
    wrong = ada.post("/sdapi/v1/txt2img/", json={**body, "steps": -1})
    assert "steps" in wrong.json()["detail"][0]["msg"]


def test_sillytavern(ada) -> None:
    """SillyTavern polls progress until it is idle after it chose a checkpoint, and stops with interrupt."""
    assert ada.get("/sdapi/v1/options").status_code == 200
    ada.post("/sdapi/v1/options", json={"sd_model_checkpoint": "easel-starter"})
    idle = ada.get("/sdapi/v1/progress").json()
    assert idle["progress"] == 0
    assert idle["state"]["job_count"] == 0
    body = {"prompt": "x", "steps": 2, "width": 64, "height": 64, "clip_skip": 1, "hr_upscaler": "Latent",
            "enable_hr": False, "save_images": True, "send_images": True, "do_not_save_grid": False,
            "override_settings": {"CLIP_stop_at_last_layers": 1, "sd_vae": "Automatic"}}  # fmt: skip
    assert ada.post("/sdapi/v1/txt2img", json=body).status_code == 200
    assert ada.post("/sdapi/v1/interrupt").json() == {}


def test_librechat(running) -> None:
    """LibreChat parses `info` for size, seed and the first infotext."""
    answer = running.draw(width=64, height=72).json()
    said = json.loads(answer["info"])
    assert (said["width"], said["height"], said["seed"]) == (64, 72, 7)
    assert said["infotexts"][0]
    assert not answer["images"][0].startswith("data:")


def test_lists(ada) -> None:
    """Samplers, schedules and checkpoints have A1111's fields."""
    samplers = ada.get("/sdapi/v1/samplers").json()
    assert {"name", "aliases", "options"} == set(samplers[0])
    assert {"Euler a", "Euler", "DPM++ 2M", "DDIM", "UniPC"} <= {one["name"] for one in samplers}
    schedulers = ada.get("/sdapi/v1/schedulers").json()
    assert {"name", "label", "aliases", "default_rho", "need_inner_model"} == set(schedulers[0])
    assert {"karras", "automatic"} <= {one["name"] for one in schedulers}
    models = ada.get("/sdapi/v1/sd-models").json()
    assert {"title", "model_name", "hash", "sha256", "filename", "config"} == set(models[0])
    assert not any(one["filename"].startswith("/") for one in models)


def test_new_files_appear_on_refresh(running, ada) -> None:
    """A checkpoint that is put into the folder is in the list after refresh-checkpoints."""
    folder = running.home / "models" / "Stable-diffusion"
    added = folder / "fresh.safetensors"
    added.write_bytes((folder / "second.safetensors").read_bytes())
    try:
        assert ada.post("/sdapi/v1/refresh-checkpoints").json() is None
        assert "fresh" in {one["model_name"] for one in ada.get("/sdapi/v1/sd-models").json()}
    finally:
        added.unlink()
        ada.post("/sdapi/v1/refresh-checkpoints")


def test_memory(ada) -> None:
    """RAM in bytes; a machine without a GPU says so in A1111's way. Easel's own route says how what serves
    lies in it."""
    for path in ("/sdapi/v1/memory", "/studio/memory"):
        found = ada.get(path).json()
        assert 0 < found["ram"]["used"] < found["ram"]["total"]
        assert "error" in found["cuda"] or found["cuda"]["system"]["total"] > 0
    assert found["plan"]["checkpoint"] == "easel-starter.safetensors"
    assert 0 < found["plan"]["weights"] < found["plan"]["room"]


@pytest.mark.parametrize("image", ["", "AAAA", "data:,!!!", "http://127.0.0.1:1/a.png", "x" * 99])
def test_png_info_of_nonsense(ada, image) -> None:
    """Something that is no picture is a 422 that says what is wrong; addresses are never fetched."""
    answer = ada.post("/sdapi/v1/png-info", json={"image": image})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "image"]

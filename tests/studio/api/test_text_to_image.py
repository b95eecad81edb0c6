"""`POST /sdapi/v1/txt2img`: A1111's fields in, A1111's answer out."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from easel.studio.png import read_texts
from tests.studio.api.answers import info, pictures

INFO_KEYS = {
    "prompt", "all_prompts", "negative_prompt", "all_negative_prompts", "seed", "all_seeds", "subseed",
    "all_subseeds", "subseed_strength", "width", "height", "sampler_name", "cfg_scale", "steps", "batch_size",
    "restore_faces", "face_restoration_model", "sd_model_name", "sd_model_hash", "sd_vae_name", "sd_vae_hash",
    "seed_resize_from_w", "seed_resize_from_h", "denoising_strength", "extra_generation_params",
    "index_of_first_image", "infotexts", "styles", "job_timestamp", "clip_skip",
    "is_using_inpainting_conditioning", "version",
}  # fmt: skip


def test_the_answer(running) -> None:
    """Pictures as bare base64 in order, all of A1111's keys in `info`, each PNG with its own infotext."""
    answer = running.draw(n_iter=2, batch_size=2, negative_prompt="blurry", seed=11)
    drawn, said = pictures(answer), info(answer)
    assert set(answer.json()) == {"images", "parameters", "info"}
    assert set(said) >= INFO_KEYS
    assert said["all_seeds"] == [11, 12, 13, 14]
    assert [one.info["parameters"] for one in drawn] == said["infotexts"]
    assert [f"Seed: {seed}," in text for seed, text in zip(said["all_seeds"], said["infotexts"], strict=True)]
    assert all(one.size == (64, 64) and one.mode == "RGB" for one in drawn)
    assert float(answer.headers["X-Process-Time"]) > 0
    assert answer.json()["parameters"]["n_iter"] == 2


def test_a_seed_is_a_picture(running) -> None:
    """The same request draws the same pixels; picture n of a request is the picture of seed + n."""
    two = pictures(running.draw(n_iter=2, seed=100))
    one = pictures(running.draw(seed=101))
    # beside another one, sums are taken in another order: up to 2 of 255, as docs/decisions/0006 states
    assert all(high <= 2 for _, high in ImageChops.difference(two[1], one[0]).getextrema())
    assert two[0].tobytes() != one[0].tobytes()


def test_no_seed_is_a_new_one(running) -> None:
    """-1 draws a seed at random and says which."""
    seeds = {info(running.draw(seed=-1))["seed"] for _ in range(2)}
    assert len(seeds) == 2
    assert all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize(
    ("fields", "sampler", "schedule"),
    [
        ({"sampler_name": "Euler a", "scheduler": "automatic"}, "Euler a", "Automatic"),
        ({"sampler_index": "Euler a"}, "Euler a", "Automatic"),
        ({"sampler_name": "DPM++ 2M Karras"}, "DPM++ 2M", "Karras"),
        ({"sampler_index": "DPM++ 2M", "scheduler": "Karras"}, "DPM++ 2M", "Karras"),
        ({"sampler_name": "k_euler", "scheduler": "sgm_uniform"}, "Euler", "SGM Uniform"),
        ({"sampler_name": "ddim"}, "DDIM", "Automatic"),
        ({"sampler_name": None, "sampler_index": None, "scheduler": None}, "Euler a", "Automatic"),
        ({"sampler_name": "Heun", "sampler_index": "Euler a"}, "Heun", "Automatic"),
    ],
)
def test_names_of_samplers(running, fields, sampler, schedule) -> None:
    """Samplers and schedules go by name, alias, label, old joined name and A1111's older field."""
    said = info(running.draw(**fields))
    assert said["sampler_name"] == sampler
    assert f"Sampler: {sampler}, Schedule type: {schedule}," in said["infotexts"][0]


@pytest.mark.parametrize(
    "fields",
    [
        {"width": "64", "height": "72", "steps": "2", "seed": "5", "cfg_scale": "6.5"},
        {"width": 64.7, "steps": 2.0, "seed": 5.9},
        {"width": " 64 ", "n_iter": True},
        {"unknown": {"deep": [1, None, "x"]}, "another": 1e3},
        {"prompt": None, "negative_prompt": None, "seed": None, "styles": None, "override_settings": None},
        {"prompt": 5, "negative_prompt": 1.5},
        {"prompt": "x" * 10_000},
        {"prompt": "\0 \x1f \ud800 \U0001f600 (((( [[[[ <lora:", "negative_prompt": "\r\n\t"},
        {"alwayson_scripts": {"ADetailer": {"args": [False]}, "ControlNet": {"args": []}}, "script_name": ""},
        {"alwayson_scripts": {"controlnet": {"args": [{"enabled": False, "model": "x"}]}}},
        {"refiner_checkpoint": "None", "hr_scale": 2, "denoising_strength": 0.7, "eta": 1.0, "s_noise": 1},
    ],
)
def test_liberal_in_what_it_takes(running, fields) -> None:
    """Numbers as strings, decimals, nulls, unknown fields, switched-off features: taken, as in A1111."""
    body = {"prompt": "x", "steps": 2, "width": 64, "height": 64, **fields}
    with running.ask() as client:
        answer = client.post(
            "/sdapi/v1/txt2img", content=json.dumps(body), headers={"content-type": "application/json"}
        )
    assert len(pictures(answer)) == 1
    for name in ("unknown", "another"):
        if name in fields:
            assert answer.json()["parameters"][name] == fields[name]


@pytest.mark.parametrize(("asked", "drawn"), [((65, 79), (64, 72)), ((127, 64), (120, 64))])
def test_sizes_are_rounded_down(running, asked, drawn) -> None:
    """A size that 8 does not divide becomes the next below that it does, in pixels and in the infotext."""
    answer = running.draw(width=asked[0], height=asked[1])
    assert pictures(answer)[0].size == drawn
    assert f"Size: {drawn[0]}x{drawn[1]}" in info(answer)["infotexts"][0]


def test_trailing_slash(running, ada) -> None:
    """`/sdapi/v1/txt2img/` is the same route, without a redirect."""
    answer = ada.post("/sdapi/v1/txt2img/", json={"steps": 1, "width": "64", "height": "64"})
    assert answer.status_code == 200
    assert not answer.history
    assert ada.get("/sdapi/v1/sd-models/").json() == ada.get("/sdapi/v1/sd-models").json()


def test_checkpoint_of_one_request(running, ada) -> None:
    """override_settings choose a checkpoint by any of its names, for this request only."""
    item = next(one for one in ada.get("/sdapi/v1/sd-models").json() if one["model_name"] == "second")
    before = ada.get("/sdapi/v1/options").json()
    for name in (item["title"], "second.safetensors", "second", "SECOND"):
        said = info(running.draw(override_settings={"sd_model_checkpoint": name}))
        assert said["sd_model_name"] == "second"
    assert ada.get("/sdapi/v1/options").json() == before
    assert info(running.draw())["sd_model_name"] == "easel-starter"


def test_settings_that_stay(running) -> None:
    """With override_settings_restore_afterwards false they become the caller's own, and nobody else's."""
    running.draw(
        "stayer",
        override_settings={"CLIP_stop_at_last_layers": 2},
        override_settings_restore_afterwards=False,
    )
    assert info(running.draw("stayer"))["clip_skip"] == 2
    assert info(running.draw("other"))["clip_skip"] == 1


def test_clip_skip_is_said(running) -> None:
    """Clip skip stands in the infotext when it is more than 1, and changes the picture."""
    skipped = running.draw(override_settings={"CLIP_stop_at_last_layers": 2})
    assert "Clip skip: 2" in info(skipped)["infotexts"][0]
    assert "Clip skip" not in info(running.draw())["infotexts"][0]


def test_what_is_sent_and_saved(running) -> None:
    """send_images false sends none; save_images keeps a file with the same infotext, the default none, and
    sends the grid of several pictures first, as A1111 does."""
    silent = running.draw("saver", send_images=False)
    assert silent.json()["images"] == []
    assert info(silent)["infotexts"]
    outputs = running.studio.outputs
    assert outputs.recent("saver") == []
    kept = running.draw("saver", save_images=True, n_iter=2)
    files = outputs.recent("saver")
    assert len(files) == 2
    grid, *drawn = pictures(kept)
    assert info(kept)["index_of_first_image"] == 1
    assert (grid.size, len(drawn), len(info(kept)["infotexts"])) == ((128, 64), 2, 3)
    assert Image.open(files[0]).info["parameters"] == info(kept)["infotexts"][2]
    assert Image.open(files[0]).tobytes() == drawn[1].tobytes()
    running.draw("saver", save_images=True, do_not_save_samples=True)
    assert len(outputs.recent("saver")) == 2


@pytest.mark.parametrize(("said", "kind", "ending"), [("jpg", "JPEG", "jpg"), ("webp", "WEBP", "webp")])
def test_other_formats(running, said, kind, ending) -> None:
    """`samples_format` is the format of what is sent and kept; the infotext is in each."""
    settings = {"samples_format": said, "jpeg_quality": 90}
    answer = running.draw(f"formats {said}", save_images=True, override_settings=settings)
    data = base64.b64decode(answer.json()["images"][0])
    assert Image.open(io.BytesIO(data)).format == kind
    assert read_texts(data)["parameters"] == info(answer)["infotexts"][0]
    (kept,) = running.studio.outputs.recent(f"formats {said}")
    assert kept.suffix == f".{ending}"
    assert kept.read_bytes() == data


def test_a_full_disk_is_an_error(running, monkeypatch) -> None:
    """A picture that was asked to be saved and is not is reported, not passed over."""

    def full(*_: object, **__: object) -> Path:
        from easel.studio.outputs import NotSaved

        raise NotSaved("the disk is full: make room")

    monkeypatch.setattr(running.studio.outputs, "save", full)
    answer = running.draw(save_images=True)
    assert answer.status_code == 507
    assert "full" in answer.json()["detail"]


def test_infotext_fills_what_is_not_sent(running, ada) -> None:
    """`infotext` sets every field that the request does not, and draws the same picture again."""
    first = running.draw(seed=77, cfg_scale=5.5, sampler_name="DDIM", prompt="a star, big")
    again = ada.post("/sdapi/v1/txt2img", json={"infotext": info(first)["infotexts"][0]})
    assert pictures(again)[0].tobytes() == pictures(first)[0].tobytes()
    other = ada.post("/sdapi/v1/txt2img", json={"infotext": info(first)["infotexts"][0], "seed": 78})
    assert info(other)["seed"] == 78
    assert info(other)["sampler_name"] == "DDIM"


def test_pictures_read_back(running, ada) -> None:
    """png-info of a drawn picture gives what it was drawn with."""
    answer = running.draw(prompt="a heart: small", seed=3)
    found = ada.post("/sdapi/v1/png-info", json={"image": answer.json()["images"][0]}).json()
    assert found["info"] == info(answer)["infotexts"][0]
    assert found["parameters"]["Prompt"] == "a heart: small"
    assert (found["parameters"]["Size-1"], found["parameters"]["Seed"]) == ("64", "3")
    assert found["items"] == {}


def test_words_that_each_picture_draws(running, ada) -> None:
    """Each picture's prompt is the words that its seed drew; the infotext has them, and what they were drawn
    from. Sent back, it is the same picture."""
    answer = running.draw(prompt="a {red|green|blue} circle", negative_prompt="{a|b}", batch_size=4, seed=3)
    said, drawn = info(answer), pictures(answer)
    assert set(said["all_prompts"]) <= {f"a {colour} circle" for colour in ("red", "green", "blue")}
    assert len(set(said["all_prompts"])) > 1
    for prompt, text in zip(said["all_prompts"], said["infotexts"], strict=True):
        assert text.startswith(f"{prompt}\nNegative prompt: ")
        assert "Template: a {red|green|blue} circle, Negative Template: {a|b}" in text
    again = pictures(ada.post("/sdapi/v1/txt2img", json={"infotext": said["infotexts"][1]}))
    assert max(high for _, high in ImageChops.difference(again[0], drawn[1]).getextrema()) <= 2

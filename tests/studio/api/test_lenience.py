"""What A1111's clients send with every request is taken, and what it does not change is told."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from easel.models import Architecture, Kind, ModelFile
from easel.studio.checkpoint_defaults import checkpoint_defaults
from easel.studio.families import family
from scripts.starter.judge import judge
from tests.studio.conftest import STARTER, Running

KINDS = [
    None,
    "text/plain",
    "text/plain; charset=utf-8",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "application/json",
]


def info(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text[:500]
    return json.loads(answer.json()["info"])


def pixels(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text[:500]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0]))), dtype=int)


def same(one: httpx.Response, other: httpx.Response) -> bool:
    return bool((pixels(one) == pixels(other)).all())


# ── kinds of bodies ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/sdapi/v1/txt2img", {"steps": 0}, 422),
        ("/sdapi/v1/options", {"send_seed": True}, 200),
        ("/sdapi/v1/png-info", {"image": "AAAA"}, 422),
        ("/sdapi/v1/interrupt", {}, 200),
        ("/internal/progress", {"id_task": "none"}, 200),
        ("/studio/models/info", {"url": "nowhere"}, 422),
    ],
)
def test_json_by_whatever_name(ada, path, body, status, kind) -> None:
    """`curl -d` calls JSON a form, others call it nothing: every JSON route takes it, and reads it."""
    headers = {"content-type": kind} if kind else {}
    answer = ada.post(path, content=json.dumps(body), headers=headers)
    assert answer.status_code == status, answer.text
    assert "dictionary" not in answer.text


@pytest.mark.parametrize("kind", KINDS)
def test_broken_json_by_whatever_name(ada, kind) -> None:
    """Broken JSON stays an error in A1111's shape that says where."""
    answer = ada.post(
        "/sdapi/v1/txt2img", content='{"steps": ', headers={"content-type": kind} if kind else {}
    )
    assert answer.status_code == 422
    assert set(answer.json()) == {"error", "detail", "body", "errors"}
    assert "not JSON" in answer.json()["errors"]


@pytest.mark.parametrize("sign", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_no_other_sites_page_draws_without_asking(ada, kind, sign) -> None:
    """A browser sends forms and text anywhere without asking: from a page they are still no JSON."""
    answer = ada.post("/sdapi/v1/txt2img", content='{"steps": 1}', headers={"content-type": kind, **sign})
    assert answer.status_code == 422


# ── what is passed over and told ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"styles": ["None"]}, None),
        ({"styles": ["", "none"]}, None),
        ({"styles": ["anime", "None", "ink"]}, "anime, ink"),
        ({"restore_faces": True}, "Faces were not restored"),
        ({"restore_faces": False, "tiling": False, "enable_hr": False}, None),
        ({"override_settings": {"face_restoration": True}}, "Faces were not restored"),
        ({"restore_faces": False, "override_settings": {"face_restoration": True}}, None),
        ({"infotext": "x\nSteps: 2, Size: 64x64, Face restoration: GFPGAN"}, "GFPGANv1.4"),
        ({"override_settings": {"grid_save": True}}, "grid_save True"),
        ({"override_settings": {"randn_source": "CPU", "tiling": "false", "s_noise": "1.0"}}, None),
        ({"override_settings": {"my_extension": 5}}, "'my_extension' is no option"),
        ({"override_settings": {"jpeg_quality": 95, "show_progress_every_n_steps": 3}}, None),
        ({"clip_skip": 2, "my_field": 3.5}, "clip_skip, my_field"),
        ({"distilled_cfg_scale": 3.5}, "was not distilled"),
        ({"infotext": "x\nSteps: 2, Sampler: Euler, Size: 64x64, ENSD: 31337"}, None),
        ({"infotext": "x\nSteps: 2, Sampler: Euler, Size: 64x64, Sigma churn: 900"}, "s_churn 900 of the"),
        ({"infotext": "x\nSteps: 2, Sampler: Euler, Size: 64x64, RNG: AMD"}, "allowed: CPU, GPU, NV"),
        ({"infotext": "x\nSteps: 2, Sampler: Euler, Size: 64x64, RNG: NV"}, None),
        ({"infotext": "x\nSteps: 2, Sampler: Euler, Size: 64x64, RNG: CPU"}, None),
        ({"infotext": "x\nSteps: 2, Sampler: Euler, Size: 64x64, VAE: gone.pt"}, "VAE gone.pt of the"),
        ({"infotext": "x\nSteps: 2, Model: gone, Size: 64x64, Seed: 1"}, "Checkpoint gone of the infotext"),
        ({"infotext": "x\nSteps: 2, Sampler: None such, Size: 64x64"}, "Sampler None such of the infotext"),
        (
            {"infotext": "x\nSteps: 900, Sampler: Euler, Size: 64x64"},
            "steps 900 of the infotext was left out",
        ),
        ({"infotext": "x\nSteps: 2, Size: 64x64, Hires upscale: 1.5, Seed: 1"}, None),
        ({"infotext": "x\nSteps: 2, Size: 64x64, Hires upscaler: 4x-Sharp, Seed: 1"}, "Upscaler 4x-Sharp of"),
        ({"infotext": "x\nSteps: 2, Sampler: Euler, Size: 64x64, Model: second"}, None),
        (
            {"infotext": "x\nSteps: 2, Sampler: Euler, Size: 64x64, Model: second, Model hash: 0123456789"},
            "with the hash 0123456789",
        ),
        (
            {"infotext": "x\nSteps: 2, Sampler: Euler, Size: 64x64, Model: second, Model hash: 7460a6fa"},
            None,
        ),
    ],
)
def test_taken_and_told(running, fields, told) -> None:
    """What is not followed, and makes no other picture, stands in `info`'s comments; the rest is silent."""
    comments = info(running.draw(send_images=False, **{"steps": 1, **fields}))["comments"]
    assert (told in " ".join(comments)) if told else comments == []


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_sampler_is_none(running, ada, empty) -> None:
    """As A1111 reads it: the older name then, an infotext's, or the checkpoint's own."""
    older = running.draw(
        sampler_name=empty, sampler_index="Heun", infotext="x\nSteps: 2, Sampler: LMS, Seed: 1"
    )
    assert info(older)["sampler_name"] == "Heun"
    read = running.draw(sampler_name=empty, infotext="x\nSteps: 2, Sampler: LMS, Seed: 1")
    assert info(read)["sampler_name"] == "LMS"
    own = info(running.draw())["sampler_name"]
    assert info(running.draw(sampler_name=empty, sampler_index=empty))["sampler_name"] == own


def test_a_scale_that_is_not_used(running) -> None:
    """A size for hires fix is in the place of its scale, whatever stands there."""
    size = {"enable_hr": True, "hr_resize_x": 96, "hr_resize_y": 72, "denoising_strength": 0.5}
    drawn = running.draw(hr_scale=0, **size)
    assert pixels(drawn).shape == (72, 96, 3)
    assert same(drawn, running.draw(**size))


# ── always-on scripts ────────────────────────────────────────────────────────────────────────────


def test_scripts_of_a1111s_own(running, ada) -> None:
    """What A1111's page sends with a picture, as programs copy it, is drawn as it says."""
    scripts = {
        "Comments": {"args": []},
        "Extra options": {"args": []},
        "Hypertile": {"args": []},
        "ImageStitch Integrated": {"args": [False, [], 1024]},
        "Refiner": {"args": [False, "", 0.8]},
        "Sampler": {"args": [3, "DPM++ 2M", "Karras"]},
        "Seed": {"args": [41, True, 7, 0.25, 0, 0]},
    }
    body = {"prompt": "a star", "width": 64, "height": 64, "alwayson_scripts": scripts}
    said = info(ada.post("/sdapi/v1/txt2img", json=body))
    assert (said["steps"], said["sampler_name"], said["seed"]) == (3, "DPM++ 2M", 41)
    assert (said["subseed"], said["subseed_strength"], said["comments"]) == (7, 0.25, [])
    assert "Schedule type: Karras" in said["infotexts"][0]
    infos = [one for one in ada.get("/sdapi/v1/script-info").json() if not one["is_img2img"]]
    listed = {one["name"]: len(one["args"]) for one in infos if one["is_alwayson"]}
    assert listed.pop("controlnet")
    assert listed == {name.lower(): len(script["args"]) for name, script in scripts.items()}


def test_the_request_itself_comes_first(running) -> None:
    """Where field and argument differ the field is right, as in A1111, and the answer says so."""
    scripts = {"sampler": {"args": [9, "Heun", "Automatic"]}, "SEED": {"args": [-1, False, -1, 0, 0, 0]}}
    said = info(running.draw(seed=7, sampler_index="Euler", alwayson_scripts=scripts))
    assert (said["steps"], said["sampler_name"], said["seed"]) == (2, "Euler", 7)
    assert [words for words in said["comments"] if "steps" in words and "9" in words]
    assert [words for words in said["comments"] if "seed" in words and "-1" in words]


def test_extra_options(running) -> None:
    """Arguments of `Extra options` are the settings that the caller's option lists, for this request."""
    with running.ask("extra") as client:
        assert (
            client.post(
                "/sdapi/v1/options", json={"extra_options_txt2img": ["CLIP_stop_at_last_layers"]}
            ).status_code
            == 200
        )
    script = {"Extra options": {"args": [2]}}
    assert info(running.draw("extra", alwayson_scripts=script))["clip_skip"] == 2
    once = {"CLIP_stop_at_last_layers": 1}
    assert info(running.draw("extra", alwayson_scripts=script, override_settings=once))["clip_skip"] == 1
    assert info(running.draw("extra"))["clip_skip"] == 1


@pytest.mark.parametrize("arguments", [[], [None, None, None], [2], [2, "Euler", "Automatic", "more"], ["2"]])
def test_arguments_may_be_few_or_many(running, arguments) -> None:
    """A1111 fills what is missing and leaves what is too much."""
    running.draw(send_images=False, alwayson_scripts={"Sampler": {"args": arguments}}).raise_for_status()


# ── comments in prompts ──────────────────────────────────────────────────────────────────────────


def test_comments_in_prompts(running) -> None:
    """`#` to the end of the line is for people, as A1111 has it by default; the option turns it off."""
    plain = running.draw(prompt="a red circle\non blue", negative_prompt="blurry")
    noted = running.draw(prompt="# mine\na red circle# not a star\non blue", negative_prompt="blurry # dull")
    assert same(plain, noted)
    assert "mine" not in info(noted)["infotexts"][0]
    kept = running.draw(
        prompt="a red circle # not a star", override_settings={"enable_prompt_comments": False}
    )
    assert "# not a star" in info(kept)["infotexts"][0]


# ── what is not said ─────────────────────────────────────────────────────────────────────────────


def test_the_first_call_of_a_newcomer(ada) -> None:
    """A prompt alone draws what it says: at the starter's own size, sampler and steps."""
    body = {"prompt": "a red circle on a blue background", "seed": 1}
    answer = ada.post("/sdapi/v1/txt2img", json=body)
    assert info(answer)["comments"] == []
    drawn = Image.fromarray(pixels(answer).astype(np.uint8))
    assert drawn.size == (128, 128)
    seen = judge(drawn)
    assert (seen.colour, seen.ground, seen.shape) == ("red", "blue", "circle"), seen
    echo = answer.json()["parameters"]
    assert [echo[name] for name in ("width", "height", "steps", "cfg_scale")] == [128, 128, 20, 7.0]


@pytest.mark.parametrize(
    ("fields", "size"),
    [({"width": 64}, (64, 128)), ({"height": "72"}, (128, 72)), ({"width": None, "height": 64}, (128, 64))],
)
def test_one_side_alone(ada, fields, size) -> None:
    """The side that is not said is the family's own."""
    said = info(ada.post("/sdapi/v1/txt2img", json={"steps": 1, "send_images": False, **fields}))
    assert (said["width"], said["height"]) == size


@pytest.mark.parametrize(
    ("kind", "side"),
    [
        (Architecture.SD1, 512), (Architecture.SD2, 512), (Architecture.SD2_V, 768),
        (Architecture.SDXL, 1024), (Architecture.STARTER, 128),
    ],
)  # fmt: skip
def test_every_family_has_its_own_side(kind, side) -> None:
    """512 is one family's size, not everybody's."""
    assert family(kind).native == side


def test_native_of_what_cannot_be_read(tmp_path: Path) -> None:
    """A file that is none, or gone, gets A1111's defaults; loading it says what is wrong."""
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"x" * 100)
    for path in (broken, tmp_path / "gone.safetensors"):
        found = checkpoint_defaults(ModelFile(path, path.name, Kind.CHECKPOINT, 100, 0.0))
        assert (found.side, found.sampler, found.steps, found.cfg_scale) == (512, "Euler", 50, 7.0)
    starter = checkpoint_defaults(ModelFile(STARTER, STARTER.name, Kind.CHECKPOINT, 1, 0.0))
    assert (starter.side, starter.steps) == (128, 20)


def test_the_size_follows_the_checkpoint_of_the_request(running, ada, tmp_path) -> None:
    """The side is that of the checkpoint that draws, wherever it was named: override, options, infotext."""
    answer = ada.post(
        "/sdapi/v1/txt2img",
        json={"steps": 1, "send_images": False, "override_settings": {"sd_model_checkpoint": "second"}},
    )
    assert (info(answer)["width"], info(answer)["sd_model_name"]) == (128, "second")
    lost = ada.post("/sdapi/v1/txt2img", json={"override_settings": {"sd_model_checkpoint": "nowhere"}})
    assert lost.status_code == 400


# ── guidance ─────────────────────────────────────────────────────────────────────────────────────


def test_guidance_is_the_formula(running) -> None:
    """negative + s·(positive - negative), at every s: 0 draws the negative prompt alone, 1 the prompt."""

    def draw(prompt: str, negative: str, cfg: float) -> httpx.Response:
        return running.draw(prompt=prompt, negative_prompt=negative, cfg_scale=cfg, seed=3)

    red, blue = "a red circle on white", "a blue star on black"
    assert same(draw(red, blue, 0), draw(blue, red, 1))
    assert same(draw(red, blue, 1), draw(red, "something else", 1))
    # s and 1 - s with the two prompts changed about are one formula
    for scale in (0.25, -1.0):
        difference = np.abs(pixels(draw(red, blue, scale)) - pixels(draw(blue, red, 1 - scale)))
        assert difference.max() <= 2, scale
    assert not same(draw(red, blue, 0.25), draw(red, blue, 1))


# ── one name for one checkpoint ──────────────────────────────────────────────────────────────────


def test_options_and_lists_name_alike(running: Running) -> None:
    """`/options` and `/sd-models` have one title and hash for a checkpoint, after a switch too."""
    with running.ask("namer") as client:
        for chosen in (None, "second", "easel-starter"):
            if chosen:
                client.post("/sdapi/v1/options", json={"sd_model_checkpoint": chosen})
            listed = {one["title"]: one["sha256"] for one in client.get("/sdapi/v1/sd-models").json()}
            said = client.get("/sdapi/v1/options").json()
            assert listed[said["sd_model_checkpoint"]] == said["sd_checkpoint_hash"]


def test_the_default_is_named_alike_before_and_after_its_hash(tmp_path: Path) -> None:
    """A default that was taken before its hash was known is named with it as soon as the list is."""
    from easel.models import Store
    from easel.studio.api.options import current
    from easel.studio.engine import Engine
    from easel.studio.studio import Studio

    folder = tmp_path / "models" / "Stable-diffusion"
    folder.mkdir(parents=True)
    (folder / "only.safetensors").write_bytes(STARTER.read_bytes()[:2000])
    store = Store(tmp_path / "models", hashing=False)
    studio = Studio.at(tmp_path, "studio", Engine(store))
    assert current(studio, "ada")["sd_model_checkpoint"] == store.checkpoints()[0].title == "only.safetensors"
    store.hash_now(folder / "only.safetensors")
    store.refresh()
    now = current(studio, "ada")
    assert (now["sd_model_checkpoint"], now["sd_checkpoint_hash"]) == (
        store.checkpoints()[0].title,
        store.checkpoints()[0].sha256,
    )
    assert "[" in now["sd_model_checkpoint"]

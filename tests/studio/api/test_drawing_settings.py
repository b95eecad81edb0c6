"""Noise and sampler settings at the surface: fields, options, overrides and infotexts say the same."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from easel.studio.api.requests.text_to_image_request import TextToImageRequest
from easel.studio.engine import InvalidRequest, SamplerSettings, TextToImage


def drawn(answer) -> tuple[str, bytes, dict[str, Any]]:
    """The infotext, the pixels, and all of `info`."""
    assert answer.status_code == 200, answer.text[:500]
    said = json.loads(answer.json()["info"])
    picture = Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0])))
    return said["infotexts"][0], picture.tobytes(), said


def engine_request(settings: dict[str, Any] | None = None, **fields: Any) -> TextToImage:
    return TextToImageRequest(**{"sampler_name": "Euler a", **fields}).to_engine(settings or {})


# ── requests and options to the engine ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settings", "field", "value"),
    [
        ({}, "randn_source", "CPU"),
        ({"randn_source": "nv"}, "randn_source", "NV"),
        ({"eta_noise_seed_delta": "31337"}, "eta_noise_seed_delta", 31337),
        ({"eta_noise_seed_delta": 31337.0}, "eta_noise_seed_delta", 31337),
        ({"eta_noise_seed_delta": None}, "eta_noise_seed_delta", 0),
        ({"emphasis": "No norm"}, "emphasis", "No norm"),
        ({"eta_ancestral": "0.67"}, "sampling", SamplerSettings(eta_ancestral=0.67)),
        ({"s_churn": 5, "s_tmin": 0.1, "s_tmax": 9, "s_noise": 1.01}, "sampling",
         SamplerSettings(s_churn=5, s_tmin=0.1, s_tmax=9, s_noise=1.01)),
        ({"sigma_min": 0.05, "sigma_max": 10, "rho": 5}, "sampling",
         SamplerSettings(sigma_min=0.05, sigma_max=10, rho=5)),
        ({"always_discard_next_to_last_sigma": "True", "sgm_noise_multiplier": 1}, "sampling",
         SamplerSettings(always_discard_next_to_last_sigma=True, sgm_noise_multiplier=True)),
        ({"uni_pc_variant": "bh2", "uni_pc_skip_type": "logSNR", "uni_pc_order": "2",
          "uni_pc_lower_order_final": False}, "sampling",
         SamplerSettings(uni_pc_variant="bh2", uni_pc_skip_type="logSNR", uni_pc_order=2,
                         uni_pc_lower_order_final=False)),
        ({"beta_dist_alpha": 0.5, "beta_dist_beta": 0.7, "skip_early_cond": 0.1, "s_min_uncond": 1,
          "s_min_uncond_all": True}, "sampling",
         SamplerSettings(beta_dist_alpha=0.5, beta_dist_beta=0.7, skip_early_cond=0.1, s_min_uncond=1,
                         s_min_uncond_all=True)),
        ({"use_old_karras_scheduler_sigmas": True, "enable_quantization": "1"}, "sampling",
         SamplerSettings(use_old_karras_scheduler_sigmas=True, enable_quantization=True)),
    ],
)  # fmt: skip
def test_options_decide(settings, field, value) -> None:
    """Each option reaches the engine under its own name, whether it came as a number or as text."""
    assert getattr(engine_request(settings).resolved(), field) == value


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"s_churn": 3, "eta_ancestral": 0.5}),
        ({"eta": 0.3}, {"s_churn": 3, "eta_ancestral": 0.3, "eta_ddim": 0.3}),
        ({"eta": 0}, {"s_churn": 3, "eta_ancestral": 0, "eta_ddim": 0}),
        ({"s_churn": 7}, {"s_churn": 7, "eta_ancestral": 0.5}),
        ({"s_min_uncond": 2, "s_tmin": 1, "s_tmax": 5, "s_noise": 1.1},
         {"s_min_uncond": 2, "s_tmin": 1, "s_tmax": 5, "s_noise": 1.1, "s_churn": 3, "eta_ancestral": 0.5}),
    ],
)  # fmt: skip
def test_a_request_goes_before_options(fields, expected) -> None:
    """What the request says itself counts, and options where it is silent."""
    found = engine_request({"s_churn": 3, "eta_ancestral": 0.5}, **fields).sampling
    assert found == SamplerSettings(**expected)


def test_ranges_are_taught() -> None:
    """What is out of range says what is allowed."""
    with pytest.raises(InvalidRequest, match=r"s_churn is 101.*0 to 100"):
        engine_request({"s_churn": 101}).resolved()
    with pytest.raises(InvalidRequest, match=r"less than sigma_max \(2\)"):
        engine_request({"sigma_min": 3, "sigma_max": 2}).resolved()


# ── through the API ──────────────────────────────────────────────────────────────────────────────


def test_where_noise_comes_from(running) -> None:
    """NV is another picture than CPU's; each says so, and is the same picture every time."""
    text, pixels, _ = drawn(running.draw())
    again, same, _ = drawn(running.draw(override_settings={"randn_source": "CPU"}))
    card, other, _ = drawn(running.draw(override_settings={"randn_source": "NV"}))
    assert "RNG: CPU" in text
    assert "RNG: CPU" in again
    assert "RNG: NV" in card
    assert pixels == same != other
    assert drawn(running.draw(override_settings={"randn_source": "NV"}))[1] == other


def test_a_gpus_noise_without_a_gpu(running) -> None:
    """It is the CPU's, and the infotext and a comment say so: the same text is the same picture elsewhere."""
    text, pixels, info = drawn(running.draw(override_settings={"randn_source": "GPU"}))
    assert "RNG: CPU" in text
    assert "no GPU" in " ".join(info["comments"])
    assert pixels == drawn(running.draw())[1]


def test_what_a_picture_was_drawn_with_is_said(running) -> None:
    """`info` has the sampler's settings among A1111's extra parameters."""
    _, _, info = drawn(running.draw(sampler_name="DDIM", eta=0.6, s_min_uncond=0.5))
    assert info["extra_generation_params"].items() >= {"Eta DDIM": 0.6, "NGMS": 0.5}.items()


def test_a_callers_noise(running) -> None:
    """An option that a caller sets holds for that caller's requests, and for nobody else's."""
    with running.ask("nora") as client:
        assert client.post("/sdapi/v1/options", json={"randn_source": "NV"}).status_code == 200
        assert client.get("/sdapi/v1/options").json()["randn_source"] == "NV"
    assert "RNG: NV" in drawn(running.draw("nora"))[0]
    assert "RNG: CPU" in drawn(running.draw("ada"))[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"override_settings": {"randn_source": "NV"}}, "RNG: NV"),
        ({"subseed": 9, "subseed_strength": 0.4}, "Variation seed: 9, Variation seed strength: 0.4"),
        ({"seed_resize_from_w": 32, "seed_resize_from_h": 48}, "Seed resize from: 32x48"),
        ({"seed_resize_from_w": 128, "seed_resize_from_h": 32, "subseed": 9, "subseed_strength": 0.5,
          "override_settings": {"randn_source": "NV"}}, "Seed resize from: 128x32"),
        ({"alwayson_scripts": {"Seed": {"args": [7, True, 3, 0.2, 96, 96]}}}, "Seed resize from: 96x96"),
        ({"sampler_name": "DDIM", "eta": 0.6}, "Eta DDIM: 0.6"),
        ({"sampler_name": "Euler a", "override_settings": {"eta_noise_seed_delta": 31337}}, "ENSD: 31337"),
    ],
)  # fmt: skip
def test_an_infotext_draws_the_same_picture(running, fields, said) -> None:
    """What is drawn with settings of its own says them, and its infotext alone draws it again."""
    text, pixels, info = drawn(running.draw(**fields))
    assert said in text
    with running.ask("bob") as client:
        answer = client.post("/sdapi/v1/txt2img", json={"infotext": text})
    again, same, _ = drawn(answer)
    assert again == text
    assert same == pixels
    assert pixels != drawn(running.draw())[1] or "override_settings" in fields
    assert [info[f"seed_resize_from_{side}"] > 0 for side in "wh"] == ["Seed resize" in text] * 2


def test_an_infotext_of_a1111s_means_a_cards_noise(running) -> None:
    """A1111 writes no RNG where a GPU drew: then the numbers are an NVIDIA card's, on any machine."""
    text = "a red circle\nSteps: 2, Sampler: Euler, Seed: 7, Size: 64x64, CFG scale: 7, Version: v1.10.1"
    with running.ask("bob") as client:
        said, pixels, info = drawn(client.post("/sdapi/v1/txt2img", json={"infotext": text}))
    assert "RNG: NV" in said
    assert info["comments"] == []
    fields = {"prompt": "a red circle", "sampler_name": "Euler", "cfg_scale": 7}
    assert pixels == drawn(running.draw(**fields, override_settings={"randn_source": "NV"}))[1]


OWN = {
    "CLIP_stop_at_last_layers": 2, "emphasis": "Ignore", "eta_ancestral": 0.3, "tiling": True,
    "img2img_extra_noise": 0.3, "s_min_uncond": 4, "enable_quantization": True, "skip_early_cond": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "a (red:1.4) circle", "override_settings": {"enable_prompt_comments": False}},
        {"prompt": "a (red:1.4) circle #1", "override_settings": {"enable_prompt_comments": False}},
        {"sampler_name": "DPM++ 2M", "enable_hr": True, "hr_sampler_name": "Euler", "s_churn": 30},
        {"sampler_name": "DDIM", "scheduler": "Karras", "enable_hr": True, "hr_sampler_name": "Euler a",
         "override_settings": {"eta_noise_seed_delta": 5, "sigma_min": 0.2, "enable_quantization": True}},
        {"enable_hr": True, "hr_prompt": "a (blue:1.5) star", "override_settings": {"emphasis": "No norm"}},
        {"prompt": "a BREAK b", "override_settings": {"emphasis": "None"}},
        {"sampler_name": "Euler", "s_churn": 20, "override_settings": {"eta_noise_seed_delta": 5}},
        {"scheduler": "Karras", "override_settings": {"use_old_karras_scheduler_sigmas": True}},
    ],
)  # fmt: skip
def test_an_infotext_is_the_same_for_whoever_reads_it(running, fields) -> None:
    """All that a pass reads is said, the second one's too, and what a text is silent about is as it was drawn
    with: never the reader's own options."""
    text, pixels, _ = drawn(running.draw(exact=True, **fields))
    with running.ask("reader") as client:
        assert client.post("/sdapi/v1/options", json=OWN).status_code == 200
        answer = client.post("/sdapi/v1/txt2img", json={"infotext": text, "exact": True})
        told = client.post("/studio/parameters", json={"text": text}).json()["request"]
        sent = client.post("/sdapi/v1/txt2img", json={**told, "exact": True})
    assert drawn(answer)[:2] == (text, pixels)
    assert drawn(sent)[:2] == (text, pixels)


def test_whose_comments_an_infotext_leaves(running) -> None:
    """`#` in a text's words was drawn; in a prompt that is sent beside it, it begins a comment as ever."""
    text, _, _ = drawn(running.draw(prompt="a #1", override_settings={"enable_prompt_comments": False}))
    said, _, _ = drawn(running.draw(infotext=text, prompt="a red # circle"))
    assert said.startswith("a red \n")

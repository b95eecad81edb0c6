"""What programs read of A1111's page: `GET /config`.

AIYA (Kilvoctu/aiyabot, core/settings.py) goes through `components` at its start, and has hires fix where one
is called `txt2img_hr_upscaler`; sdwuic (Kotlin) makes a class of every component.
"""

from __future__ import annotations


def test_what_the_page_offers(ada) -> None:
    """Each list under A1111's name for it, as the API's own lists say it."""
    config = ada.get("/config").json()
    assert isinstance(config["version"], str)
    assert len({one["id"] for one in config["components"]}) == len(config["components"])
    lists = {one["props"]["elem_id"]: one["props"]["choices"] for one in config["components"]}

    def names(path: str, key: str = "name") -> list[str]:
        return [one[key] for one in ada.get(f"/sdapi/v1/{path}").json()]

    assert lists["setting_sd_model_checkpoint"] == names("sd-models", "title")
    assert lists["txt2img_sampling"] == lists["img2img_sampling"] == names("samplers")
    assert lists["txt2img_scheduler"] == names("schedulers", "label")
    assert lists["extras_upscaler_1"] == names("upscalers")
    assert lists["txt2img_hr_upscaler"] == names("latent-upscale-modes") + names("upscalers")
    assert lists["setting_sd_lora"] == ["None", *names("loras")]
    assert lists["txt2img_styles"] == names("prompt-styles")


def test_hires_fix_as_aiya_asks_for_it(ada) -> None:
    """With an upscaler of that list, at a scale of 1 and half the steps, which AIYA sends as 1.0."""
    (upscalers,) = [
        one["props"]["choices"]
        for one in ada.get("/config").json()["components"]
        if one["props"]["elem_id"] == "txt2img_hr_upscaler"
    ]
    body = {
        "prompt": "a star", "negative_prompt": "", "steps": 2, "width": 64, "height": 64, "cfg_scale": "7.0",
        "sampler_index": "Euler a", "seed": 5, "seed_resize_from_h": -1, "seed_resize_from_w": -1,
        "denoising_strength": "0.75", "n_iter": 1, "batch_size": 1, "styles": ["None"], "enable_hr": True,
        "hr_upscaler": upscalers[0], "hr_scale": 1, "hr_second_pass_steps": 1.0,
        "override_settings": {"CLIP_stop_at_last_layers": 1},
    }  # fmt: skip
    answer = ada.post("/sdapi/v1/txt2img", json=body)
    assert answer.status_code == 200, answer.text[:300]
    assert len(answer.json()["images"]) == 1

"""`/sdapi/v1/options`, as A1111's clients use it, and the table that decides about each of its options."""

from __future__ import annotations

import base64
import io
import json
import shutil
from typing import Any

import pytest
from PIL import Image

from easel.models import Store
from easel.studio.api.options import NOTES_HEADER, current, set_options
from easel.studio.api.requests.options_table import OPTIONS, Option, Rule, honoured, same, told_of_infotext
from easel.studio.api.requests.refusals import Unsupported
from easel.studio.engine import Engine
from easel.studio.studio import Studio
from tests.studio.conftest import STARTER


def test_whole_dictionary_round_trips(running) -> None:
    """open-webui reads all options, changes one and sends all of them back; nothing is refused or lost."""
    with running.ask("roundtrip") as client:
        options = client.get("/sdapi/v1/options").json()
        assert isinstance(options["sd_model_checkpoint"], str)
        assert client.post("/sdapi/v1/options", json=options).json() is None
        assert client.get("/sdapi/v1/options").json() == options
        changed = {**options, "CLIP_stop_at_last_layers": 2, "sd_model_checkpoint": "second"}
        assert client.post("/sdapi/v1/options", json=changed).status_code == 200
        now = client.get("/sdapi/v1/options").json()
        assert now["CLIP_stop_at_last_layers"] == 2
        assert now["sd_model_checkpoint"].startswith("second.safetensors")


def test_unknown_keys_are_kept(running) -> None:
    """Options that nobody here knows come back as they were sent."""
    strange = {"some_extension_setting": {"a": [1, None, "x"]}, "quicksettings_list": ["sd_vae"]}
    with running.ask("keeper") as client:
        assert client.post("/sdapi/v1/options", json=strange).status_code == 200
        assert strange.items() <= client.get("/sdapi/v1/options").json().items()


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"sd_model_checkpoint": "nothing-like-it"}, 400),
        ({"sd_model_checkpoint": 5}, 422),
        ({"sd_vae": "nothing.vae"}, 400),
        ({"CLIP_stop_at_last_layers": 0}, 422),
        ({"CLIP_stop_at_last_layers": "x"}, 422),
        ({"x": "y" * 300_000}, 422),
    ],
)
def test_what_cannot_be_set(running, values, status) -> None:
    """An option that cannot work is refused at once, and nothing of the request is kept."""
    with running.ask("wrong") as client:
        before = client.get("/sdapi/v1/options").json()
        answer = client.post("/sdapi/v1/options", json={"other": 1, **values})
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "detail", "body", "errors"}
        assert client.get("/sdapi/v1/options").json() == before


@pytest.mark.parametrize("name", ["Automatic", "None", "", None])
def test_no_vae_of_its_own(running, name) -> None:
    """A1111's words for "the checkpoint's own VAE" are taken."""
    with running.ask("vae") as client:
        assert client.post("/sdapi/v1/options", json={"sd_vae": name}).status_code == 200
    assert running.draw("vae").status_code == 200


# ── all of A1111's names ─────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A studio that draws nothing: options are asked for and set."""
    home = tmp_path_factory.mktemp("options")
    (home / "models" / "Stable-diffusion").mkdir(parents=True)
    shutil.copy(STARTER, home / "models" / "Stable-diffusion")
    return Studio.at(home, "studio", Engine(Store(home / "models", hashing=False)))


def another(option: Option) -> Any:
    """A value that neither Easel nor A1111 has for it, of the same kind."""
    value = option.value
    if isinstance(value, bool):
        return "perhaps" if option.default != value else not value
    if isinstance(value, int | float):
        return value + 1.5
    if isinstance(value, list):
        return [*value, "more"]
    return "something else"


def test_every_name_is_answered(ada) -> None:
    """GET has all names of A1111 1.10 and of what comes with it, as clients that show settings expect."""
    found = ada.get("/sdapi/v1/options").json()
    assert OPTIONS.keys() <= found.keys()
    assert len(OPTIONS) >= 320
    options = {
        "send_seed": True, "samples_format": "png", "quicksettings_list": ["sd_model_checkpoint"],
        "show_progress_every_n_steps": 10, "emphasis": "Original", "sd_vae": "Automatic", "s_noise": 1.0,
        "eta_ancestral": 1.0, "face_restoration_model": "CodeFormer", "outdir_save": "log/images",
        "interrogate_clip_max_length": 48, "hypertile_max_tile_unet": 256, "canvas_hotkey_zoom": "Alt",
        "lora_preferred_name": "Alias from file", "upscaler_for_img2img": None, "img2img_extra_noise": 0.0,
    }  # fmt: skip
    assert options.items() <= found.items()
    # where Easel does something else than A1111 by default, it says what it does
    assert (found["randn_source"], found["grid_save"], found["return_grid"]) == ("CPU", False, True)


def test_a1111s_defaults_may_be_sent(ada) -> None:
    """Somebody's whole configuration of A1111 is taken, and what Easel does otherwise is told."""
    before = ada.get("/sdapi/v1/options").json()
    options = {name: option.default for name, option in OPTIONS.items() if name != "sd_model_checkpoint"}
    answer = ada.post("/sdapi/v1/options", json=options)
    assert (answer.status_code, answer.json()) == (200, None)
    told = " ".join(json.loads(answer.headers[NOTES_HEADER]))
    differ = {name for name, one in OPTIONS.items() if one.default != one.value and not one.settable}
    assert differ == {name for name in differ if name in told}
    # where noise comes from is told nobody: it is followed
    assert ada.get("/sdapi/v1/options").json() == {**before, "randn_source": "GPU"}
    assert ada.post("/sdapi/v1/options", json={"randn_source": "CPU"}).status_code == 200


def test_every_option_keeps_its_rule(studio: Studio) -> None:
    """Never accepted and dropped: set, given back, told or refused, each as the table says."""
    for name, option in OPTIONS.items():
        value = another(option)
        before = current(studio, "ada")
        if option.rule is Rule.KEPT:
            assert set_options(studio, "ada", {name: value}) == []
            assert current(studio, "ada")[name] == value, name
        elif option.rule is Rule.TOLD:
            assert [words for words in set_options(studio, "ada", {name: value}) if name in words]
            assert current(studio, "ada") == before
            assert name in honoured({name: value})[1][0]
        elif option.rule is Rule.REFUSED:
            with pytest.raises(Unsupported, match=name):
                set_options(studio, "ada", {name: value, "send_seed": "changed"})
            assert current(studio, "ada") == before
            with pytest.raises(Unsupported, match=rf"override_settings\.{name}"):
                honoured({name: value}, "override_settings.")
            assert honoured({name: option.value}) == ({}, [])
        else:
            assert honoured({name: value}) == ({name: value}, [])


def test_infotexts_keep_the_same_rules() -> None:
    """What an infotext says of an option is followed, or told; a request never stops for it."""
    for option in OPTIONS.values():
        if option.infotext and not option.settable:
            assert option.infotext in told_of_infotext({option.infotext: str(another(option))})[0]
            assert told_of_infotext({option.infotext: str(option.value)}) == []
    assert told_of_infotext({"Steps": "20", "Clip skip": "2", "Something": "else"}) == []


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (1, 1.0, True), ("1", 1, True), ("true", True, True), ("False", False, True), ("cpu", "CPU", True),
        ("0.0", 0, True), (True, 1, True), ("GPU", "CPU", False), (None, 0, False), ([], "", False),
        ("x", 1, False), ("9" * 5000, 1, False), ("nan", "NaN", True), ({}, {}, True),
    ],
)  # fmt: skip
def test_values_that_say_the_same(one, other, alike) -> None:
    """Numbers and yes or no come as text too."""
    assert same(one, other) is alike


# ── options that are honoured ────────────────────────────────────────────────────────────────────


def drawn(answer) -> tuple[dict[str, Any], Image.Image]:
    assert answer.status_code == 200, answer.text[:500]
    body = answer.json()
    return json.loads(body["info"]), Image.open(io.BytesIO(base64.b64decode(body["images"][0])))


def test_eta_of_ddim(running) -> None:
    """`eta_ddim` is followed by DDIM, unless the request has an eta of its own."""
    said, noisy = drawn(running.draw(sampler_name="DDIM", override_settings={"eta_ddim": "0.5"}))
    assert "Eta DDIM: 0.5" in said["infotexts"][0]
    own, still = drawn(running.draw(sampler_name="DDIM", eta=0, override_settings={"eta_ddim": 0.5}))
    assert "Eta DDIM" not in own["infotexts"][0]
    assert noisy.tobytes() != still.tobytes()


def test_what_is_kept_of_a_picture(running) -> None:
    """`samples_save` off keeps nothing, `enable_pnginfo` off leaves the infotext out of the file."""
    with running.ask("shy") as client:
        answer = client.post("/sdapi/v1/options", json={"samples_save": False, "enable_pnginfo": "false"})
        assert answer.status_code == 200
    said, picture = drawn(running.draw("shy", save_images=True))
    assert "parameters" not in picture.info
    assert said["infotexts"]
    assert running.studio.outputs.recent("shy") == []
    once = {"samples_save": True, "enable_pnginfo": True}
    _, signed = drawn(running.draw("shy", save_images=True, override_settings=once))
    assert "parameters" in signed.info
    assert len(running.studio.outputs.recent("shy")) == 1


def test_settings_that_stay_keep_the_same_rules(running) -> None:
    """`override_settings_restore_afterwards` off stores what POST would store."""
    fields = {"override_settings": {"send_seed": False, "grid_save": True, "sd_model_checkpoint": "second"}}
    answer = running.draw("lasting", override_settings_restore_afterwards=False, **fields)
    assert answer.status_code == 200
    with running.ask("lasting") as client:
        now = client.get("/sdapi/v1/options").json()
    assert (now["send_seed"], now["grid_save"]) == (False, False)
    assert now["sd_model_checkpoint"].startswith("second.safetensors")


def test_what_was_stored_before_does_not_come_back(studio: Studio) -> None:
    """A value that an earlier version stored, and that is refused now, is neither shown nor drawn by."""
    studio.options.update("old", {"sd_unet": "None", "sd_lora": "x", "my_extension": 1})
    now = current(studio, "old")
    assert (now["sd_unet"], now["sd_lora"], now["my_extension"]) == ("Automatic", "None", 1)


@pytest.mark.parametrize(
    "values",
    [
        {"eta_ddim": 2}, {"eta_ddim": "much"}, {"samples_save": "perhaps"}, {"enable_pnginfo": []},
        {"enable_prompt_comments": "no?"}, {"extra_options_txt2img": "x"}, {"sd_vae": 5},
        {"sdxl_clip_l_skip": "a little"}, {"randn_source": "AMD"}, {"randn_source": 5}, {"emphasis": "Loud"},
        {"eta_ancestral": -1}, {"eta_noise_seed_delta": "x"}, {"eta_noise_seed_delta": 10**30},
        {"s_churn": 101}, {"s_tmin": -1}, {"s_tmax": "inf"}, {"s_noise": "loud"}, {"sigma_min": -1},
        {"sigma_max": "NaN"}, {"rho": 1000}, {"always_discard_next_to_last_sigma": "perhaps"},
        {"sgm_noise_multiplier": 2}, {"uni_pc_variant": "bh3"}, {"uni_pc_skip_type": 5}, {"uni_pc_order": 0},
        {"uni_pc_lower_order_final": "no?"}, {"beta_dist_alpha": 0}, {"beta_dist_beta": "x"},
        {"skip_early_cond": 2}, {"s_min_uncond": 16}, {"s_min_uncond_all": "x"},
    ],
)  # fmt: skip
def test_values_that_could_not_be_followed(ada, values) -> None:
    """What is honoured is checked when it is set, and says which option."""
    answer = ada.post("/sdapi/v1/options", json=values)
    assert answer.status_code == 422
    assert next(iter(values)) in answer.json()["errors"]

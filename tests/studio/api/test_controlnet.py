"""ControlNet over HTTP: the shapes that clients send, what comes back, the extension's routes, bad units."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import torch
import webuiapi
from diffusers import ControlNetModel, UNet2DConditionModel
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from easel.studio.families import HERE
from tests.studio.api.answers import info, pictures, sent
from tests.studio.conftest import QUICK
from tests.studio.engine.control import image_prompt_files


@pytest.fixture(scope="module")
def ring() -> Image.Image:
    image = Image.new("RGB", (64, 64))
    ImageDraw.Draw(image).ellipse((10, 10, 50, 50), fill="white")
    return image


@pytest.fixture(scope="module", autouse=True)
def model(running) -> str:
    """A ControlNet of the starter's UNet with random weights."""
    folder = running.home / "models" / "ControlNet"
    folder.mkdir(exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = UNet2DConditionModel.load_config(HERE / "starter" / "unet" / "config.json")
        made = ControlNetModel.from_unet(UNet2DConditionModel.from_config(config))
        for name, one in made.named_parameters():
            if name.startswith(("controlnet_down", "controlnet_mid", "controlnet_cond_embedding.conv_out")):
                torch.nn.init.normal_(one, std=0.05)
    save_file(made.state_dict(), folder / "control_test_canny.safetensors")
    (folder / "broken.safetensors").write_bytes(b"no model")
    with running.ask() as client:
        assert "broken" in str(client.get("/controlnet/model_list?update=true").json())
    return "control_test_canny"


def controlled(*units: Any, **fields: Any) -> dict[str, Any]:
    return {"alwayson_scripts": {"ControlNet": {"args": list(units)}}, **fields}


def test_a_unit_changes_the_picture_and_its_map_comes_behind(running, ring, model) -> None:
    """The picture first, then what the control was shown; the infotext says how it was drawn."""
    (plain,) = pictures(running.draw())
    answer = running.draw(**controlled({"image": sent(ring), "model": model, "module": "canny"}))
    drawn, detected = pictures(answer)
    assert drawn.tobytes() != plain.tobytes()
    assert detected.size == drawn.size
    assert {0, 255} == set(detected.convert("L").tobytes())
    (text,) = info(answer)["infotexts"]
    assert f'ControlNet 0: "Module: canny, Model: {model}' in text
    for words in ("Weight: 1", "Resize Mode: Crop and Resize", "Control Mode: Balanced", "Guidance End: 1"):
        assert words in text


def shapes(picture: str, model: str) -> dict[str, dict[str, Any]]:
    unit = {"model": model, "module": "none"}
    return {
        "image": controlled({**unit, "image": picture}),
        "title in small": {"alwayson_scripts": {"controlnet": {"args": [{**unit, "image": picture}]}}},
        "older name": controlled({**unit, "input_image": picture, "lowvram": False, "guidance": 1.0}),
        "data URI": controlled({**unit, "image": f"data:image/png;base64,{picture}"}),
        "image and mask": controlled({**unit, "image": {"image": picture, "mask": None}}),
        "pair": controlled({**unit, "image": [picture, None]}),
        "words": controlled(
            {**unit, "image": picture, "resize_mode": "Crop and Resize", "control_mode": "Balanced",
             "hr_option": "Both", "pixel_perfect": True, "processor_res": 64, "threshold_a": 64,
             "threshold_b": 64, "save_detected_map": True, "is_ui": False, "input_mode": "simple"}
        ),
        "numbers in words": controlled({**unit, "image": picture, "weight": "1.0", "resize_mode": "1"}),
        "older list": {"controlnet_units": [{**unit, "input_image": picture}]},
        "others are off": controlled({**unit, "image": picture}, {"enabled": False, "model": "no"}, None),
        "Krita": {
            "alwayson_scripts": {
                "controlNet": {
                    "args": [
                        {"enabled": True, "module": "None", "model": model, "weight": 1.0,
                         "input_image": picture, "lowvram": False, "processor_res": 512, "threshold_a": 100.0,
                         "threshold_b": 200.0, "resize_mode": "Crop and Resize", "guidance_start": 0.0,
                         "guidance_end": 1.0, "control_mode": "Balanced", "pixel_perfect": False}
                    ]
                }
            }
        },
        "Photoshop": {
            "alwayson_scripts": {
                "controlnet": {
                    "args": [
                        {"enabled": True, "input_image": picture, "mask": "", "module": "none",
                         "model": model, "weight": 1, "resize_mode": "Scale to Fit (Inner Fit)",
                         "lowvram": True, "processor_res": 512, "threshold_a": 0, "threshold_b": 0,
                         "guidance_start": 0, "guidance_end": 1, "guessmode": False,
                         "control_mode": "Balanced", "pixel_perfect": True},
                        {"enabled": False, "input_image": "", "mask": "", "module": "none", "model": "none"},
                    ]
                }
            }
        },
        "with ending": controlled({**unit, "model": f"{model}.safetensors", "image": picture}),
        "with another hash": controlled({**unit, "model": f"{model} [0123abcd]", "image": picture}),
    }  # fmt: skip


@pytest.mark.parametrize("shape", list(shapes("", "")))
def test_every_shape_is_the_same_unit(running, ring, model, shape: str) -> None:
    """However a client writes it, the same unit draws the same picture."""
    first, _ = pictures(running.draw(**shapes(sent(ring), model)["image"]))
    drawn, _ = pictures(running.draw(**shapes(sent(ring), model)[shape]))
    assert drawn.tobytes() == first.tobytes()


def test_webuiapi(running, ring, model) -> None:
    """The library's own unit, lists and detection."""
    client = webuiapi.WebUIApi(baseurl=f"{running.url}/sdapi/v1")
    assert client.controlnet_version() == 3
    (name,) = [one for one in client.controlnet_model_list() if one.startswith(model)]
    assert "canny" in client.controlnet_module_list()
    unit = webuiapi.ControlNetUnit(image=ring, module="canny", model=name, pixel_perfect=True)
    result = client.txt2img(
        alwayson_scripts={},  # its default is one dictionary for all calls: units would stay in it
        prompt="a red circle",
        steps=2,
        width=64,
        height=64,
        controlnet_units=[unit],
    )
    assert len(result.images) == 2
    assert f"Model: {name}" in result.info["infotexts"][0]
    assert len(client.controlnet_detect([ring], module="canny").images) == 1


def test_two_units_and_maps_that_are_not_wanted(running, ring, model) -> None:
    """As many maps as units want them; two count together."""
    unit = {"model": model, "image": sent(ring)}
    one, _ = pictures(running.draw(**controlled(unit)))
    drawn, _ = pictures(running.draw(**controlled(unit, {**unit, "save_detected_map": False})))
    assert drawn.tobytes() != one.tobytes()


@pytest.mark.parametrize(
    ("unit", "word"),
    [
        ({"model": "nothing"}, "not found"),
        ({"model": "broken"}, "safetensors"),
        ({"model": None}, "control_test_canny"),
        ({"image": None}, "image"),
        ({"image": "no base64!"}, "image"),
        ({"image": sent(Image.new("RGB", (4, 4)))[:40]}, "image"),
        ({"image": 5}, "base64"),
        ({"image": [sent(Image.new("RGB", (4, 4)))] * 3}, "one picture"),
        ({"image": {"image": ["x"]}}, "base64"),
        ({"module": "dw_dw_openpose_full"}, "canny"),
        ({"module": "openpose"}, "models/ControlNetPreprocessor: this one needs body_pose_model"),
        ({"module": "reference_only", "image": None}, "image"),
        ({"module": "ip-adapter_clip_sd15"}, "IP-Adapter"),
        ({"module": "inpaint_only"}, "mask"),
        ({"weight": 9}, "0 to 2"),
        ({"weight": "much"}, "number"),
        ({"guidance_start": 0.9, "guidance_end": 0.1}, "guidance_end"),
        ({"guidance_end": -1}, "0 to 1"),
        ({"control_mode": 7}, "Balanced"),
        ({"control_mode": []}, "control_mode"),
        ({"resize_mode": "Stretch"}, "Just Resize"),
        ({"resize_mode": 3}, "Just Resize"),
        ({"hr_option": "never"}, "Both"),
        ({"advanced_weighting": [1] * 50}, "16"),
        ({"advanced_weighting": "x"}, "advanced_weighting"),
        ({"effective_region_mask": "x"}, "effective_region_mask"),
        ({"ipadapter_input": ["x"]}, "send the picture"),
        ("unit", "unit"),
        (7, "unit"),
    ],
)
def test_a_unit_that_cannot_be_drawn(running, ring, model, unit: Any, word: str) -> None:
    """4xx in words that say what is wrong and what there is; nothing is drawn without the control."""
    whole = {"model": model, "image": sent(ring), **unit} if isinstance(unit, dict) else unit
    answer = running.draw(**controlled(whole))
    assert 400 <= answer.status_code < 500, answer.text[:500]
    assert word.lower() in answer.json()["errors"].lower()


@pytest.mark.parametrize("args", ["x", 5, None, [[]], [True]])
def test_arguments_that_are_none(running, args: Any) -> None:
    """What is no list of units is refused, or off."""
    answer = running.draw(alwayson_scripts={"ControlNet": {"args": args}})
    assert answer.status_code in (200, 422)


def test_many_units(running, ring, model) -> None:
    """More than the extension's page has are refused."""
    unit = {"model": model, "image": sent(ring)}
    answer = running.draw(**controlled(*[unit] * 11))
    assert answer.status_code == 422
    assert "up to 10" in answer.json()["errors"]


def test_the_lists(ada: httpx.Client, model) -> None:
    """What clients ask for before they send a unit: version, models, preprocessors, types, settings."""
    assert ada.get("/controlnet/version").json() == {"version": 3}
    assert any(one.startswith(model) for one in ada.get("/controlnet/model_list").json()["model_list"])
    modules = ada.get("/controlnet/module_list").json()
    assert {"none", "canny", "tile_resample", "scribble_xdog"} <= set(modules["module_list"])
    assert set(modules["module_detail"]) == set(modules["module_list"])
    resolution, low, high = modules["module_detail"]["canny"]["sliders"]
    assert (resolution["value"], low["value"], high["value"]) == (512, 100, 200)
    labels = ada.get("/controlnet/module_list", params={"alias_names": "true"}).json()["module_list"]
    assert "invert (from white bg & black line)" in labels
    types = ada.get("/controlnet/control_types").json()["control_types"]
    assert types["Canny"]["default_option"] == "canny"
    assert types["Canny"]["default_model"].startswith(model)
    assert types["OpenPose"]["module_list"] == [
        "none", "openpose", "openpose_hand", "openpose_face", "openpose_faceonly", "openpose_full",
        "dw_openpose_full",
    ]  # fmt: skip
    assert types["Shuffle"]["default_option"] == "shuffle"
    assert types["Segmentation"]["module_list"] == [
        "none", "seg_ofade20k", "seg_ofcoco", "seg_ufade20k",
    ]  # fmt: skip
    assert types["Reference"]["model_list"] == ["None"]
    assert modules["module_detail"]["reference_only"]["model_free"]
    assert ada.get("/controlnet/settings").json() == {"control_net_unit_count": 10}
    assert "controlnet" in ada.get("/sdapi/v1/scripts").json()["txt2img"]
    assert ada.get("/controlnet/nothing").status_code == 404


def test_detect(ada: httpx.Client, ring) -> None:
    """Maps without drawing, one for each picture."""
    asked = {"controlnet_module": "canny", "controlnet_input_images": [sent(ring)] * 2,
             "controlnet_processor_res": 128}  # fmt: skip
    answer = ada.post("/controlnet/detect", json=asked)
    assert answer.json()["info"] == "Success"
    first, second = pictures(answer)
    assert first.size == (128, 128)
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"controlnet_module": "dw_openpose_full", "controlnet_input_images": ["x"]},
        {"controlnet_module": "canny", "controlnet_input_images": ["x"]},
        {"controlnet_module": "canny", "controlnet_input_images": "x"},
        {"controlnet_module": "canny", "controlnet_input_images": [sent(Image.new("RGB", (8, 8)))] * 17},
        {"controlnet_threshold_a": "low"},
    ],
)
def test_what_cannot_be_detected(ada: httpx.Client, asked: dict[str, Any]) -> None:
    """422 with A1111's body."""
    answer = ada.post("/controlnet/detect", json=asked)
    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_over_a_picture_without_one_of_its_own(ada: httpx.Client, ring, model) -> None:
    """In img2img a unit without a picture is shown the one that is drawn over."""
    body = {**QUICK, "init_images": [sent(ring)], "denoising_strength": 0.9}
    (plain,) = pictures(ada.post("/sdapi/v1/img2img", json=body))
    unit = {"model": model, "module": "none"}
    drawn, shown = pictures(ada.post("/sdapi/v1/img2img", json={**body, **controlled(unit)}))
    assert drawn.tobytes() != plain.tobytes()
    assert shown.convert("RGB").tobytes() == ring.tobytes()
    same, _ = pictures(
        ada.post("/sdapi/v1/img2img", json={**body, **controlled({**unit, "image": sent(ring)})})
    )
    assert same.tobytes() == drawn.tobytes()


@pytest.fixture(scope="module")
def adapter(running) -> str:
    """An IP-Adapter of the starter's UNet and an image encoder, with random weights."""
    unet = UNet2DConditionModel.from_config(
        UNet2DConditionModel.load_config(HERE / "starter" / "unet" / "config.json")
    )
    models = running.home / "models"
    image_prompt_files.written(
        models / "ControlNet", "ip-adapter_test", image_prompt_files.adapter(unet, "plain")
    )
    (models / "ControlNetPreprocessor").mkdir(exist_ok=True)
    save_file(
        image_prompt_files.encoder().state_dict(), models / "ControlNetPreprocessor" / "clip_h.safetensors"
    )
    return "ip-adapter_test"


@pytest.mark.parametrize(
    "module",
    ["none", "ip-adapter-auto", "ip-adapter_clip_sd15", "ip-adapter_clip_h", "CLIP-ViT-H (IPAdapter)"],
)
def test_an_ip_adapter_is_a_unit_as_any_other(running, ring, adapter, module: str) -> None:
    """By each of its preprocessors' names the same picture, with no map behind it, told in the infotext."""
    (plain,) = pictures(running.draw())
    unit = {"model": adapter, "image": sent(ring), "weight": 0.8}
    (first,) = pictures(running.draw(**controlled({**unit, "module": "ip-adapter_clip_sd15"})))
    answer = running.draw(**controlled({**unit, "module": module}))
    (drawn,) = pictures(answer)
    assert drawn.tobytes() == first.tobytes() != plain.tobytes()
    assert f"Model: {adapter}" in info(answer)["infotexts"][0]


def test_several_pictures_for_an_ip_adapter(running, ring, adapter) -> None:
    """A list of pictures, each alone or as an object: all are read."""
    other = ring.rotate(90).resize((80, 40))
    unit = {"model": adapter, "module": "ip-adapter-auto"}
    one, lists = controlled({**unit, "image": sent(ring)}), [sent(ring), sent(other), sent(other)]
    (single,) = pictures(running.draw(**one))
    (many,) = pictures(running.draw(**controlled({**unit, "image": lists})))
    (objects,) = pictures(running.draw(**controlled({**unit, "image": [{"image": each} for each in lists]})))
    assert many.tobytes() == objects.tobytes() != single.tobytes()


def test_ip_adapters_in_the_lists(running, adapter) -> None:
    """Their preprocessors and their models are one control type."""
    with running.ask() as client:
        assert adapter in str(client.get("/controlnet/model_list?update=true").json())
        found = client.get("/controlnet/control_types").json()["control_types"]["IP-Adapter"]
        refused = client.post(
            "/controlnet/detect",
            json={"controlnet_module": "ip-adapter-auto", "controlnet_input_images": ["x"]},
        )
    assert found["module_list"][0] == "none"
    assert "ip-adapter-auto" in found["module_list"]
    assert any(one.startswith(adapter) for one in found["model_list"])
    assert refused.status_code == 422


def test_a_unit_of_an_infotext_is_filled_in(running, ring, model) -> None:
    """With its picture, all else of a unit comes from the text; what is sent counts."""
    unit = {"model": model, "module": "canny", "image": sent(ring), "weight": 0.6, "guidance_end": 0.8,
            "threshold_a": 60, "processor_res": 64, "control_mode": 2, "resize_mode": 0}  # fmt: skip
    answer = running.draw(**controlled(unit))
    first, (text,) = pictures(answer)[0], info(answer)["infotexts"]
    with running.ask() as client:
        again = client.post("/sdapi/v1/txt2img", json=controlled({"image": sent(ring)}, infotext=text))
        other = client.post(
            "/sdapi/v1/txt2img", json=controlled({"image": sent(ring), "weight": 0.9}, infotext=text)
        )
        without = client.post("/sdapi/v1/txt2img", json={"infotext": text})
    assert pictures(again)[0].tobytes() == first.tobytes()
    assert info(again)["comments"] == []
    assert "Weight: 0.9, Resize Mode: Just Resize" in info(other)["infotexts"][0]
    assert "ControlNet 0 of the infotext: its picture is not in the text" in info(without)["comments"][0]


@pytest.mark.parametrize(
    "more", [{"hr_option": "Low res only"}, {"advanced_weighting": [0.2] * 12 + [1]}], ids=["pass", "layers"]
)
def test_all_that_a_unit_says_is_in_the_infotext(running, ring, model, more: dict[str, Any]) -> None:
    """The pass that it counts in and its weights of layers too: the same text is the same picture."""
    unit = {"model": model, "module": "canny", "image": sent(ring), **more}
    twice = {"enable_hr": True, "denoising_strength": 0.6, "exact": True}
    answer = running.draw(**controlled(unit, **twice))
    (text,) = info(answer)["infotexts"]
    again = running.draw(**controlled({"image": sent(ring)}, infotext=text, exact=True))
    assert info(again)["infotexts"] == [text]
    assert pictures(again)[0].tobytes() == pictures(answer)[0].tobytes()


def test_a_unit_of_an_older_infotext(running, ring, model) -> None:
    """As the extension wrote it until 2024: small letters, numbers in brackets. One is no number."""
    words = (
        f"preprocessor: canny, model: {model}, weight: 0.5, starting/ending: (0.1, 0.75), resize mode: "
        "Crop and Resize, pixel perfect: False, control mode: Balanced, preprocessor params: (64, 80, x)"
    )
    text = f'x\nSteps: 2, Sampler: Euler, Seed: 1, Size: 64x64, ControlNet 0: "{words}"'
    answer = running.draw(**controlled({"image": sent(ring)}, infotext=text))
    (drawn,) = info(answer)["infotexts"]
    for said in ("Module: canny", "Weight: 0.5", "Guidance Start: 0.1", "Guidance End: 0.75"):
        assert said in drawn
    assert "Processor Res: 64, Threshold A: 80" in drawn

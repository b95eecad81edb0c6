"""ADetailer's arguments where a face detector is there: what it finds is drawn over, and nothing else.

Areas are given at the detector's seam (its weights are made for tests and see one face in every picture);
everything behind it is real.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from easel.studio.api.drawn_request import DrawnRequest
from easel.studio.api.drawn_request import draw as drawn_for
from easel.studio.api.hanging_up import Unattended
from easel.studio.api.keeper import FileOf, PictureFile
from easel.studio.api.request_run import RequestRun
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.text_to_image_request import TextToImageRequest
from easel.studio.engine import TextToImage
from easel.studio.engine.faces import face_run
from easel.studio.engine.imaging import FaceArea
from tests.studio import faces
from tests.studio.api.answers import info, pictures, sent
from tests.studio.conftest import QUICK
from tests.studio.upscalers import write

LEFT, RIGHT = FaceArea((6.0, 8.0, 22.0, 24.0), 0.9), FaceArea((36.0, 30.0, 60.0, 56.0), 0.6)
FACE = {"ad_model": "RetinaFace", "ad_mask_blur": 0, "ad_dilate_erode": 0, "ad_denoising_strength": 0.9}
PICTURE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8))


@pytest.fixture(scope="module")
def detector(running) -> Iterator[None]:
    file = write(
        running.home / "models" / "GFPGAN" / "detection_Resnet50_Final.safetensors",
        faces.detector(faces.IN_THE_MIDDLE),
    )
    running.studio.engine.store.refresh()
    yield
    file.unlink()
    running.studio.engine.store.refresh()


@pytest.fixture
def seen(detector, monkeypatch: pytest.MonkeyPatch) -> list[FaceArea]:
    """What the detector finds in every picture; those of which it is sure enough."""
    found = [LEFT, RIGHT]
    monkeypatch.setattr(
        face_run, "face_areas", lambda _network, _image, sure: [one for one in found if one.sure > sure]
    )
    return found


def detailed(running, *units: dict[str, Any], **fields: Any) -> Any:
    return running.draw(alwayson_scripts={"ADetailer": {"args": [True, False, *units]}}, **fields)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"), int)


def changed(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int] | None:
    different = np.abs(pixels(before) - pixels(after)).max(axis=-1) > 0
    return Image.fromarray((different * 255).astype(np.uint8)).getbbox()


def within(found: tuple[int, int, int, int] | None, area: FaceArea) -> bool:
    left, top, right, bottom = area.box
    return found is not None and (
        found[0] >= left and found[1] >= top and found[2] <= right + 1 and found[3] <= bottom + 1
    )


def test_only_the_areas_change(running, seen) -> None:
    """Each face is another one, the rest is as it was drawn; the infotext says how, as ADetailer's does."""
    (plain,) = pictures(running.draw())
    answer = detailed(running, FACE)
    (drawn,) = pictures(answer)
    different = np.abs(pixels(plain) - pixels(drawn)).max(axis=-1) > 0
    inside = np.zeros_like(different)
    for left, top, right, bottom in (map(int, one.box) for one in seen):
        inside[top : bottom + 1, left : right + 1] = True
        assert different[top : bottom + 1, left : right + 1].any()
    assert not different[~inside].any()
    said = info(answer)
    (text,) = said["infotexts"]
    assert (
        "ADetailer model: RetinaFace, ADetailer confidence: 0.3, ADetailer dilate erode: 0, "
        "ADetailer mask blur: 0, ADetailer denoising strength: 0.9, ADetailer inpaint only masked: True, "
        "ADetailer inpaint padding: 32, ADetailer version: 25.3.0" in text
    )
    assert said["extra_generation_params"]["ADetailer model"] == "RetinaFace"
    assert said["comments"] == []
    assert drawn.info["parameters"] == text
    assert pictures(detailed(running, FACE))[0].tobytes() == drawn.tobytes()


UNITS = [
    {**FACE, "ad_prompt": "a face, of stone: grey", "ad_confidence": 0.4, "ad_mask_k": 1, "ad_x_offset": -2,
     "ad_use_steps": True, "ad_steps": 3, "ad_mask_merge_invert": "Merge"},
    {**FACE, "ad_negative_prompt": "red", "ad_inpaint_only_masked": False, "ad_use_sampler": True,
     "ad_sampler": "Heun"},
]  # fmt: skip


def test_an_infotext_is_drawn_again(running, seen) -> None:
    """`infotext` alone: the same picture, areas and all, and nothing to tell; units that are sent stay."""
    answer = detailed(running, *UNITS)
    (drawn,), (text,) = pictures(answer), info(answer)["infotexts"]
    fields = {name: None for name in QUICK}
    again = running.draw(**fields, infotext=text)
    assert pictures(again)[0].tobytes() == drawn.tobytes()
    assert info(again)["comments"] == []
    (own,) = info(running.draw(infotext=text, alwayson_scripts={"ADetailer": {"args": [FACE]}}))["infotexts"]
    assert "ADetailer prompt" not in own


def test_what_an_infotext_says_of_units(running, seen) -> None:
    """The page is told the units as arguments: what is not said is left to their defaults."""
    (text,) = info(detailed(running, *UNITS))["infotexts"]
    with running.ask() as client:
        found = client.post("/studio/parameters", json={"text": text}).json()
    assert found["request"]["alwayson_scripts"]["ADetailer"]["args"] == [
        {**unit, "ad_confidence": unit.get("ad_confidence", 0.3),
         "ad_inpaint_only_masked": unit.get("ad_inpaint_only_masked", True), **more}
        for unit, more in zip(UNITS, (
            {"ad_inpaint_only_masked_padding": 32, "ad_mask_filter_method": "Area"}, {}
        ), strict=True)
    ]  # fmt: skip
    assert found["notes"] == []


@pytest.mark.parametrize(
    ("said", "note"),
    [("ADetailer model: face_yolov8n.pt, ADetailer confidence: much", "ADetailer confidence"),
     ("ADetailer prompt: a face", "ADetailer prompt"),
     ("ADetailer model: face_yolov8n.pt, ADetailer colour: 3", "ADetailer colour")],
)  # fmt: skip
def test_what_is_no_unit_is_told(running, said: str, note: str) -> None:
    """A number that is none, a unit without a detector, a name that nobody knows."""
    with running.ask() as client:
        asked = {"text": f"x\nSteps: 2, Sampler: Euler, Seed: 1, {said}"}
        found = client.post("/studio/parameters", json=asked).json()
    assert any(note in words for words in found["notes"])


def test_it_is_inpainting_with_the_next_seeds(running, seen, ada) -> None:
    """The same as to inpaint each area by hand: seed + n for area n, only masked, at the picture's size."""
    (image,) = pictures(running.draw())
    for number, area in enumerate(seen):
        mask = Image.new("L", image.size)
        left, top, right, bottom = map(int, area.box)
        mask.paste(255, (left, top, right + 1, bottom + 1))
        by_hand = ada.post("/sdapi/v1/img2img", json={
            "init_images": [sent(image)], "mask": sent(mask), "prompt": "a red circle on blue", "steps": 2,
            "width": 64, "height": 64, "seed": 7 + number, "mask_blur": 0, "inpainting_fill": 1,
            "denoising_strength": 0.9, "inpaint_full_res": True, "inpaint_full_res_padding": 32,
        })  # fmt: skip
        (image,) = pictures(by_hand)
    assert pictures(detailed(running, FACE))[0].tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("unit", "area"),
    [
        ({"ad_confidence": 0.7}, LEFT),
        ({"ad_mask_k": 1}, RIGHT),
        ({"ad_mask_k_largest": 1}, RIGHT),
        ({"ad_mask_k": 1, "ad_mask_filter_method": "Confidence"}, LEFT),
        ({"ad_mask_max_ratio": 0.1}, LEFT),
        ({"ad_mask_min_ratio": 0.1}, RIGHT),
        ({"ad_prompt": "[SKIP][SEP]a cat"}, RIGHT),
        ({"ad_prompt": "a cat [SEP] [SKIP]"}, LEFT),
        ({"ad_mask_k": 1, "ad_x_offset": -30, "ad_y_offset": 20}, FaceArea((6.0, 10.0, 30.0, 36.0), 1)),
        ({"ad_mask_k": 1, "ad_dilate_erode": 4}, FaceArea((35.0, 29.0, 62.0, 58.0), 1)),
    ],
)  # fmt: skip
def test_which_areas(running, seen, unit, area) -> None:
    """By confidence, number, size and [SKIP]; moved and grown."""
    (plain,) = pictures(running.draw())
    (drawn,) = pictures(detailed(running, {**FACE, **unit}))
    assert within(changed(plain, drawn), area)


def test_prompts_by_area_and_order(running, seen) -> None:
    """Each area has its own words, in the order that is asked for; the last words serve the rest; [PROMPT]
    is the picture's."""
    close = {**FACE, "ad_inpaint_only_masked_padding": 0}  # so that no area is seen in another's surroundings
    (first,) = pictures(detailed(running, {**close, "ad_prompt": "a green circle [SEP] a yellow circle"}))
    (second,) = pictures(detailed(running, {**close, "ad_prompt": "a yellow circle"}))
    assert within(changed(first, second), LEFT)
    order = {"override_settings": {"ad_bbox_sortby": "Area (large to small)"}}
    (turned,) = pictures(detailed(running, {**FACE, "ad_prompt": "[SKIP] [SEP] a cat"}, **order))
    (plain,) = pictures(running.draw())
    assert within(changed(plain, turned), LEFT)
    (own,) = pictures(detailed(running, FACE))
    (named,) = pictures(detailed(running, {**FACE, "ad_prompt": "[PROMPT]"}))
    assert own.tobytes() == named.tobytes()


def test_merged_and_inverted(running, seen) -> None:
    """All areas as one, or all but them."""
    (plain,) = pictures(running.draw())
    both = {**FACE, "ad_mask_merge_invert": "Merge", "ad_prompt": "a cat [SEP] [SKIP]"}
    (merged,) = pictures(detailed(running, both))
    assert all(changed(plain.crop(one.box), merged.crop(one.box)) for one in seen)
    (inverted,) = pictures(detailed(running, {**FACE, "ad_mask_merge_invert": "Merge and Invert"}))
    for one in seen:
        assert changed(plain.crop(one.box), inverted.crop(one.box)) is None
    assert changed(plain, inverted)


def test_two_units_and_their_own_ways(running, seen) -> None:
    """Each unit looks at what the one before made; its own steps, size, sampler and checkpoint count."""
    left, right = {**FACE, "ad_confidence": 0.7}, {**FACE, "ad_mask_k": 1}
    (one,) = pictures(detailed(running, left))
    answer = detailed(
        running, left, {**right, "ad_model": "face_yolov8n.pt"}, {"ad_model": "hand_yolov8n.pt"}
    )
    (two,) = pictures(answer)
    assert within(changed(one, two), RIGHT)
    said = info(answer)
    assert "ADetailer model 2nd: face_yolov8n.pt" in said["infotexts"][0]
    assert "hand" not in said["infotexts"][0]
    assert said["comments"] == [
        "ADetailer: faces were found by RetinaFace and not by face_yolov8n.pt, which is not read here.",
        "ADetailer was not followed: there is no detector file hand_yolov8n.pt here.",
    ]
    for own in (
        {"ad_use_steps": True, "ad_steps": 4}, {"ad_use_cfg_scale": True, "ad_cfg_scale": 1},
        {"ad_use_inpaint_width_height": True, "ad_inpaint_width": 128, "ad_inpaint_height": 128},
        {"ad_use_sampler": True, "ad_sampler": "Heun"}, {"ad_negative_prompt": "green"},
        {"ad_inpaint_only_masked": False}, {"ad_use_noise_multiplier": True, "ad_noise_multiplier": 1.4},
    ):  # fmt: skip
        (drawn,) = pictures(detailed(running, {**left, **own}))
        assert within(changed(one, drawn), LEFT), own
    same = {
        "ad_use_checkpoint": True,
        "ad_checkpoint": "second",
        "ad_use_vae": True,
        "ad_vae": "Use same VAE",
    }
    answer = detailed(running, {**left, **same})
    assert pictures(answer)[0].tobytes() == one.tobytes()
    assert "ADetailer checkpoint: second" in info(answer)["infotexts"][0]


def test_batches_grids_and_plots(running, seen) -> None:
    """Every picture of a batch, with its own seed; grids and plots are made of finished pictures."""
    answer = detailed(running, FACE, batch_size=2, save_images=True)
    grid, first, second = pictures(answer)
    assert info(answer)["all_seeds"] == [7, 8]
    assert first.tobytes() == pictures(detailed(running, FACE))[0].tobytes()
    assert second.tobytes() == pictures(detailed(running, FACE, seed=8))[0].tobytes()
    assert grid.crop((0, 0, 64, 64)).tobytes() in {first.tobytes(), second.tobytes()}
    assert len(info(answer)["infotexts"]) == 3
    plot = {"script_name": "X/Y/Z plot", "script_args": [1, "7,8", "", 0, "", "", 0, "", "", False, True]}
    _, *cells = pictures(detailed(running, FACE, **plot))
    assert [one.tobytes() for one in cells[:2]] == [first.tobytes(), second.tobytes()]


def test_img2img(running, seen, ada) -> None:
    """Areas beside the mask are left; with "skip img2img" what was sent is drawn over in these areas only."""
    mask = Image.new("L", (64, 64))
    mask.paste(255, (40, 40, 50, 50))
    asked = {"init_images": [sent(PICTURE)], "prompt": "a red circle", "steps": 2, "seed": 7}

    def draw(skip: bool, **fields: Any) -> Image.Image:
        scripts = {"ADetailer": {"args": [True, skip, FACE]}}
        answer = ada.post("/sdapi/v1/img2img", json={**asked, **fields, "alwayson_scripts": scripts})
        (found,) = pictures(answer)
        return found

    only = draw(True)
    different = np.abs(pixels(PICTURE) - pixels(only)).max(axis=-1) > 0
    assert different[8:25, 6:23].any()
    assert different[30:57, 36:61].any()
    assert not different[:8].any()
    assert "Steps: 2, Sampler: Euler a" in only.info["parameters"]
    masked = {"mask": sent(mask), "inpaint_full_res": False, "mask_blur": 0}
    assert within(changed(PICTURE, draw(True, **masked)), RIGHT)


def test_a_detector_of_weights_finds_its_face(running, detector) -> None:
    """Nothing injected: the network says where, and the picture is drawn over there."""
    (plain,) = pictures(running.draw())
    answer = detailed(running, {**FACE, "ad_model": "mediapipe_face_full"})
    assert changed(plain, pictures(answer)[0])
    assert "found by RetinaFace and not by mediapipe_face_full" in info(answer)["comments"][0]


def test_it_is_listed_where_the_detector_is(running, detector, ada) -> None:
    """Clients that look for it before they send units find it."""
    names = ada.get("/sdapi/v1/scripts").json()
    assert "adetailer" in names["txt2img"]
    assert "adetailer" in names["img2img"]


def test_nothing_found_and_what_cannot_be(running, seen) -> None:
    """Told where nothing was found; refused before anything is drawn where a unit cannot be followed."""
    seen.clear()
    answer = detailed(running, FACE)
    assert info(answer)["comments"] == ["ADetailer: unit 1 found nothing to draw over."]
    assert pictures(answer)[0].tobytes() == pictures(running.draw())[0].tobytes()
    for wrong in (
        {"ad_confidence": 2}, {"ad_mask_merge_invert": "x"}, {"ad_use_sampler": True, "ad_sampler": "x"},
        {"ad_use_checkpoint": True, "ad_checkpoint": "nothing"}, {"ad_use_steps": True, "ad_steps": 1000},
        {"ad_controlnet_model": "nothing"},
    ):  # fmt: skip
        answer = detailed(running, {**FACE, **wrong})
        assert answer.status_code in (400, 404, 422), (wrong, answer.text)


def test_an_asynchronous_request_keeps_finished_pictures(running, seen, ada) -> None:
    """A ticket's pictures are the finished ones, each once, as a waiting client gets them."""
    body = {
        "prompt": "a red circle on blue", "steps": 2, "width": 64, "height": 64, "seed": 7, "batch_size": 2,
        "do_not_save_grid": True,
        "alwayson_scripts": {"ADetailer": {"args": [FACE]}},
    }  # fmt: skip
    waited = pictures(ada.post("/sdapi/v1/txt2img", json=body))
    ticket = ada.post("/sdapi/v1/txt2img", json=body, headers={"Prefer": "respond-async"}).json()
    end = time.monotonic() + 100
    while (now := ada.get(f"/jobs/{ticket['id']}").json())["state"] not in ("done", "failed", "cancelled"):
        assert time.monotonic() < end, now
        time.sleep(0.05)
    answer = ada.get(f"/jobs/{ticket['id']}/result")
    assert answer.status_code == 200, (now, answer.text)
    assert len(pictures(answer)) == len(waited)
    for one, other in zip(pictures(answer), waited, strict=True):
        # beside others sums are taken in another order: docs/decisions/0006
        assert np.abs(pixels(one) - pixels(other)).max() <= 3


class Shelf:
    """A keeper that dies after one picture, and lives again."""

    def __init__(self) -> None:
        self.files: dict[int, PictureFile] = {}

    def missing(self, first: int, request: TextToImage) -> tuple[int, ...] | None:
        return tuple(one for one in range(request.pictures) if first + one not in self.files)

    def watcher(self, first: int, file_of: FileOf) -> None:
        """Nobody."""

    def keep(self, number: int, file: PictureFile) -> None:
        self.files[number] = file

    def kept(self, number: int) -> tuple[Image.Image, str]:
        return Image.open(io.BytesIO(self.files[number].content)).convert("RGB"), "as it was"


def test_what_is_kept_is_finished_and_not_touched_again(running, seen) -> None:
    """After a death those that were finished are the same, and the others are drawn as they would have been:
    a picture that is drawn and not finished is kept by nobody."""
    shelf = Shelf()

    def draw() -> DrawnRequest:
        asked = TextToImageRequest(**QUICK, batch_size=2, alwayson_scripts={"ADetailer": {"args": [FACE]}})
        ordering, line = Ordering(running.studio, "ada"), Unattended()
        run = RequestRun(running.studio, ordering, line, shelf)
        return asyncio.run(drawn_for(running.studio, "ada", asked, ordering, run, line))

    first = [one.image for one in draw().result.drawn]
    assert sorted(shelf.files) == [0, 1]
    assert shelf.kept(1)[0].tobytes() == first[1].tobytes()
    assert b"ADetailer model" in shelf.files[1].content
    del shelf.files[1]
    again = draw()
    assert list(again.first.job.wanted) == [1]
    one, other = again.result.drawn
    assert (one.text, one.image.tobytes()) == ("as it was", first[0].tobytes())
    assert np.abs(pixels(other.image) - pixels(first[1])).max() <= 3
    assert sorted(shelf.files) == [0, 1]

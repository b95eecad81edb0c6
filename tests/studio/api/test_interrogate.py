"""`POST /sdapi/v1/interrogate` over HTTP: a job of the caller's, by their options, refused in words."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from easel.studio.engine import EngineObserver, TimedCall
from easel.studio.png import encode
from tests.studio import interrogators

ROUTE, OPTIONS = "/sdapi/v1/interrogate", "/sdapi/v1/options"
NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8))
PICTURE = base64.b64encode(encode(NOISE)).decode()


@pytest.mark.parametrize(
    ("sent", "status", "word"),
    [
        ({}, 404, "Image not found"),
        ({"image": None}, 404, "Image not found"),
        ({"image": PICTURE, "model": "astrology"}, 404, "Model not found"),
        ({"image": "bm8="}, 422, "image is not a picture"),
        ({"image": "http://127.0.0.1/a.png"}, 422, "image"),
        ({"image": PICTURE}, 422, "models/ControlNetPreprocessor: this one needs model_base_caption_capfilt"),
        ({"image": PICTURE, "model": "deepdanbooru"}, 422, "convert model-resnet_custom_v3.pt"),
    ],
)
def test_what_cannot_be_is_said(ada, sent: dict[str, str], status: int, word: str) -> None:
    """A1111's own refusals come first; without the file the answer says which, where and how."""
    answer = ada.post(ROUTE, json=sent)
    assert answer.status_code == status, answer.text[:300]
    assert set(answer.json()) == {"error", "detail", "body", "errors"}
    assert word in answer.json()["errors"]


def test_sentences_and_tags(running, interrogator_files) -> None:
    """A sentence as long as the caller's options say, tags by them, and nobody else's; each turn of it is a
    call of the device that is counted."""
    heard: list[TimedCall] = []

    class Ear(EngineObserver):
        def called(self, call: TimedCall) -> None:
            heard.append(call)

    running.studio.engine.observe(Ear())
    with running.ask("eve") as eve, running.ask("bob") as bob:

        def words(**sent: str) -> str:
            return str(eve.post(ROUTE, json={"image": PICTURE, **sent}).json()["caption"])

        def choose(**options: object) -> None:
            assert eve.post(OPTIONS, json=options).status_code == 200

        long = words()
        assert 20 <= len(heard) <= 50
        assert {call.kind for call in heard} == {"interrogator"}
        choose(interrogate_clip_min_length=1, interrogate_clip_max_length=8)
        short = words(image=f"data:image/png;base64,{PICTURE}", model="BLIP")
        assert 0 < len(short.split()) <= 4 < len(long.split())
        choose(interrogate_deepbooru_score_threshold=0, deepbooru_use_spaces=False)
        assert words(model="deepdanbooru") == r"1girl, long_hair, smile_\(happy\), tree"
        choose(interrogate_return_ranks=True, deepbooru_filter_tags="tree, 1girl")
        assert re.fullmatch(r"\(long_hair:[01].\d{3}\), \(smile_.*\)", words(model="deepdanbooru"))
        of_bob = bob.post(ROUTE, json={"image": PICTURE, "model": "deepbooru"}).json()["caption"]
        assert "tree" in of_bob
        assert ":" not in of_bob
        choose(interrogate_clip_num_beams=99)
        refused = eve.post(ROUTE, json={"image": PICTURE})
        assert (refused.status_code, "1 to 16" in refused.text) == (422, True)


def test_words_of_lists_come_behind_the_sentence(running, interrogator_files) -> None:
    """With CLIP and lists beside the models: the best of each, by the caller's options; what cannot be read
    is said. Without them the sentence alone."""
    store = running.studio.engine.store
    lists = store.root / "interrogate"
    with running.ask("frank") as frank:

        def words() -> str:
            return str(frank.post(ROUTE, json={"image": PICTURE}).json()["caption"])

        sentence = words()
        lists.mkdir()
        (lists / "mediums.txt").write_text("a photo\n")
        found = frank.post(ROUTE, json={"image": PICTURE}).json()
        assert found["caption"] == sentence
        assert "CLIP's ViT-L/14, of openai/clip-vit-large-patch14" in found["comments"][0]
        assert found["remarks"][0]["code"] == "lists_unread"
        file = interrogators.write_clip(store.root)
        (lists / "artists.txt").write_text("by somebody\nby nobody\n")
        store.refresh()
        try:
            both = words()
            assert both in {f"{sentence}, by {one}, a photo" for one in ("somebody", "nobody")}
            chosen = {"interrogate_clip_skip_categories": ["artists"], "interrogate_return_ranks": True}
            assert frank.post(OPTIONS, json=chosen).status_code == 200
            assert words() == f"{sentence}, (a photo:1.000)"
            (lists / "mediums.txt").write_bytes(b"\xff")
            refused = frank.post(ROUTE, json={"image": PICTURE})
            assert (refused.status_code, "mediums.txt" in refused.text) == (422, True)
            frank.post(OPTIONS, json={"interrogate_clip_skip_categories": "artists"})
            assert frank.post(ROUTE, json={"image": PICTURE}).status_code == 422
        finally:
            shutil.rmtree(lists)
            shutil.rmtree(file.parent)
            store.refresh()


def test_an_interrupt_ends_it(running, interrogator_files) -> None:
    """Between two words: the answer comes at once, and is empty."""
    with running.ask("mallory") as client, ThreadPoolExecutor(1) as crew:
        client.post(OPTIONS, json={"interrogate_clip_num_beams": 16, "interrogate_clip_min_length": 60,
                                   "interrogate_clip_max_length": 60})  # fmt: skip
        answer = crew.submit(client.post, ROUTE, json={"image": PICTURE})
        until = time.monotonic() + 60
        while not any(job.progress().fraction for job in running.studio.engine.jobs("mallory")):
            assert time.monotonic() < until, "it does not begin"
            time.sleep(0.01)
        with running.ask("mallory") as another:
            another.post("/sdapi/v1/interrupt")
        assert answer.result(60).json() == {"caption": ""}
        assert running.studio.engine.jobs("mallory") == []


def test_loopback_appends_what_it_sees(ada, interrogator_files) -> None:
    """A1111's script argument: behind the prompt come the words for what each picture is drawn over."""
    body = {
        "init_images": [PICTURE], "prompt": "a red circle", "steps": 1, "width": 64, "height": 64, "seed": 3,
        "script_name": "Loopback", "script_args": [2, 0.5, "Linear", "DeepBooru"],
        "override_settings": {"interrogate_deepbooru_score_threshold": 0, "deepbooru_filter_tags": "tree"},
    }  # fmt: skip
    answer = ada.post("/sdapi/v1/img2img", json=body)
    assert answer.status_code == 200, answer.text[:300]
    words = r"a red circle, 1girl, long hair, smile \(happy\)"
    assert json.loads(answer.json()["info"])["all_prompts"] == [words, words]
    body["script_args"] = [2, 0.5, "Linear", "Astrology"]
    assert "None, CLIP, DeepBooru" in ada.post("/sdapi/v1/img2img", json=body).json()["errors"]

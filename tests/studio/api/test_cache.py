"""`cache` of a request: what the engine is given, what the infotext says, and what is refused."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.studio.api.answers import info, pictures, sent


def test_deep(running, ada) -> None:
    """Another picture than without, which its infotext draws again; without, it says nothing of it."""
    plain, cached = running.draw(steps=4), running.draw(steps=4, cache="deep")
    assert pictures(plain)[0].tobytes() != pictures(cached)[0].tobytes()
    assert "Cache" not in info(plain)["infotexts"][0]
    text = info(cached)["infotexts"][0]
    assert ", Cache: deep, " in text
    again = ada.post("/sdapi/v1/txt2img", json={"infotext": text})
    assert pictures(again)[0].tobytes() == pictures(cached)[0].tobytes()


@pytest.mark.parametrize("route", ["txt2img", "img2img"])
def test_another_word(ada, route: str) -> None:
    """There is one cache; what else is asked for is refused by the field's name."""
    body = {"cache": "shallow", "init_images": [sent(Image.new("RGB", (64, 64)))]}
    answer = ada.post(f"/sdapi/v1/{route}", json=body)
    assert answer.status_code == 422
    assert "cache" in answer.text

"""A1111's script "img2img alternative test": the noise that leads to a picture is found, and drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.studio.api.answers import info, pictures, sent

SCRIPT, SAID = "img2img alternative test", "a circle"
WHOLE = {
    "prompt": SAID, "sampler_name": "Euler", "steps": 40, "cfg_scale": 1, "denoising_strength": 1, "seed": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def source(running) -> Image.Image:
    """What the starter drew, of a colour that the words of the tests leave open."""
    drawn = running.draw(prompt="a red circle on blue", steps=20, width=128, height=128, seed=11)
    (picture,) = pictures(drawn)
    return picture


def apart(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one.convert("RGB"), int) - np.asarray(other.convert("RGB"), int)).mean())


def drawn(ada, source: Image.Image, *arguments: Any, **fields: Any) -> Any:
    body = {"init_images": [sent(source)], **WHOLE, **fields, "script_name": SCRIPT, "script_args": arguments}
    return ada.post("/sdapi/v1/img2img", json=body)


@pytest.mark.slow
@pytest.mark.parametrize("adjusted", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_noise_leads_to_the_picture(ada, source, adjusted) -> None:
    """All of it drawn anew by the same words is the same picture; by a seed's noise it is another."""
    (found,) = pictures(drawn(ada, source, SAID, "", 1.0, 40, 0.0, adjusted))
    plain = ada.post("/sdapi/v1/img2img", json={"init_images": [sent(source)], **WHOLE})
    far = apart(pictures(plain)[0], source)
    assert apart(found, source) < 6 < 40 < far
    (other_seed,) = pictures(drawn(ada, source, SAID, "", 1.0, 40, 0.0, adjusted, seed=6))
    assert other_seed.tobytes() == found.tobytes()


@pytest.mark.slow
def test_other_words_and_randomness(ada, source) -> None:
    """Drawn from that noise by other words it is another picture; randomness is the next seed's noise, and
    nothing of the picture's own is left in it."""
    (same,) = pictures(drawn(ada, source, SAID, "", 1.0, 40))
    (green,) = pictures(drawn(ada, source, SAID, "", 1.0, 40, prompt="a green circle on blue"))
    assert apart(green, same) > 1
    (random,) = pictures(drawn(ada, source, SAID, "", 1.0, 40, 1.0))
    assert apart(random, source) > apart(same, source)
    from_noise = {**WHOLE, "seed": 6, "width": 128, "height": 128}
    (next_seed,) = pictures(ada.post("/sdapi/v1/txt2img", json=from_noise))
    assert apart(random, next_seed) < 1


def test_arguments_and_infotext(ada, source) -> None:
    """Order and defaults are A1111's; the infotext has its words; one picture for each batch."""
    (script,) = [one for one in ada.get("/sdapi/v1/script-info").json() if one["name"] == SCRIPT]
    assert [(one["label"], one["value"]) for one in script["args"]] == [
        ("Original prompt", ""), ("Original negative prompt", ""), ("Decode CFG scale", 1.0),
        ("Decode steps", 50), ("Randomness", 0.0), ("Sigma adjustment for finding noise for image", False),
    ]  # fmt: skip
    answer = drawn(ada, source, SAID, "blurry", 2, 3, 0.1, True, steps=2, batch_size=3)
    (text,) = info(answer)["infotexts"]
    assert (
        f"Decode prompt: {SAID}, Decode negative prompt: blurry, Decode CFG scale: 2, Decode steps: 3, "
        "Randomness: 0.1, Sigma Adjustment: True" in text
    )
    assert drawn(ada, source, SAID, "", 1.0, 1000).status_code == 422

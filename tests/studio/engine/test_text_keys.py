"""Keys and values of texts are computed once while the texts stay, and no bit of a picture tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from easel.studio.engine import Engine, HiresFix, Refiner, SamplerSettings, shared_call
from easel.studio.engine import loop as loop_module
from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.control_models.image_prompt_file import cross_attentions
from easel.studio.engine.picture import Picture
from easel.studio.engine.serving import Serving
from easel.studio.engine.text_keys import TextKeys
from tests.studio.engine.test_engine import SMALL, TOLERANCE, WAIT, draw, pixels

PLAIN = replace(SMALL, negative_prompt="a dog", exact=True)
SETTINGS = SamplerSettings(skip_early_cond=0.5)
ASKED = {
    "plain": PLAIN,
    "edited": replace(PLAIN, prompt="a [red:green:0.5] circle"),
    "alternating": replace(PLAIN, prompt="a [red|green] circle"),
    "joined": replace(PLAIN, prompt="a red circle AND a (blue:1.3) square :0.6"),
    "lora": replace(PLAIN, prompt="a red circle <lora:one:1:stop=3> <lora:two:0.5>"),
    "hires": replace(PLAIN, hires=HiresFix(scale=1.5, denoising_strength=0.6)),
    "refined": replace(PLAIN, refiner=Refiner(checkpoint="second", switch_at=0.5)),
    "early": replace(PLAIN, sampling=SETTINGS),
}
# How often each layer reads texts in four steps: once, and once more where something changes. In A1111 the
# first text of an alternation stands for two calls.
READ = {"plain": 1, "edited": 2, "alternating": 3, "joined": 1, "lora": 2, "early": 2}


def serving_of(engine: Engine) -> Serving:
    """The checkpoint that it draws with."""
    found, real = [], loop_module.answer_together

    def seen(serving: Serving, pictures: Sequence[Picture]) -> list[tuple[Picture, torch.Tensor]]:
        found.append(serving)
        return real(serving, pictures)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop_module, "answer_together", seen)
        draw(engine, SMALL)
    return found[0]


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.slow] * (one == "refined")) for one in ASKED]
)
def test_the_same_bits_as_computed_in_each_call(
    drawing: Engine, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever changes what is attended to, or what attends: another text, another LoRA, another checkpoint,
    another size, no negative prompt."""
    kept = pixels(draw(drawing, ASKED[name])[0])
    monkeypatch.setattr(TextKeys, "read", lambda *_: None)
    assert np.array_equal(pixels(draw(drawing, ASKED[name])[0]), kept)


@pytest.mark.parametrize("name", READ)
def test_each_layer_reads_a_text_once(drawing: Engine, name: str) -> None:
    """And once more where the text or the LoRAs change; nothing is left when the picture is there."""
    serving = serving_of(drawing)
    reads: Counter[str] = Counter()
    hooks = [
        layer.register_forward_hook(lambda *_, place=place: reads.update([place]))
        for place, attention in cross_attentions(serving.checkpoint.backbone)
        for layer in (attention.to_k, attention.to_v)
    ]
    try:
        draw(drawing, ASKED[name])
    finally:
        for hook in hooks:
            hook.remove()
    assert set(reads.values()) == {2 * READ[name]}
    assert serving.text_keys.nbytes == 0


def test_what_is_kept_has_a_bound(drawing: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past it pictures are drawn as ever: in company of those whose texts are kept too."""
    serving = serving_of(drawing)
    keys, held = serving.text_keys, []
    alone = [pixels(draw(drawing, replace(SMALL, seed=seed))[0]) for seed in range(4)]
    one = 2 * 77 * keys._numbers * 4
    monkeypatch.setattr(keys, "_budget", 2 * one)
    real = shared_call.call_unet

    def watched(unet: object, calls: list[BackboneCall], *more: Any) -> list[torch.Tensor]:
        held.append(keys.nbytes)
        return real(unet, calls, *more)

    monkeypatch.setattr(shared_call, "call_unet", watched)
    jobs = [drawing.submit(f"p{seed}", replace(SMALL, seed=seed)) for seed in range(4)]
    for before, job in zip(alone, jobs, strict=True):
        assert np.abs(pixels(job.result(WAIT)[0]) - before).max() <= TOLERANCE
    assert max(held) == 2 * one


def test_it_goes_before_a_picture_fails_for_want_of_memory(
    drawing: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that finds no memory is made again without, and nothing is kept from then on."""
    failed, real = [], loop_module.answer_together

    def full(serving: Serving, pictures: Sequence[Picture]) -> list[tuple[Picture, torch.Tensor]]:
        answers = real(serving, pictures)
        if serving.text_keys.nbytes:
            failed.append(len(pictures))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return answers

    (before,) = draw(drawing, PLAIN)
    monkeypatch.setattr(loop_module, "answer_together", full)
    (found,) = draw(drawing, PLAIN)
    assert failed == [1]
    assert np.array_equal(pixels(found), pixels(before))

"""What the loop draws against diffusers' pipelines, from the seed to the latents that are decoded: from
words, over a picture, within a mask, and beside a picture that the model looks at."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import diffusers
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from easel.models import Architecture
from easel.studio.engine import TextToImage
from easel.studio.engine.calls.device_calls import BackboneCall, VaeCall
from easel.studio.engine.imaging import MaskedContent
from easel.studio.engine.latents.latent_spaces import latent_space
from easel.studio.engine.requests.image_to_image import ImageToImage, Mask
from easel.studio.engine.texts.conditioning_schedule import Guidance
from easel.studio.engine.transformers.patches import unpacked
from tests.studio.engine.test_flows_draw import ASKED, MASK, PICTURE, Drawing, file

A = Architecture
STEPS, SEED, CFG = 4, 7, 3.0
SOURCE, MASKED = file(PICTURE), file(MASK)
# A1111 draws one step more than the strength says, diffusers as many.
STRENGTH, THEIR_STRENGTH = 0.5, 0.75
WAYS = {
    "words": None,
    "over": ImageToImage(images=(SOURCE,), denoising_strength=STRENGTH),
    "masked": ImageToImage(
        images=(SOURCE,),
        denoising_strength=STRENGTH,
        mask=Mask(image=MASKED, blur_x=0, blur_y=0, only_masked=False, content=MaskedContent.ORIGINAL),
    ),
    "beside": ImageToImage(images=(SOURCE,), denoising_strength=1.0),
}
_SD3 = {"words": "StableDiffusion3Pipeline", "over": "StableDiffusion3Img2ImgPipeline",
        "masked": "StableDiffusion3InpaintPipeline"}  # fmt: skip
_FLUX = {"words": "FluxPipeline", "over": "FluxImg2ImgPipeline", "masked": "FluxInpaintPipeline"}
_Z_IMAGE = {"words": "ZImagePipeline", "over": "ZImageImg2ImgPipeline", "masked": "ZImageInpaintPipeline"}
PIPELINES: dict[Architecture, dict[str, str]] = {
    A.SD3: _SD3,
    A.SD35_MEDIUM: _SD3,
    A.SD35_LARGE: _SD3,
    A.FLUX_DEV: _FLUX,
    A.FLUX_SCHNELL: _FLUX,
    A.FLUX_KONTEXT: {"beside": "FluxKontextPipeline"},
    # diffusers 0.42's own for a mask asks the transformer for guidance, which it has not
    A.CHROMA: {"words": "ChromaPipeline", "over": "ChromaImg2ImgPipeline"},
    A.Z_IMAGE: _Z_IMAGE,
    A.Z_IMAGE_TURBO: _Z_IMAGE,
    A.FLUX2_KLEIN_4B: {"words": "Flux2KleinPipeline"},
    A.FLUX2_KLEIN_9B: {"words": "Flux2KleinPipeline"},
    A.QWEN_IMAGE: {"words": "QwenImagePipeline", "over": "QwenImageImg2ImgPipeline",
                   "masked": "QwenImageInpaintPipeline"},
}  # fmt: skip
_EVERY_DAY = {A.FLUX_DEV}
CASES = [
    pytest.param(kind, way, marks=[] if kind in _EVERY_DAY else [pytest.mark.slow], id=f"{kind.value}-{way}")
    for kind, ways in PIPELINES.items()
    for way in ways
]


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Architecture], Drawing]:
    """A loop for each family, made when it is asked for."""
    made: dict[Architecture, Drawing] = {}

    def one(architecture: Architecture) -> Drawing:
        if architecture not in made:
            made[architecture] = Drawing(architecture, tmp_path_factory.mktemp("pipelines"))
        return made[architecture]

    return one


def walked(drawing: Drawing, request: TextToImage) -> tuple[Guidance, torch.Tensor]:
    """What the picture attends to, and the latents that it ends in."""
    picture = drawing.picture(request)
    drawing.loop.begin(picture)
    guidance, latents = None, None
    while picture.image is None:
        call = picture.call
        if isinstance(call, BackboneCall):
            guidance = guidance or call.guidance
        if isinstance(call, VaeCall) and call.way == "decode":
            latents = call.given
        drawing.loop.turn()
    drawing.loop.drop(picture)
    assert guidance is not None
    assert latents is not None
    return guidance, latents


def pipeline(drawing: Drawing, name: str, patch: pytest.MonkeyPatch) -> Any:
    """diffusers' own, of the loop's modules; without text encoders, for texts are given. Of the VAE's answer
    it takes the middle, as A1111 does."""
    kind, loaded = getattr(diffusers, name), drawing.loop.at_hand.checkpoint
    assert loaded is not None
    parts = {
        "scheduler": FlowMatchEulerDiscreteScheduler.from_config(dict(drawing.family.scheduler_config)),
        "vae": loaded.vae,
        "transformer": loaded.backbone,
    }
    wanted = inspect.signature(kind.__init__).parameters
    parts |= {
        one: None
        for one, said in wanted.items()
        if one != "self" and one not in parts and said.default is inspect.Parameter.empty
    }
    if "is_distilled" in wanted:
        parts["is_distilled"] = True
    module = sys.modules[kind.__module__]
    if hasattr(module, "retrieve_latents"):
        patch.setattr(module, "retrieve_latents", lambda found, *_, **__: found.latent_dist.mode())
    found = kind(**parts)
    if (
        name == "ChromaImg2ImgPipeline"
    ):  # of the mask it makes numbers that are added, unlike the one for text
        mask = found._prepare_attention_mask
        patch.setattr(found, "_prepare_attention_mask", lambda **given: mask(**given).bool())
    found.set_progress_bar_config(disable=True)
    return found


def told(family: str, guidance: Guidance) -> dict[str, Any]:
    """Texts and guidance, as the family's pipelines take them."""
    rows, mask, pooled = guidance.tokens, guidance.mask, guidance.pooled
    if family == "z-image":
        texts = [row if mask is None else row[mask[number]] for number, row in enumerate(rows)]
        if len(texts) == 1:
            return {"prompt_embeds": texts, "guidance_scale": 0.0}
        return {"prompt_embeds": texts[1:], "negative_prompt_embeds": texts[:1], "guidance_scale": CFG - 1}
    if family == "flux2":
        return {"prompt_embeds": rows}
    if family == "flux":
        return {"prompt_embeds": rows, "pooled_prompt_embeds": pooled, "guidance_scale": 2.0}
    found = {"prompt_embeds": rows[1:], "negative_prompt_embeds": rows[:1]}
    if family == "sd3":
        assert pooled is not None
        return found | {"pooled_prompt_embeds": pooled[1:], "negative_pooled_prompt_embeds": pooled[:1],
                        "guidance_scale": CFG}  # fmt: skip
    every = torch.ones(rows.shape[:2], dtype=torch.bool) if mask is None else mask
    ends = "prompt_attention_mask" if family == "chroma" else "prompt_embeds_mask"
    scale = "guidance_scale" if family == "chroma" else "true_cfg_scale"
    kind = torch.bool if family == "chroma" else torch.long
    return found | {ends: every[1:].to(kind), f"negative_{ends}": every[:1].to(kind), scale: CFG}


@pytest.mark.parametrize(("architecture", "way"), CASES)
def test_the_loop_ends_where_the_pipeline_does(
    drawings: Callable[[Architecture], Drawing],
    architecture: Architecture,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """By the same seed, texts, steps and guidance."""
    drawing, family = drawings(architecture), architecture.family
    guided = family not in ("flux", "flux2") and architecture is not A.Z_IMAGE_TURBO
    guidance, ours = walked(
        drawing, replace(ASKED, steps=STEPS, seed=SEED, cfg_scale=CFG if guided else 1.0,
                         distilled_guidance=2.0, source=WAYS[way], exact=True)
    )  # fmt: skip
    pipe = pipeline(drawing, PIPELINES[architecture][way], monkeypatch)
    asked = told(family, guidance)
    if way != "words":
        asked["image"] = PICTURE
    if way in ("over", "masked"):
        asked["strength"] = THEIR_STRENGTH
    if way == "masked":
        asked["mask_image"] = MASK
    if way == "beside":
        asked |= {"max_area": 64 * 64, "_auto_resize": False}
    with torch.inference_mode():
        theirs = pipe(
            **asked, height=64, width=64, num_inference_steps=STEPS, output_type="latent",
            generator=torch.Generator().manual_seed(SEED),
        ).images  # fmt: skip
    if family == "flux2":  # as its VAE takes them
        ours = latent_space(pipe.vae).unscaled(pipe.vae, ours)
    elif theirs.dim() == 3:
        theirs = unpacked(theirs, *ours.shape[-2:])
    assert theirs.shape == ours.shape
    assert float((theirs - ours).abs().max()) < 1e-4 * float(theirs.abs().max().clamp(min=1))


def test_what_is_compared_depends_on_all(drawings: Callable[[Architecture], Drawing]) -> None:
    """Each of the ways ends elsewhere, so that no two of them can be mixed up."""
    drawing = drawings(A.FLUX_DEV)
    found = [
        walked(drawing, replace(ASKED, steps=STEPS, seed=SEED, cfg_scale=1.0, source=WAYS[way]))[1]
        for way in ("words", "over", "masked")
    ]
    assert all(float((one - other).abs().max()) > 0.05 for one, other in pairwise(found))

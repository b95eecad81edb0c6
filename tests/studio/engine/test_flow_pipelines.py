"""What the loop draws against diffusers' pipelines, from the seed to the latents that are decoded: from
words, over a picture, within a mask, and beside pictures that the model looks at."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from typing import Any

import diffusers
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.configuration_utils import FrozenDict
from PIL import Image

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
STEPS, SEED, CFG, TOLD = 4, 7, 3.0, 2.0
NEAR = 1e-4
"""Of the largest number: so near are two who did the same."""
SOURCE, MASKED = file(PICTURE), file(MASK)
# A1111 draws one step more than the strength says, diffusers as many.
STRENGTH, THEIR_STRENGTH = 0.5, 0.75
WAYS = {
    "words": None,
    "guided": None,
    "over": ImageToImage(images=(SOURCE,), denoising_strength=STRENGTH),
    "masked": ImageToImage(
        images=(SOURCE,),
        denoising_strength=STRENGTH,
        mask=Mask(image=MASKED, blur_x=0, blur_y=0, only_masked=False, content=MaskedContent.ORIGINAL),
    ),
    "beside": ImageToImage(images=(SOURCE,), denoising_strength=1.0),
    "several": ImageToImage(images=(SOURCE,), denoising_strength=1.0),
}
"""`guided`: words away from a negative prompt, where the family draws without by itself. `several`: beside
the source and another picture."""
WHITE = Image.new("L", MASK.size, 255)
# Qwen-Image-Edit sees each at the same area; FLUX.2's pipeline wants 64 pixels at the least
OTHERS = {
    "flux2": PICTURE.rotate(90),
    "qwen-image": Image.effect_noise((96, 48), 90).convert("RGB"),
}
_SD3 = {"words": "StableDiffusion3Pipeline", "over": "StableDiffusion3Img2ImgPipeline",
        "masked": "StableDiffusion3InpaintPipeline"}  # fmt: skip
_FLUX = {"words": "FluxPipeline", "guided": "FluxPipeline", "over": "FluxImg2ImgPipeline",
         "masked": "FluxInpaintPipeline"}  # fmt: skip
_Z_IMAGE = {"words": "ZImagePipeline", "over": "ZImageImg2ImgPipeline", "masked": "ZImageInpaintPipeline"}
# the one for a mask is the only one that draws over a picture: all white, it masks nothing
_KLEIN = {"words": "Flux2KleinPipeline", "guided": "Flux2KleinPipeline", "over": "Flux2KleinInpaintPipeline",
          "masked": "Flux2KleinInpaintPipeline", "beside": "Flux2KleinPipeline",
          "several": "Flux2KleinPipeline"}  # fmt: skip
PIPELINES: dict[Architecture, dict[str, str]] = {
    A.SD3: _SD3,
    A.SD35_MEDIUM: _SD3,
    A.SD35_LARGE: _SD3,
    A.FLUX_DEV: _FLUX,
    A.FLUX_SCHNELL: _FLUX,
    A.FLUX_FILL: {"words": "FluxFillPipeline", "over": "FluxFillPipeline", "masked": "FluxInpaintPipeline"},
    A.FLUX_KONTEXT: {"words": "FluxKontextPipeline", "guided": "FluxKontextPipeline",
                     "over": "FluxKontextInpaintPipeline", "masked": "FluxKontextInpaintPipeline",
                     "beside": "FluxKontextPipeline"},
    A.CHROMA: {"words": "ChromaPipeline", "over": "ChromaImg2ImgPipeline", "masked": "ChromaInpaintPipeline"},
    A.Z_IMAGE: _Z_IMAGE,
    A.Z_IMAGE_TURBO: {**_Z_IMAGE, "guided": "ZImagePipeline"},
    # dev has no pipeline of its own over a picture
    A.FLUX2: {"words": "Flux2Pipeline", "over": "Flux2KleinInpaintPipeline",
              "masked": "Flux2KleinInpaintPipeline", "beside": "Flux2Pipeline", "several": "Flux2Pipeline"},
    A.FLUX2_KLEIN_4B: _KLEIN,
    A.FLUX2_KLEIN_9B: _KLEIN,
    A.QWEN_IMAGE: {"words": "QwenImagePipeline", "over": "QwenImageImg2ImgPipeline",
                   "masked": "QwenImageInpaintPipeline"},
    A.QWEN_IMAGE_EDIT: {"over": "QwenImageEditInpaintPipeline", "masked": "QwenImageEditInpaintPipeline",
                        "beside": "QwenImageEditPipeline", "several": "QwenImageEditPlusPipeline"},
}  # fmt: skip
_EVERY_DAY = {(A.FLUX_DEV, way) for way in _FLUX} | {(A.FLUX_FILL, "masked")}
CASES = [
    pytest.param(
        kind, way, marks=[] if (kind, way) in _EVERY_DAY else [pytest.mark.slow], id=f"{kind.value}-{way}"
    )
    for kind, ways in PIPELINES.items()
    for way in ways
]


pytestmark = pytest.mark.usefixtures("one_thread")


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


def pipeline(drawing: Drawing, name: str, way: str, patch: pytest.MonkeyPatch) -> Any:
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
        parts["is_distilled"] = way != "guided"
    module = sys.modules[kind.__module__]
    if hasattr(module, "retrieve_latents"):
        patch.setattr(module, "retrieve_latents", lambda found, *_, **__: found.latent_dist.mode())
    if hasattr(module, "calculate_dimensions"):  # of a megapixel, and of what tiny ones were trained on
        sides = module.calculate_dimensions
        patch.setattr(module, "calculate_dimensions", lambda _, shape: sides(64 * 64, shape))
    found = kind(**parts)
    _mend(found, name, patch)
    found.set_progress_bar_config(disable=True)
    return found


def _mend(pipe: Any, name: str, patch: pytest.MonkeyPatch) -> None:
    """What diffusers 0.42 has wrong in two pipelines of Chroma's: of the mask they make numbers that are
    added, unlike the one for text, and the one for a mask asks whether the transformer is told a guidance,
    which it does not say."""
    if name not in ("ChromaImg2ImgPipeline", "ChromaInpaintPipeline"):
        return
    mask, transformer = pipe._prepare_attention_mask, pipe.transformer
    patch.setattr(pipe, "_prepare_attention_mask", lambda **given: mask(**given).bool())
    _configured(transformer, patch, guidance_embeds=False)


def _configured(transformer: Any, patch: pytest.MonkeyPatch, **changes: Any) -> None:
    patch.setattr(transformer, "_internal_dict", FrozenDict({**transformer.config, **changes}))


@contextmanager
def told_more(pipe: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[None]:
    """Its transformer is given this as well."""
    hook = pipe.transformer.register_forward_pre_hook(
        lambda _, args, given: (args, given | change(given)), with_kwargs=True
    )
    yield
    hook.remove()


def told(family: str, guidance: Guidance) -> dict[str, Any]:
    """Texts and guidance, as the family's pipelines take them."""
    rows, mask, pooled = guidance.tokens, guidance.mask, guidance.pooled
    if family == "z-image":
        texts = [row if mask is None else row[mask[number]] for number, row in enumerate(rows)]
        if len(texts) == 1:
            return {"prompt_embeds": texts, "guidance_scale": 0.0}
        return {"prompt_embeds": texts[1:], "negative_prompt_embeds": texts[:1], "guidance_scale": CFG - 1}
    if family == "flux2" and len(rows) == 1:
        return {"prompt_embeds": rows, "guidance_scale": TOLD}
    if family == "flux" and len(rows) == 1:
        return {"prompt_embeds": rows, "pooled_prompt_embeds": pooled, "guidance_scale": TOLD}
    found = {"prompt_embeds": rows[1:], "negative_prompt_embeds": rows[:1]}
    if family == "flux2":
        return found | {"guidance_scale": CFG}
    if pooled is not None:
        found |= {"pooled_prompt_embeds": pooled[1:], "negative_pooled_prompt_embeds": pooled[:1]}
        return found | ({"guidance_scale": TOLD, "true_cfg_scale": CFG} if family == "flux"
                        else {"guidance_scale": CFG})  # fmt: skip
    every = torch.ones(rows.shape[:2], dtype=torch.bool) if mask is None else mask
    ends = "prompt_attention_mask" if family == "chroma" else "prompt_embeds_mask"
    scale = "guidance_scale" if family == "chroma" else "true_cfg_scale"
    kind = torch.bool if family == "chroma" else torch.long
    return found | {ends: every[1:].to(kind), f"negative_{ends}": every[:1].to(kind), scale: CFG}


def pictured(architecture: Architecture, way: str, name: str) -> dict[str, Any]:
    """Pictures, mask and strength, as the pipelines take them."""
    asked: dict[str, Any] = {}
    if way not in ("words", "guided") or architecture is A.FLUX_FILL:
        asked["image"] = PICTURE
    if way == "several":
        asked["image"] = [PICTURE, OTHERS[architecture.family]]
    if way in ("over", "masked"):
        asked["strength"] = THEIR_STRENGTH
    if "Inpaint" in name or "Fill" in name:
        asked["mask_image"] = MASK if way == "masked" else WHITE
    if "Kontext" in name:
        asked |= {"max_area": 64 * 64, "_auto_resize": False}
    return asked


def theirs(
    drawing: Drawing, architecture: Architecture, way: str, guidance: Guidance, patch: pytest.MonkeyPatch
) -> Any:
    """The latents that the family's pipeline ends in."""
    name = PIPELINES[architecture][way]
    pipe = pipeline(drawing, name, way, patch)
    asked = {"height": 64, "width": 64, "num_inference_steps": STEPS, "output_type": "latent"}
    asked |= told(architecture.family, guidance) | pictured(architecture, way, name)
    taken = inspect.signature(pipe.__call__).parameters

    def drawn(pipe: Any) -> torch.Tensor:
        given = {key: one for key, one in asked.items() if key in taken or key not in ("height", "width")}
        found: torch.Tensor = pipe(**given, generator=torch.Generator().manual_seed(SEED)).images
        return found

    with torch.inference_mode():
        if architecture is A.FLUX2 and "Klein" in name:
            with told_more(pipe, lambda _: {"guidance": torch.tensor([TOLD])}):
                return drawn(pipe)
        if architecture is not A.FLUX_FILL or way != "masked":
            return drawn(pipe)
        # what its own pipeline has beside the latents, while what is not masked is kept as with FLUX.1 dev
        seen: list[torch.Tensor] = []
        fill = pipeline(drawing, "FluxFillPipeline", way, patch)
        with told_more(fill, lambda given: seen.append(given["hidden_states"]) or {}):  # type: ignore[func-returns-value]
            drawn(fill)
        channels = 4 * drawing.family.latent_channels
        beside = seen[0][..., channels:]
        _configured(pipe.transformer, patch, in_channels=channels)
        with told_more(
            pipe, lambda given: {"hidden_states": torch.cat([given["hidden_states"], beside], -1)}
        ):
            return drawn(pipe)


@pytest.mark.parametrize(("architecture", "way"), CASES)
def test_the_loop_ends_where_the_pipeline_does(
    drawings: Callable[[Architecture], Drawing],
    architecture: Architecture,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """By the same seed, texts, pictures, steps and guidance."""
    drawing, family = drawings(architecture), architecture.family
    guided = way == "guided" or (family not in ("flux", "flux2") and architecture is not A.Z_IMAGE_TURBO)
    shown = (file(OTHERS[family]),) if way == "several" else ()
    guidance, ours = walked(
        drawing, replace(ASKED, steps=STEPS, seed=SEED, cfg_scale=CFG if guided else 1.0,
                         distilled_guidance=TOLD, source=WAYS[way], shown=shown, exact=True)
    )  # fmt: skip
    found = theirs(drawing, architecture, way, guidance, monkeypatch)
    if PIPELINES[architecture][way].startswith("Flux2Klein"):  # as its VAE takes them
        loaded = drawing.loop.at_hand.checkpoint
        assert loaded is not None
        ours = latent_space(loaded.vae).unscaled(loaded.vae, ours)
    elif family == "flux2":
        found = found.transpose(1, 2).reshape(ours.shape)
    elif found.dim() == 3:
        found = unpacked(found, *ours.shape[-2:])
    assert found.shape == ours.shape
    assert float((found - ours).abs().max()) < NEAR * float(found.abs().max().clamp(min=1))


@pytest.mark.parametrize(
    "architecture",
    [A.FLUX_DEV, *(pytest.param(one, marks=pytest.mark.slow) for one in PIPELINES if one is not A.FLUX_DEV)],
    ids=lambda one: one.value,
)
def test_what_is_compared_depends_on_all(
    drawings: Callable[[Architecture], Drawing], architecture: Architecture
) -> None:
    """Each of the ways ends elsewhere, so that no two of them can be mixed up."""
    drawing = drawings(architecture)
    found = [
        walked(
            drawing,
            replace(ASKED, steps=STEPS, seed=SEED, cfg_scale=CFG if way == "guided" else 1.0,
                    source=WAYS[way],
                    shown=(file(OTHERS[architecture.family]),) if way == "several" else ()),
        )[1]
        for way in PIPELINES[architecture]
    ]  # fmt: skip
    apart = [float((one - other).abs().max()) for one, other in combinations(found, 2)]
    assert min(apart) > 4 * NEAR * max(float(one.abs().max()) for one in found)

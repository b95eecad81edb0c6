"""What Easel asks of a flow's transformer, against diffusers' own pipelines on the same weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from diffusers import (
    ChromaPipeline,
    ChromaTransformer2DModel,
    FluxFillPipeline,
    FluxKontextPipeline,
    FluxPipeline,
    StableDiffusion3Pipeline,
)
from torch import nn

from easel.studio.engine.loading.activations import counted
from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.patches import folded, laid_out, packed, unpacked
from tests.studio.engine.transformers.flow_networks import (
    CHANNELS,
    TINY,
    inputs,
    published_skeleton,
    row,
    scheduler,
    vae,
)

STEPS = 3
GUIDANCE = 3.0
NO_TEXTS = dict.fromkeys(
    ("text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer", "tokenizer_2", "tokenizer_3")
)
TWO_TEXTS = {name: None for name in NO_TEXTS if not name.endswith("_3")}
ONE_TEXT = {"text_encoder": None, "tokenizer": None}

Drawn = tuple[Any, torch.Tensor, TransformerInputs]


def _sd3(name: str, network: Any) -> Drawn:
    asked = inputs(name)
    pipe = StableDiffusion3Pipeline(network, scheduler(name), vae(), **NO_TEXTS)
    made = pipe(
        prompt_embeds=asked.tokens, pooled_prompt_embeds=asked.pooled, guidance_scale=1.0,
        **_drawing(asked, asked.latents),
    )  # fmt: skip
    return pipe, made.images, asked


def _flux(name: str, network: Any) -> Drawn:
    asked = inputs(name)
    pipe = FluxPipeline(scheduler(name), vae(), transformer=network, **TWO_TEXTS)
    made = pipe(
        prompt_embeds=asked.tokens, pooled_prompt_embeds=asked.pooled, guidance_scale=GUIDANCE,
        **_drawing(asked, packed(asked.latents)),
    )  # fmt: skip
    return pipe, _whole(made.images, asked), asked


def _fill(name: str, network: Any) -> Drawn:
    asked = inputs(name)
    generator = torch.Generator().manual_seed(3)
    rows, _, height, width = asked.latents.shape
    picture = torch.rand((rows, 3, 8 * height, 8 * width), generator=generator)
    mask = (torch.rand((rows, 1, 8 * height, 8 * width), generator=generator) > 0.5).float()
    pipe = FluxFillPipeline(scheduler(name), vae(), transformer=network, **TWO_TEXTS)
    made = pipe(
        image=picture, mask_image=mask, prompt_embeds=asked.tokens, pooled_prompt_embeds=asked.pooled,
        guidance_scale=GUIDANCE, generator=torch.Generator().manual_seed(1),
        **_drawing(asked, packed(asked.latents)),
    )  # fmt: skip
    left = (2 * picture - 1) * (1 - mask)
    there = pipe.vae.encode(left).latent_dist.sample(torch.Generator().manual_seed(1))
    there = (there - pipe.vae.config.shift_factor) * pipe.vae.config.scaling_factor
    asked = replace(asked, extra=torch.cat([there, folded(mask)], dim=1))
    return pipe, _whole(made.images, asked), asked


def _kontext(name: str, network: Any) -> Drawn:
    asked = inputs(name)
    asked = replace(asked, references=asked.references[:1])
    pipe = FluxKontextPipeline(scheduler(name), vae(), transformer=network, **TWO_TEXTS)
    made = pipe(
        image=asked.references[0], prompt_embeds=asked.tokens, pooled_prompt_embeds=asked.pooled,
        guidance_scale=GUIDANCE, max_area=64 * asked.latents[0, 0].numel(),
        **_drawing(asked, packed(asked.latents)),
    )  # fmt: skip
    return pipe, _whole(made.images, asked), asked


def _chroma(name: str, network: Any) -> Drawn:
    asked = inputs(name)
    pipe = ChromaPipeline(scheduler(name), vae(), transformer=network, **ONE_TEXT)
    made = pipe(
        prompt_embeds=asked.tokens, prompt_attention_mask=asked.mask, guidance_scale=1.0,
        **_drawing(asked, packed(asked.latents)),
    )  # fmt: skip
    return pipe, _whole(made.images, asked), asked


def _drawing(asked: TransformerInputs, latents: torch.Tensor) -> dict[str, Any]:
    height, width = asked.latents.shape[-2:]
    return {
        "latents": latents, "height": 8 * height, "width": 8 * width, "num_inference_steps": STEPS,
        "output_type": "latent",
    }  # fmt: skip


def _whole(tokens: torch.Tensor, asked: TransformerInputs) -> torch.Tensor:
    return unpacked(tokens, *asked.latents.shape[-2:])


ORACLES: dict[str, Callable[[str, Any], Drawn]] = {
    "sd3": _sd3, "sd35-medium": _sd3, "sd35-large": _sd3, "flux-dev": _flux, "flux-schnell": _flux,
    "flux-fill": _fill, "flux-kontext": _kontext, "chroma": _chroma,
}  # fmt: skip


@pytest.mark.parametrize("name", ORACLES)
def test_the_walk_of_diffusers_pipeline(name: str) -> None:
    """A whole walk of diffusers' pipeline ends where Euler steps along Easel's velocity end."""
    network = TINY[name].network()
    pipe, there, asked = ORACLES[name](name, network)
    shares = pipe.scheduler.sigmas
    assert len(shares) == STEPS + 1
    latents = asked.latents
    for share, after in pairwise(shares):
        now = replace(
            asked,
            latents=latents,
            shares=share.expand(len(latents)),
            guidance=None if asked.guidance is None else torch.full_like(asked.guidance, GUIDANCE),
        )
        latents = latents + (after - share) * TINY[name].model.velocity(network, now)
    assert not torch.allclose(latents, asked.latents, atol=0.1)
    torch.testing.assert_close(latents, there, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_a_row_is_as_it_would_be_alone(name: str) -> None:
    """Rows with shares of noise, guidance and texts of their own do not see each other."""
    network, model = TINY[name].network(), TINY[name].model
    batch = inputs(name, rows=3)
    together = model.velocity(network, batch)
    assert together.shape == batch.latents.shape
    for index in range(3):
        alone = model.velocity(network, row(batch, index))
        torch.testing.assert_close(together[index : index + 1], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_all_that_is_given_counts(name: str) -> None:
    """What a family takes changes its answer; only schnell was never told a guidance."""
    network, model = TINY[name].network(), TINY[name].model
    asked = inputs(name)
    plain = model.velocity(network, asked)
    unseen = []
    for one in ("shares", "tokens", "pooled", "guidance", "extra", "references", "mask"):
        given = getattr(asked, one)
        if given is None or given == ():
            continue
        other = given[:1] if one == "references" else ~given if one == "mask" else given * 0.5
        if torch.equal(model.velocity(network, replace(asked, **{one: other})), plain):
            unseen.append(one)
    assert unseen == (["guidance"] if name == "flux-schnell" else [])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", TINY)
def test_a_network_of_half_the_digits(name: str, dtype: torch.dtype) -> None:
    """Latents and texts come in the network's type, shares and guidance do not: the answer is in that type,
    and the same but for its digits. (Flux and Chroma round a thousand times the share to bf16, as their
    publishers do; these shares are whole in it.)"""
    network, model = TINY[name].network(), TINY[name].model
    asked = replace(inputs(name), shares=torch.tensor([0.5, 0.25]))
    if asked.guidance is not None:
        asked = replace(asked, guidance=torch.tensor([2.0, 4.0]))
    exact = model.velocity(network, asked)

    def half(tensor: torch.Tensor | None) -> torch.Tensor | None:
        return None if tensor is None else tensor.to(dtype)

    less = replace(
        asked,
        latents=asked.latents.to(dtype),
        tokens=asked.tokens.to(dtype),
        pooled=half(asked.pooled),
        extra=half(asked.extra),
        references=tuple(one.to(dtype) for one in asked.references),
    )
    answer = model.velocity(nn.Module.to(network, dtype), less)
    assert answer.dtype == dtype
    assert (answer.float() - exact).abs().mean() < 0.03 * exact.abs().mean()


def test_a_text_under_its_mask_is_the_text_cut() -> None:
    """What Chroma's mask hides might as well not be there: texts carry no places."""
    network, model = TINY["chroma"].network(), TINY["chroma"].model
    asked = row(inputs("chroma"), 0)
    assert asked.mask is not None
    length = int(asked.mask.sum())
    cut = replace(asked, tokens=asked.tokens[:, :length], mask=None)
    torch.testing.assert_close(
        model.velocity(network, asked), model.velocity(network, cut), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_chroma_as_diffusers_builds_it(dtype: torch.dtype) -> None:
    """Diffusers' own network, with the buffer that Easel's has no need of, answers bit for bit the same."""
    tiny = TINY["chroma"]
    network = nn.Module.to(tiny.network(), dtype)
    there = nn.Module.to(ChromaTransformer2DModel.from_config(dict(tiny.config)), dtype).eval()
    there.load_state_dict(network.state_dict(), strict=True)
    asked = inputs("chroma", rows=3)
    asked = replace(asked, latents=asked.latents.to(dtype), tokens=asked.tokens.to(dtype))
    with torch.inference_mode():
        assert torch.equal(tiny.model.velocity(network, asked), tiny.model.velocity(there, asked))


def test_references_are_told_apart() -> None:
    """Two pictures that Kontext looks at are not one: their order counts."""
    network, model = TINY["flux-kontext"].network(), TINY["flux-kontext"].model
    asked = inputs("flux-kontext")
    turned = replace(asked, references=asked.references[::-1])
    assert not torch.allclose(model.velocity(network, asked), model.velocity(network, turned), atol=1e-5)


def test_several_references_are_one_laid_together() -> None:
    """Two pictures of one size lie where one of both would: to a Kontext that was trained with one picture
    they are that one."""
    network, model = TINY["flux-kontext"].network(), TINY["flux-kontext"].model
    asked = inputs("flux-kontext")
    generator = torch.Generator().manual_seed(4)
    upper, lower = (torch.randn((1, CHANNELS, 4, 10), generator=generator) for _ in range(2))
    apart = replace(asked, references=(upper, lower))
    together = replace(asked, references=(torch.cat([upper, lower], dim=2),))
    torch.testing.assert_close(
        model.velocity(network, apart), model.velocity(network, together), rtol=0, atol=1e-5
    )


def test_where_pictures_lie() -> None:
    """The next one goes where the whole stays nearest to a square, and none lies on another."""
    latents = [torch.zeros((1, 1, *size)) for size in ((8, 8), (8, 8), (8, 8), (4, 12))]
    assert laid_out(latents) == [(0, 0), (4, 0), (0, 4), (8, 0)]


@pytest.mark.parametrize("name", TINY)
def test_nothing_is_asked_of_the_device(name: str) -> None:
    """A call runs on tensors without numbers: no step waits for a number, and memory can be counted."""
    network, model = TINY[name].model.skeleton(TINY[name].config), TINY[name].model
    with counted() as count:
        answer = model.velocity(network, inputs(name, device="meta"))
    assert answer.device.type == "meta"
    assert answer.shape == (2, 4, 8, 12)
    assert count.peak > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_memory_grows_with_the_picture(name: str) -> None:
    """At full size, in bf16, a call takes memory by the patch and not by patches times patches: four times
    the picture is at most four times the memory. Weights, and views of them, are not counted."""
    model = TINY[name].model
    network = nn.Module.to(published_skeleton(name), torch.bfloat16)
    peaks = []
    for side in (64, 128):
        with counted() as count:
            model.velocity(network, model.empty_inputs(network, side, side, 512))
        peaks.append(count.peak)
    assert peaks[0] < peaks[1] <= 4 * peaks[0]
    assert 20e6 < peaks[0] < 200e6

"""Qwen-Image and its editing: what diffusers' pipelines draw, in rows that do not show in one another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPlusPipeline,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from PIL import Image

from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.patches import packed, unpacked
from easel.studio.engine.transformers.qwen_image import QwenImageModel, rescaled
from easel.studio.engine.transformers.shifts import sigmas
from tests.studio.engine.transformers.flow_walk import (
    alive,
    assert_counted,
    assert_draws_in_half,
    assert_fills,
    assert_lora_finds_every_layer,
    difference,
    euler,
)

SCHEDULER = {
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 8192,
    "max_shift": 0.9,
    "num_train_timesteps": 1000,
    "shift": 1.0,
    "shift_terminal": 0.02,
    "use_dynamic_shifting": True,
}
MODEL = QwenImageModel()
WIDTH = 20


@pytest.fixture(scope="module", params=[False, True], ids=["as published", "zero_cond_t"])
def network(request: pytest.FixtureRequest) -> Any:
    """Of the published build, two blocks; and as Qwen-Image-Edit-2511 is called."""
    return alive(
        QwenImageTransformer2DModel(num_layers=2, attention_head_dim=24, num_attention_heads=2,
                                    joint_attention_dim=WIDTH, axes_dims_rope=(8, 8, 8),
                                    zero_cond_t=request.param)
    )  # fmt: skip


@pytest.fixture(scope="module")
def vae() -> Any:
    return alive(AutoencoderKLQwenImage(base_dim=4))


def _pipeline(kind: Any, network: Any, vae: Any, *more: None) -> Any:
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(SCHEDULER)
    found = kind(scheduler, vae, None, None, *more, transformer=network)
    found.set_progress_bar_config(disable=True)
    return found


def _texts() -> tuple[torch.Tensor, torch.Tensor]:
    """Two texts of different lengths, with noise where none counts."""
    mask = torch.ones(2, 11, dtype=torch.bool)
    mask[1, 4:] = False
    return torch.randn(2, 11, WIDTH), mask


def test_a_drawing_is_the_pipeline_s(network: Any, vae: Any) -> None:
    """Two pictures whose texts are of different lengths, without CFG."""
    torch.manual_seed(0)
    rows, mask = _texts()
    latents = torch.randn(2, 16, 8, 12)
    theirs = _pipeline(QwenImagePipeline, network, vae)(
        prompt_embeds=rows, prompt_embeds_mask=mask.long(), latents=packed(latents), height=64, width=96,
        num_inference_steps=4, true_cfg_scale=1.0, output_type="latent",
    ).images  # fmt: skip

    def velocity(now: torch.Tensor, share: float) -> torch.Tensor:
        return MODEL.velocity(network, TransformerInputs(now, torch.full((2,), share), rows, mask))

    found = euler(latents, sigmas(4, 24, SCHEDULER, "qwen-image"), velocity)
    assert difference(packed(found), theirs) < 1e-5
    assert difference(found, latents) > 0.1


def test_guidance_keeps_each_patch_s_length(network: Any, vae: Any) -> None:
    """The family's CFG, prompt and negative prompt as rows of one call."""
    torch.manual_seed(0)
    rows, mask = _texts()
    latents = torch.randn(1, 16, 8, 8)
    theirs = _pipeline(QwenImagePipeline, network, vae)(
        prompt_embeds=rows[:1], prompt_embeds_mask=mask[:1].long(), negative_prompt_embeds=rows[1:],
        negative_prompt_embeds_mask=mask[1:].long(), latents=packed(latents), height=64, width=64,
        num_inference_steps=3, true_cfg_scale=4.0, output_type="latent",
    ).images  # fmt: skip

    def velocity(now: torch.Tensor, share: float) -> torch.Tensor:
        both = TransformerInputs(now.expand(2, -1, -1, -1), torch.full((2,), share), rows, mask)
        prompt, negative = MODEL.velocity(network, both).split(1)
        return rescaled(negative + 4.0 * (prompt - negative), prompt)

    found = euler(latents, sigmas(3, 16, SCHEDULER, "qwen-image"), velocity)
    assert difference(packed(found), theirs) < 1e-5


def test_an_edit_looks_at_its_pictures(network: Any, vae: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures of different shapes, as latents of the VAE; what is answered for them is dropped."""
    torch.manual_seed(0)
    monkeypatch.setattr("diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus.VAE_IMAGE_SIZE", 64 * 64)
    rows, mask = _texts()
    latents = torch.randn(1, 16, 8, 12)
    pipeline = _pipeline(QwenImageEditPlusPipeline, network, vae, None)
    encode, seen = pipeline._encode_vae_image, []

    def keep(image: torch.Tensor, generator: Any) -> torch.Tensor:
        seen.append(encode(image, generator)[:, :, 0])
        return seen[-1][:, :, None]

    monkeypatch.setattr(pipeline, "_encode_vae_image", keep)
    pictures = [Image.effect_noise((64, 64), 90).convert("RGB"), Image.new("RGB", (128, 64), "red")]
    theirs = pipeline(
        image=pictures, prompt_embeds=rows[1:], prompt_embeds_mask=mask[1:].long(), latents=packed(latents),
        height=64, width=96, num_inference_steps=3, true_cfg_scale=1.0, output_type="latent",
    ).images  # fmt: skip
    assert len({one.shape for one in seen}) == 2

    def velocity(now: torch.Tensor, share: float) -> torch.Tensor:
        shares = torch.full((1,), share)
        return MODEL.velocity(
            network, TransformerInputs(now, shares, rows[1:], mask[1:], references=tuple(seen))
        )

    found = euler(latents, sigmas(3, 24, SCHEDULER, "qwen-image-edit"), velocity)
    assert difference(packed(found), theirs) < 1e-5
    without = MODEL.velocity(network, TransformerInputs(latents, torch.ones(1), rows[1:], mask[1:]))
    assert difference(without, velocity(latents, 1.0)) > 1e-4


@torch.inference_mode()
def test_each_row_is_as_it_would_be_alone(network: Any) -> None:
    """Own share, own text, the same references."""
    torch.manual_seed(0)
    rows, mask = _texts()
    references = (torch.randn(1, 16, 4, 6),)
    inputs = TransformerInputs(
        torch.randn(2, 16, 8, 8), torch.tensor([0.9, 0.2]), rows, mask, references=references
    )
    together = MODEL.velocity(network, inputs)
    for row, length in enumerate((11, 4)):
        one = slice(row, row + 1)
        alone = TransformerInputs(
            inputs.latents[one], inputs.shares[one], rows[one, :length], references=references
        )
        assert difference(MODEL.velocity(network, alone)[0], together[row]) < 1e-5


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_every_layout_fills_the_network(network: Any, prefix: str) -> None:
    """With and without the prefix of checkpoints, and then it draws: its table of positions is there."""
    bones = assert_fills(MODEL, network, network.state_dict(), prefix)
    rows, mask = _texts()
    inputs = TransformerInputs(torch.randn(2, 16, 8, 8), torch.tensor([0.9, 0.2]), rows, mask)
    with torch.inference_mode():
        assert torch.equal(MODEL.velocity(bones, inputs), MODEL.velocity(network, inputs))


def test_a_call_is_counted_without_numbers(network: Any) -> None:
    """On the meta device the answer has its shape."""
    assert_counted(MODEL, network)


def test_patches_hold_what_the_pipeline_s_hold() -> None:
    """The order of a token's numbers, there and back."""
    latents = torch.randn(2, 16, 6, 10)
    theirs = QwenImagePipeline._pack_latents(latents[:, :, None], 2, 16, 6, 10)
    assert torch.equal(packed(latents), theirs)
    assert torch.equal(unpacked(theirs, 6, 10), latents)


def test_a_lora_finds_its_layers(network: Any) -> None:
    """Under the names that all trainers use for it."""
    assert_lora_finds_every_layer(MODEL, network, network.state_dict())


def test_half_precision_is_about_the_same(network: Any) -> None:
    """Shares and guidance stay in single: half has not the digits for them."""
    torch.manual_seed(0)
    rows, mask = _texts()
    inputs = TransformerInputs(torch.randn(2, 16, 8, 8), torch.tensor([0.9, 0.2]), rows, mask)
    assert_draws_in_half(MODEL, network, inputs)

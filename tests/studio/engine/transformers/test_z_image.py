"""Z-Image: what diffusers' pipeline draws, in rows that do not show in one another, from every layout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from diffusers.loaders.single_file_utils import convert_z_image_transformer_checkpoint_to_diffusers

from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.shifts import sigmas
from easel.studio.engine.transformers.z_image import ZImageModel
from tests.studio.engine.transformers.flow_walk import (
    alive,
    assert_counted,
    assert_draws_in_half,
    assert_fills,
    assert_lora_finds_every_layer,
    difference,
    euler,
)

SCHEDULER = {"num_train_timesteps": 1000, "shift": 3.0, "use_dynamic_shifting": False}
MODEL = ZImageModel()


@pytest.fixture(scope="module")
def network() -> Any:
    """Of the published build, two blocks of each kind."""
    return alive(
        ZImageTransformer2DModel(dim=48, n_layers=2, n_refiner_layers=2, n_heads=2, n_kv_heads=2,
                                 cap_feat_dim=20, axes_dims=[8, 8, 8], axes_lens=[256, 64, 64])
    )  # fmt: skip


@pytest.fixture(scope="module")
def pipeline(network: Any) -> Any:
    vae = AutoencoderKL(block_out_channels=(4,) * 4, norm_num_groups=2, latent_channels=16,
                        down_block_types=("DownEncoderBlock2D",) * 4,
                        up_block_types=("UpDecoderBlock2D",) * 4)  # fmt: skip
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(SCHEDULER)
    found = ZImagePipeline(scheduler, vae, None, None, network)
    found.set_progress_bar_config(disable=True)
    return found


def _texts(*lengths: int) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Texts of several lengths: alone, and as rows with a mask, with noise where none counts."""
    texts = [torch.randn(length, 20) for length in lengths]
    rows = torch.randn(len(texts), max(lengths), 20)
    mask = torch.zeros(rows.shape[:2], dtype=torch.bool)
    for row, text in enumerate(texts):
        rows[row, : len(text)] = text
        mask[row, : len(text)] = True
    return texts, rows, mask


@pytest.mark.parametrize("size", [(8, 16), (16, 16), (6, 10)])
def test_a_drawing_is_the_pipeline_s(network: Any, pipeline: Any, size: tuple[int, int]) -> None:
    """Turbo's way, without CFG; two pictures whose texts are of different lengths, and sizes of which the
    patches are, or are not, a multiple of what the training knew."""
    torch.manual_seed(0)
    texts, rows, mask = _texts(40, 7)
    latents = torch.randn(2, 16, *size)
    theirs = pipeline(prompt_embeds=texts, latents=latents, height=size[0] * 8, width=size[1] * 8,
                      num_inference_steps=4, guidance_scale=0.0, output_type="latent").images  # fmt: skip

    def velocity(now: torch.Tensor, share: float) -> torch.Tensor:
        return MODEL.velocity(network, TransformerInputs(now, torch.full((2,), share), rows, mask))

    shares = sigmas(4, size[0] * size[1] // 4, SCHEDULER, "z-image-turbo")
    assert difference(euler(latents, shares, velocity), theirs) < 1e-5
    assert difference(latents, theirs) > 0.1


def test_guidance_4_of_the_card_is_cfg_5(network: Any, pipeline: Any) -> None:
    """The pipeline adds the difference to the prompt's answer, CFG to that of the negative prompt."""
    torch.manual_seed(0)
    texts, rows, mask = _texts(33, 12)
    latents = torch.randn(1, 16, 8, 8)
    theirs = pipeline(
        prompt_embeds=texts[:1],
        negative_prompt_embeds=texts[1:],
        latents=latents,
        height=64,
        width=64,
        num_inference_steps=3,
        guidance_scale=4.0,
        output_type="latent",
    ).images

    def velocity(now: torch.Tensor, share: float) -> torch.Tensor:
        both = TransformerInputs(now.expand(2, -1, -1, -1), torch.full((2,), share), rows, mask)
        prompt, negative = MODEL.velocity(network, both)
        return (negative + 5.0 * (prompt - negative))[None]

    shares = sigmas(3, 16, SCHEDULER, "z-image")
    assert difference(euler(latents, shares, velocity), theirs) < 1e-5 * float(theirs.abs().max())


@torch.inference_mode()
def test_each_row_is_as_it_would_be_alone(network: Any) -> None:
    """Own share, own text; a longer one beside it changes nothing, and no mask is a mask of all."""
    torch.manual_seed(0)
    _, rows, mask = _texts(3, 64, 31)
    inputs = TransformerInputs(torch.randn(3, 16, 8, 8), torch.tensor([1.0, 0.3, 0.7]), rows, mask)
    together = MODEL.velocity(network, inputs)
    for row, length in enumerate((3, 64, 31)):
        alone = TransformerInputs(
            inputs.latents[row : row + 1], inputs.shares[row : row + 1], rows[row : row + 1, :length]
        )
        assert difference(MODEL.velocity(network, alone)[0], together[row]) < 1e-5
    others = MODEL.velocity(network, replace(inputs, shares=torch.full((3,), 0.5)))
    assert difference(others, together) > 1e-3


def single_file(network: Any) -> dict[str, torch.Tensor]:
    """Its tensors as they are in single files: q, k and v in one."""
    found = dict(network.state_dict())
    for name in list(found):
        if name.endswith(".attention.to_q.weight"):
            start = name.removesuffix("to_q.weight")
            found[f"{start}qkv.weight"] = torch.cat([found.pop(f"{start}to_{one}.weight") for one in "qkv"])
    renamed = {
        "all_final_layer.2-1.": "final_layer.", "all_x_embedder.2-1.": "x_embedder.", "to_out.0.": "out.",
        "norm_q.": "q_norm.", "norm_k.": "k_norm.",
    }  # fmt: skip
    for ours, theirs in renamed.items():
        found = {name.replace(ours, theirs): tensor for name, tensor in found.items()}
    return found


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("origin", ["single", "diffusers"])
def test_every_layout_fills_the_network(network: Any, prefix: str, origin: str) -> None:
    """With and without the prefix of checkpoints; from a header alone too."""
    file = single_file(network) if origin == "single" else network.state_dict()
    assert_fills(MODEL, network, file, prefix)


def test_a_call_is_counted_without_numbers(network: Any) -> None:
    """On the meta device the answer has its shape."""
    assert_counted(MODEL, network)


@pytest.mark.parametrize("origin", ["single", "diffusers"])
def test_a_lora_finds_its_layers(network: Any, origin: str) -> None:
    """Of trainers that name layers as the single file does, and of those that name them as diffusers does."""
    file = single_file(network) if origin == "single" else network.state_dict()
    assert_lora_finds_every_layer(MODEL, network, file)


def test_names_are_those_of_diffusers_conversion(network: Any) -> None:
    """The same tensors under the same names."""
    file = single_file(network)
    theirs = convert_z_image_transformer_checkpoint_to_diffusers(dict(file))
    found = MODEL.convert(file, network)
    assert found.keys() == theirs.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in theirs.items())


def test_half_precision_is_about_the_same(network: Any) -> None:
    """Shares and guidance stay in single: half has not the digits for them."""
    torch.manual_seed(0)
    _, rows, mask = _texts(3, 64, 31)
    inputs = TransformerInputs(torch.randn(3, 16, 8, 8), torch.tensor([1.0, 0.3, 0.7]), rows, mask)
    assert_draws_in_half(MODEL, network, inputs)

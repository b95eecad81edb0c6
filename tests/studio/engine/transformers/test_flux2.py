"""Flux.2: what diffusers' pipelines of dev and of klein draw, in rows that do not show in one another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
)
from diffusers.loaders.single_file_utils import convert_flux2_transformer_checkpoint_to_diffusers
from PIL import Image

from easel.studio.engine.latents.latent_spaces import latent_space
from easel.studio.engine.transformers.flux2 import Flux2Model
from easel.studio.engine.transformers.model import TransformerInputs
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
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
}
MODEL = Flux2Model()
WIDTH, TOKENS = 20, 9


def _network(guidance_embeds: bool) -> Any:
    return alive(
        Flux2Transformer2DModel(in_channels=32, num_layers=2, num_single_layers=2, attention_head_dim=16,
                                num_attention_heads=2, joint_attention_dim=WIDTH,
                                timestep_guidance_channels=16, axes_dims_rope=(4, 4, 4, 4),
                                guidance_embeds=guidance_embeds)
    )  # fmt: skip


@pytest.fixture(scope="module")
def dev() -> Any:
    """Of the published build, two blocks of each kind; it is told the guidance."""
    return _network(True)


@pytest.fixture(scope="module")
def klein() -> Any:
    """The same without guidance."""
    return _network(False)


@pytest.fixture(params=["dev", "klein"])
def network(request: pytest.FixtureRequest) -> Any:
    """Each of them."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def vae() -> Any:
    made = alive(
        AutoencoderKLFlux2(block_out_channels=(4,) * 4, layers_per_block=1, norm_num_groups=2,
                           latent_channels=8)
    )  # fmt: skip
    made.bn.running_mean.uniform_(-0.5, 0.5)
    made.bn.running_var.uniform_(0.5, 2.0)
    return made


def _pipeline(network: Any, vae: Any) -> Any:
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(SCHEDULER)
    kind = Flux2Pipeline if network.config.guidance_embeds else Flux2KleinPipeline
    more = {} if network.config.guidance_embeds else {"is_distilled": True}
    found = kind(scheduler, vae, None, None, network, **more)
    found.set_progress_bar_config(disable=True)
    return found


def _as_left(network: Any, vae: Any, found: torch.Tensor) -> torch.Tensor:
    """Latents as the pipelines leave them: dev's as tokens, klein's as the VAE takes them."""
    if network.config.guidance_embeds:
        return found.flatten(2).transpose(1, 2)
    return latent_space(vae).unscaled(vae, found)


def _family(network: Any) -> str:
    return "flux2" if network.config.guidance_embeds else "flux2-klein-4b"


@torch.inference_mode()
def test_a_drawing_is_the_pipeline_s(network: Any, vae: Any) -> None:
    """Two pictures at once, told the same guidance."""
    torch.manual_seed(0)
    texts, latents = torch.randn(2, TOKENS, WIDTH), torch.randn(2, 32, 4, 6)
    theirs = _pipeline(network, vae)(
        prompt_embeds=texts, latents=latents, height=64, width=96, num_inference_steps=4, guidance_scale=3.0,
        output_type="latent",
    ).images  # fmt: skip

    def velocity(now: torch.Tensor, share: float) -> torch.Tensor:
        inputs = TransformerInputs(now, torch.full((2,), share), texts, guidance=torch.full((2,), 3.0))
        return MODEL.velocity(network, inputs)

    found = euler(latents, sigmas(4, 24, SCHEDULER, _family(network)), velocity)
    assert difference(_as_left(network, vae, found), theirs) < 1e-5
    assert difference(found, latents) > 0.1


@torch.inference_mode()
def test_an_edit_looks_at_its_pictures(network: Any, vae: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures of different shapes, each at a time of its own."""
    torch.manual_seed(0)
    texts, latents = torch.randn(1, TOKENS, WIDTH), torch.randn(1, 32, 4, 6)
    pipeline = _pipeline(network, vae)
    encode, seen = pipeline._encode_vae_image, []

    def keep(image: torch.Tensor, generator: Any) -> torch.Tensor:
        seen.append(encode(image, generator))
        return seen[-1]

    monkeypatch.setattr(pipeline, "_encode_vae_image", keep)
    pictures = [Image.effect_noise((64, 64), 90).convert("RGB"), Image.new("RGB", (128, 64), "red")]
    theirs = pipeline(
        image=pictures, prompt_embeds=texts, latents=latents, height=64, width=96, num_inference_steps=3,
        guidance_scale=3.0, output_type="latent",
    ).images  # fmt: skip
    assert len({one.shape for one in seen}) == 2

    def velocity(now: torch.Tensor, share: float) -> torch.Tensor:
        shares, guidance = torch.full((1,), share), torch.full((1,), 3.0)
        return MODEL.velocity(
            network, TransformerInputs(now, shares, texts, guidance=guidance, references=tuple(seen))
        )

    found = euler(latents, sigmas(3, 24, SCHEDULER, _family(network)), velocity)
    assert difference(_as_left(network, vae, found), theirs) < 1e-5
    swapped = TransformerInputs(latents, torch.ones(1), texts, guidance=torch.full((1,), 3.0),
                                references=tuple(seen[::-1]))  # fmt: skip
    assert difference(MODEL.velocity(network, swapped), velocity(latents, 1.0)) > 1e-5


@torch.inference_mode()
def test_each_row_is_as_it_would_be_alone(network: Any) -> None:
    """Own share, own guidance, own text: of the same length as all, or by mask of a shorter one."""
    torch.manual_seed(0)
    texts, mask = torch.randn(2, TOKENS, WIDTH), torch.ones(2, TOKENS, dtype=torch.bool)
    mask[1, 4:] = False
    latents, shares, guidance = torch.randn(2, 32, 4, 4), torch.tensor([0.9, 0.2]), torch.tensor([1.0, 5.0])
    references = (torch.randn(1, 32, 2, 3),)
    together = MODEL.velocity(
        network, TransformerInputs(latents, shares, texts, mask, guidance=guidance, references=references)
    )
    for row, length in enumerate((TOKENS, 4)):
        one = slice(row, row + 1)
        alone = TransformerInputs(latents[one], shares[one], texts[one, :length], guidance=guidance[one],
                                  references=references)  # fmt: skip
        assert difference(MODEL.velocity(network, alone)[0], together[row]) < 1e-5


FUSED = {"to_{}": "img_attn.qkv", "add_{}_proj": "txt_attn.qkv"}
RENAMED = {
    "single_transformer_blocks.": "single_blocks.",
    "transformer_blocks.": "double_blocks.",
    "attn.norm_added_q.weight": "txt_attn.norm.query_norm.scale",
    "attn.norm_added_k.weight": "txt_attn.norm.key_norm.scale",
    "attn.norm_q.weight": "img_attn.norm.query_norm.scale",
    "attn.norm_k.weight": "img_attn.norm.key_norm.scale",
    "attn.to_qkv_mlp_proj": "linear1",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_out": "linear2",
    "attn.to_add_out": "txt_attn.proj",
    "ff_context.linear_in": "txt_mlp.0",
    "ff_context.linear_out": "txt_mlp.2",
    "ff.linear_in": "img_mlp.0",
    "ff.linear_out": "img_mlp.2",
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "proj_out": "final_layer.linear",
    "modulation_img.linear": "modulation_img.lin",
    "modulation_txt.linear": "modulation_txt.lin",
    "stream_modulation.linear": "stream_modulation.lin",
    "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_guidance_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_guidance_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
}
"""Parts of diffusers' names, and what Black Forest Labs have in their place; applied in this order."""


def single_file(network: Any) -> dict[str, torch.Tensor]:
    """Its tensors as Black Forest Labs publish them."""
    found = dict(network.state_dict())
    for name in list(found):
        for part, fused in FUSED.items():
            start, cut, end = name.partition(f".attn.{part.format('q')}.")
            if cut:
                pieces = [found.pop(f"{start}.attn.{part.format(one)}.{end}") for one in "qkv"]
                found[f"{start}.{fused}.{end}"] = torch.cat(pieces)
    scale, shift = found.pop("norm_out.linear.weight").chunk(2)
    found["final_layer.adaLN_modulation.1.weight"] = torch.cat([shift, scale])
    for ours, theirs in RENAMED.items():
        found = {name.replace(ours, theirs): tensor for name, tensor in found.items()}
    return {
        name.replace("img_attn.norm.", "norm.") if name.startswith("single_blocks.") else name: tensor
        for name, tensor in found.items()
    }


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
    theirs = convert_flux2_transformer_checkpoint_to_diffusers(dict(file))
    found = MODEL.convert(file, network)
    assert found.keys() == theirs.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in theirs.items())


def test_half_precision_is_about_the_same(network: Any) -> None:
    """Shares and guidance stay in single: half has not the digits for them."""
    torch.manual_seed(0)
    rows, mask = torch.randn(2, TOKENS, WIDTH), None
    inputs = TransformerInputs(
        torch.randn(2, 32, 4, 4), torch.tensor([0.9, 0.2]), rows, mask, guidance=torch.tensor([4.0, 2.0])
    )
    assert_draws_in_half(MODEL, network, inputs)

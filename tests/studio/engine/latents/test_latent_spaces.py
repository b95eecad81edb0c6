"""Latents of today's families: scaled, patched and of one frame, as diffusers' own pipelines take them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2, AutoencoderKLQwenImage
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from diffusers.pipelines.flux2.pipeline_flux2_klein import Flux2KleinPipeline

from easel.studio.engine.calls.device_calls import VaeCall
from easel.studio.engine.calls.vae_runs import VaeRun
from easel.studio.engine.checkpoints.skeleton import fill
from easel.studio.engine.latents.latent_spaces import latent_space
from easel.studio.engine.loading.vaes import alike
from easel.studio.engine.tensors.conversion import Traced
from easel.studio.families.latents import latent_shape
from scripts.starter import layout
from tests.studio.engine.latents.in_pieces import run

BLOCKS: dict[str, Any] = {
    "block_out_channels": (8, 16, 16, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
}
CPU = torch.device("cpu")


@torch.no_grad()
def _alive(module: Any) -> Any:
    """Weights that make something of their input, and statistics that are not those of a new batch norm."""
    torch.manual_seed(1)
    for one in module.parameters():
        one.copy_(torch.randn_like(one) * (0.2 if one.dim() < 2 else one[0].numel() ** -0.5))
    if isinstance(module, AutoencoderKLFlux2):
        module.bn.running_mean.normal_()
        module.bn.running_var.uniform_(0.5, 3.0)
    return module.eval()


@pytest.fixture(scope="module")
def scaled() -> Any:
    """The build of SD 3's and Flux's: sixteen channels, around a middle, nothing between it and latents."""
    return _alive(
        AutoencoderKL(**BLOCKS, latent_channels=16, scaling_factor=0.3611, shift_factor=0.1159,
                      use_quant_conv=False, use_post_quant_conv=False)
    )  # fmt: skip


@pytest.fixture(scope="module")
def patched() -> Any:
    """The build of Flux.2's, of eight channels."""
    return _alive(AutoencoderKLFlux2(**BLOCKS, latent_channels=8))


@pytest.fixture(scope="module")
def framed() -> Any:
    """The build of Qwen-Image's."""
    return _alive(AutoencoderKLQwenImage(base_dim=8))


@pytest.fixture(params=["scaled", "patched", "framed"])
def vae(request: pytest.FixtureRequest) -> Any:
    """Each of them."""
    return request.getfixturevalue(request.param)


def _through_pipeline(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """What the end of the family's pipeline does with latents."""
    if isinstance(vae, AutoencoderKLFlux2):
        mean = vae.bn.running_mean.view(1, -1, 1, 1)
        spread = torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps)
        return vae.decode(Flux2KleinPipeline._unpatchify_latents(latents * spread + mean)).sample
    if isinstance(vae, AutoencoderKLQwenImage):
        mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
        spread = 1.0 / torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
        return vae.decode(latents[:, :, None] / spread + mean).sample[:, :, 0]
    return vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor).sample


def _from_pipeline(vae: Any, pixels: torch.Tensor) -> torch.Tensor:
    """The latents that its editing or inpainting pipeline makes of a picture."""
    if isinstance(vae, AutoencoderKLFlux2):
        latents = Flux2KleinPipeline._patchify_latents(vae.encode(pixels).latent_dist.mode())
        mean = vae.bn.running_mean.view(1, -1, 1, 1)
        return (latents - mean) / torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps)
    if isinstance(vae, AutoencoderKLQwenImage):
        latents = vae.encode(pixels[:, :, None]).latent_dist.mode()
        mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
        return ((latents - mean) / torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1))[:, :, 0]
    return (vae.encode(pixels).latent_dist.mode() - vae.config.shift_factor) * vae.config.scaling_factor


@torch.inference_mode()
def test_pixels_are_those_of_the_family_s_pipeline(vae: Any) -> None:
    """Two pictures that are not square, layer by layer, so that others' calls fit in between."""
    space = latent_space(vae)
    down = latent_shape(vae.config).downscale
    latents = torch.randn(2, latent_shape(vae.config).channels, 96 // down, 160 // down)
    found, count = run(space.decoding(vae, latents))
    theirs = _through_pipeline(vae, latents)
    assert found.shape == (2, 3, 96, 160)
    assert float((found - theirs).abs().max()) < 1e-5
    assert float(theirs.std()) > 0.01
    assert count > 10


@torch.inference_mode()
def test_latents_are_those_of_the_family_s_pipeline(vae: Any) -> None:
    """Of the same shape and scale as those that are drawn."""
    space = latent_space(vae)
    down = latent_shape(vae.config).downscale
    pixels = torch.rand(2, 3, 96, 160) * 2 - 1
    found, count = run(space.encoding(vae, pixels))
    assert found.shape == (2, latent_shape(vae.config).channels, 96 // down, 160 // down)
    assert float((found - _from_pipeline(vae, pixels)).abs().max()) < 1e-5
    assert count > 10


@torch.inference_mode()
def test_half_precision_is_about_the_same(vae: Any) -> None:
    """A VAE in half precision takes and gives single, as the loop keeps latents."""
    space = latent_space(vae)
    latents = torch.randn(1, latent_shape(vae.config).channels, 6, 4)
    half = copy.deepcopy(vae).to(torch.bfloat16)
    found, exact = run(space.decoding(half, latents))[0], run(space.decoding(vae, latents))[0]
    assert found.dtype == torch.float32
    assert float((found - exact).norm() / exact.norm()) < 0.1


@torch.inference_mode()
def test_scaling_there_and_back_changes_nothing(vae: Any) -> None:
    """What one direction does the other undoes."""
    space = latent_space(vae)
    latents = torch.randn(1, latent_shape(vae.config).channels, 6, 4)
    back = space.scaled(vae, space.unscaled(vae, latents))
    assert float((back - latents).abs().max()) < 1e-5


@torch.inference_mode()
def test_a_film_s_vae_goes_by_tiles_as_diffusers_does(framed: Any) -> None:
    """Where memory is short: the pixels of its own `tiled_decode`, which looks after colours beyond white."""
    latents = torch.randn(1, 16, 40, 52)
    found, _ = run(latent_space(framed).decoding(framed, latents, side=256))
    unscaled = latent_space(framed).unscaled(framed, latents)
    theirs = framed.tiled_decode(unscaled[:, :, None]).sample[:, :, 0]
    assert found.shape == (1, 3, 320, 416)
    inside = (theirs.abs() < 0.9).float().mean()
    assert inside > 0.5
    assert float((found - theirs.clamp(-1, 1)).abs().mean()) < 1e-3


def published(vae: Any) -> dict[str, torch.Tensor]:
    """Its tensors under the names of the single file that people have."""
    if isinstance(vae, AutoencoderKLQwenImage):
        return {name: vae.state_dict()[ours] for name, ours in _wan_names(vae).items()}
    found = dict(layout.vae(vae))
    if isinstance(vae, AutoencoderKLFlux2):
        for name in list(found):
            if "quant_conv" in name:
                side = "decoder" if name.startswith("post_") else "encoder"
                found[f"{side}.{name}"] = found.pop(name)
        found |= {name: one for name, one in vae.state_dict().items() if name.startswith("bn.running")}
    return found


def _wan_names(vae: Any) -> dict[str, str]:
    """Wan's name for each of the module's tensors, found by asking diffusers' converter."""
    ends = [f"{one}.{kind}" for one in (
        "residual.0", "residual.2", "residual.3", "residual.6", "shortcut", "resample.1", "time_conv", "norm",
        "to_qkv", "proj",
    ) for kind in ("gamma", "weight", "bias")]  # fmt: skip
    names = [f"{one}.{kind}" for one in ("conv1", "conv2") for kind in ("weight", "bias")]
    for side, blocks in (("encoder", "downsamples"), ("decoder", "upsamples")):
        names += [f"{side}.{one}" for one in ("conv1.weight", "conv1.bias", "head.0.gamma", "head.2.weight")]
        names += [
            f"{side}.head.2.bias",
            *(f"{side}.middle.{index}.{end}" for index in range(3) for end in ends),
        ]
        names += [f"{side}.{blocks}.{index}.{end}" for index in range(15) for end in ends]
    asked = {name: next(iter(convert_wan_vae_to_diffusers({name: 0}))) for name in names}
    return {name: ours for name, ours in asked.items() if ours in vae.state_dict()}


@pytest.mark.parametrize("prefix", ["", "first_stage_model.", "vae."])
@pytest.mark.parametrize("origin", ["published", "diffusers"])
@torch.inference_mode()
def test_every_layout_fills_the_module(vae: Any, prefix: str, origin: str) -> None:
    """Alone or in a checkpoint, under either kind of names: the same weights, and other tensors are left."""
    space = latent_space(vae)
    file = published(vae) if origin == "published" else vae.state_dict()
    stored = {prefix + name: tensor for name, tensor in file.items()}
    beside = {"model.diffusion_model.x.weight": torch.zeros(1)}
    names = space.names([*stored, *beside])
    assert set(names) == set(stored)
    bones = space.skeleton({**vae.config, "_class_name": type(vae).__name__})
    assert all(one.is_meta for one in bones.parameters())
    with torch.inference_mode(False):
        fill(bones, space.convert({name: stored[name] for name in names}, bones), CPU)
    latents = torch.randn(1, latent_shape(vae.config).channels, 4, 4)
    pixels = run(space.decoding(bones, latents))[0]
    assert float((pixels - run(space.decoding(vae, latents))[0]).abs().max()) < 1e-5
    again = run(space.encoding(bones, pixels))[0]
    assert float((again - run(space.encoding(vae, pixels))[0]).abs().max()) < 1e-5


@pytest.mark.parametrize("origin", ["published", "diffusers"])
def test_a_header_alone_tells_which_tensors_are_used(vae: Any, origin: str) -> None:
    """Shapes are enough to find each tensor of the module, and from which of the file's it is made."""
    space = latent_space(vae)
    file = published(vae) if origin == "published" else vae.state_dict()
    traced = {name: Traced.of(name, tuple(tensor.shape)) for name, tensor in file.items()}
    found = space.convert(traced, vae)
    wanted = vae.state_dict()
    assert {name: found[name].shape for name in wanted} == {name: one.shape for name, one in wanted.items()}
    used = {name for one in wanted for name in getattr(found[one], "names", ())}
    assert used == {name for name in file if not name.endswith("num_batches_tracked")}


@torch.inference_mode()
def test_sizes_are_counted_without_numbers(vae: Any) -> None:
    """On the meta device both ways go through, so that what they take can be counted beforehand."""
    space = latent_space(vae)
    bones = space.skeleton({**vae.config, "_class_name": type(vae).__name__})
    down = latent_shape(vae.config).downscale
    latents = torch.empty(1, latent_shape(vae.config).channels, 8, 8, device="meta")
    assert run(space.decoding(bones, latents))[0].shape == (1, 3, 8 * down, 8 * down)
    pixels = torch.empty(1, 3, 8 * down, 8 * down, device="meta")
    assert run(space.encoding(bones, pixels))[0].shape == latents.shape


def test_two_vaes_of_a_kind_are_told_apart_by_what_they_make(vae: Any) -> None:
    """A file of another training is not the checkpoint's; the same weights are, whatever their kind."""
    other = _alive(type(vae).from_config(vae.config))
    with torch.no_grad():
        for one in other.parameters():
            one.copy_(torch.randn_like(one) * one[0].numel() ** -0.5)
    assert (alike(vae, vae, CPU) or 0.0) > 0.999
    assert (alike(vae, other, CPU) or 1.0) < 0.9


def test_a_run_of_the_loop_goes_by_the_vae_s_kind(vae: Any) -> None:
    """Pictures from latents and latents from pictures, by the calls that the loop makes."""
    down = latent_shape(vae.config).downscale
    latents = torch.randn(1, latent_shape(vae.config).channels, 4, 6)
    images = VaeRun([VaeCall("decode", latents, vae, None, down)]).go_on(None)
    assert images is not None
    assert images[0].size == (6 * down, 4 * down)
    pixels = torch.rand(1, 3, 4 * down, 6 * down) * 2 - 1
    found = VaeRun([VaeCall("encode", pixels, vae, None, down)]).go_on(None)
    assert found is not None
    assert float((found[0] - _from_pipeline(vae, pixels)).detach().abs().max()) < 1e-5

"""A VAE in pieces: the same pixels and latents as diffusers' own, whole and in tiles."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL

from easel.studio.engine.latents import tiles
from easel.studio.engine.latents.tiles import decoding, encoding
from tests.studio.engine.latents.in_pieces import run


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    """A small decoder of the same build, with weights that make something of its input."""
    torch.manual_seed(0)
    made = AutoencoderKL(
        block_out_channels=(16, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=256,
    )
    return made.eval()


@torch.inference_mode()
def test_layer_by_layer_is_the_whole_decode(vae: AutoencoderKL) -> None:
    """Bit for bit, in pieces of one layer each, and in the layout that is quick for its size."""
    latents = torch.randn(2, 4, 12, 20).contiguous(memory_format=torch.channels_last)
    found, count = run(decoding(vae, latents, 8))
    assert torch.equal(found, vae.decode(latents, return_dict=False)[0])
    assert count > 10


@torch.inference_mode()
@pytest.mark.parametrize("size", [(48, 48), (40, 70), (33, 32)])
def test_tiles_are_diffusers_tiles(
    vae: AutoencoderKL, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pixels of `tiled_decode` with a tile of the same size, for sizes that no tile divides."""
    monkeypatch.setattr(tiles, "TILE", 256)
    monkeypatch.setattr(tiles, "UNTILED_PIXELS", 256 * 256)
    latents = torch.randn(1, 4, *size)
    vae.tile_latent_min_size, vae.tile_sample_min_size = 32, 256
    theirs = vae.tiled_decode(latents, return_dict=False)[0]
    found, _ = run(decoding(vae, latents, 8))
    assert found.shape == (1, 3, size[0] * 8, size[1] * 8)
    assert float((found - theirs).abs().max()) < 1e-5


@torch.inference_mode()
def test_memory_is_bounded_by_the_tile(vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch) -> None:
    """No layer sees more than a tile, however large the picture is."""
    monkeypatch.setattr(tiles, "TILE", 128)
    monkeypatch.setattr(tiles, "UNTILED_PIXELS", 128 * 128)
    seen: list[int] = []
    hook = vae.decoder.conv_norm_out.register_forward_hook(
        lambda _module, _seen, output: seen.append(output.shape[-2] * output.shape[-1])
    )
    try:
        run(decoding(vae, torch.randn(1, 4, 64, 48), 8))
    finally:
        hook.remove()
    assert max(seen) <= 128 * 128
    assert len(seen) > 12


@torch.inference_mode()
def test_a_decoder_of_another_build_goes_in_one_piece(vae: AutoencoderKL) -> None:
    """What is not known layer by layer is left to diffusers."""
    torch.manual_seed(0)
    odd = AutoencoderKL(
        block_out_channels=(16, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
    ).eval()
    latents = torch.randn(1, 4, 8, 8).contiguous(memory_format=torch.channels_last)
    found, count = run(decoding(odd, latents, 2))
    assert torch.equal(found, odd.decode(latents, return_dict=False)[0])
    assert count == 1


@torch.inference_mode()
def test_layer_by_layer_is_the_whole_encode(vae: AutoencoderKL) -> None:
    """The mean of the latents' distribution, bit for bit, in pieces of one layer each."""
    pixels = (torch.rand(2, 3, 96, 160) * 2 - 1).contiguous(memory_format=torch.channels_last)
    found, count = run(encoding(vae, pixels, 8))
    assert torch.equal(found, vae.encode(pixels).latent_dist.mode())
    assert found.is_contiguous()
    assert count > 10


@torch.inference_mode()
def test_large_pictures_keep_their_digits(vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above `CHANNELS_LAST_PIXELS` nothing is turned round: what diffusers makes of contiguous latents, bit
    for bit. Below, the two layouts of the flattest picture differ by less than can be seen."""
    flat = torch.full((1, 4, 32, 32), 0.3)
    quick, _ = run(decoding(vae, flat, 8))
    monkeypatch.setattr(tiles, "CHANNELS_LAST_PIXELS", 32 * 32 * 64 - 1)
    exact, _ = run(decoding(vae, flat, 8))
    assert torch.equal(exact, vae.decode(flat, return_dict=False)[0])
    assert float((quick - exact).abs().max()) * 127.5 < 0.5


@torch.inference_mode()
@pytest.mark.parametrize("size", [(384, 384), (320, 560), (264, 256)])
def test_encoded_tiles_are_diffusers_tiles(
    vae: AutoencoderKL, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latents of `tiled_encode` with a tile of the same size, for sizes that no tile divides."""
    monkeypatch.setattr(tiles, "TILE", 256)
    monkeypatch.setattr(tiles, "UNTILED_PIXELS", 256 * 256)
    pixels = torch.rand(1, 3, *size) * 2 - 1
    vae.tile_latent_min_size, vae.tile_sample_min_size = 32, 256
    vae.use_tiling = True
    theirs = vae.encode(pixels).latent_dist.mode()
    vae.use_tiling = False
    found, _ = run(encoding(vae, pixels, 8))
    assert found.shape == (1, 4, size[0] // 8, size[1] // 8)
    assert torch.allclose(found, theirs, atol=1e-5)

"""The files that people have of today's families, in a store, through the real store and engine."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from safetensors.torch import load_file, save_file

from easel.models import PART_FACTS, Architecture, FileError
from easel.studio.engine import Engine, TextToImage
from easel.studio.engine.calls.vae_runs import LatentPreviews
from easel.studio.engine.loading import checkpoint_cache
from easel.studio.engine.quantised.packed_linear import PackedLinear
from tests.studio.engine.flow_store import CHECKPOINTS, FlowStore, Made, engine, in_type, maker, write_sd1
from tests.studio.engine.quantised import packed_files

ASKED = TextToImage(
    prompt="a cat", width=64, height=64, steps=2, seed=7, sampler="Euler", cfg_scale=1, exact=True
)
FP8 = torch.float8_e4m3fn


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    return maker(tmp_path, monkeypatch)


def draw(running: Engine, asked: TextToImage = ASKED, **changes: Any) -> np.ndarray[Any, Any]:
    (drawn,) = running.submit("ada", replace(asked, **changes)).result(60)
    return np.asarray(drawn.image).astype(int)


def refusal(running: Engine, **changes: Any) -> str:
    with pytest.raises(FileError) as caught:
        draw(running, **changes)
    return str(caught.value)


def test_flux_of_four_files(made: Made) -> None:
    """Transformer, CLIP-L, T5 in eight bits and VAE, each where it usually lies: the picture that the same
    weights give in diffusers' folder."""
    files = made(Architecture.FLUX_DEV)
    files.write_transformer(Architecture.FLUX_DEV, "tiny-flux-dev.safetensors")
    files.write_text(Architecture.FLUX_DEV, "clip-l")
    files.write_text(Architecture.FLUX_DEV, "t5-xxl", FP8)
    files.write_vae(Architecture.FLUX_DEV)
    folder = files.folders[Architecture.FLUX_DEV]
    file = folder / "text_encoder_2" / "model.safetensors"
    rounded = {name: in_type(in_type(one, FP8), torch.float32) for name, one in load_file(file).items()}
    save_file(rounded, file)
    folder.rename(files.root / CHECKPOINTS / "whole")
    files.families[Architecture.FLUX_DEV] = replace(
        files.families[Architecture.FLUX_DEV], folder=files.root / CHECKPOINTS / "whole"
    )
    with engine(files) as running:
        one, other = (draw(running, checkpoint=name) for name in ("tiny-flux-dev", "whole"))
    assert np.abs(one - other).max() <= 1
    assert one.std() > 5


def test_what_is_missing_is_told_and_taken_when_it_is_there(made: Made) -> None:
    """All of it in one sentence, with file and folder; no restart is needed."""
    files, flux = made(Architecture.FLUX_DEV), Architecture.FLUX_DEV
    files.write_transformer(flux, "tiny-flux-dev.safetensors")
    missing = {"clip-l": "text_encoder", "t5-xxl": "text_encoder", "vae-flux": "VAE"}
    with engine(files) as running:
        for role in list(missing):
            said = refusal(running)
            assert [one for one in ("clip-l", "t5-xxl", "vae-flux") if PART_FACTS[one].file in said] == list(
                missing
            )
            assert all(f"models/{folder}" in said for folder in missing.values())
            del missing[role]
            if role == "vae-flux":
                files.write_vae(flux)
            else:
                files.write_text(flux, role)
        assert draw(running).std() > 5


@pytest.mark.parametrize(
    ("kind", "folder", "off"), [("Q8_0", "diffusion_models", 3), ("Q4_0", CHECKPOINTS, 40)]
)
def test_gguf_stays_packed(made: Made, kind: str, folder: str, off: float) -> None:
    """It draws about what the full weights do, takes the memory of its blocks, and LoRAs work on it."""
    files, flux = made(Architecture.FLUX_DEV), Architecture.FLUX_DEV
    files.write_parts(flux)
    files.write_transformer(flux, "full.safetensors")
    files.write_gguf(flux, folder, f"small-{kind}.gguf", kind)
    wide = files.transformers[flux]["double_blocks.0.img_attn.qkv.weight"]
    noise = torch.Generator().manual_seed(0)
    files.write("Lora", "style.safetensors", {
        "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight":
            torch.randn((4, wide.shape[1]), generator=noise),
        "lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight":
            torch.randn((wide.shape[0], 4), generator=noise),
        "lora_unet_double_blocks_0_img_attn_qkv.alpha": torch.tensor(4.0),
    })  # fmt: skip
    with engine(files) as running:
        full = draw(running, checkpoint="full")
        small = draw(running, checkpoint=f"small-{kind}")
        styled = draw(running, checkpoint=f"small-{kind}", prompt="a cat <lora:style:1>")
    assert 0 < np.abs(full - small).mean() < off
    assert np.abs(styled - small).mean() > 1
    loaded = load(files, f"small-{kind}")
    packed = [one for one in loaded.backbone.modules() if isinstance(one, PackedLinear)]
    assert len(packed) > 5
    assert loaded.nbytes < load(files, "full").nbytes


@pytest.mark.parametrize(("pack", "off"), [(packed_files.int8, 3), (packed_files.nvfp4, 40)])
@pytest.mark.parametrize(
    "architecture",
    [Architecture.FLUX_DEV, pytest.param(Architecture.FLUX2_KLEIN_4B, marks=pytest.mark.slow)],
)
def test_packed_by_makers(made: Made, architecture: Architecture, pack: Any, off: float) -> None:
    """bitsandbytes' eight bits and NVIDIA's four: known by their headers, they draw about what the full
    weights do, and stay as small."""
    files = made(architecture)
    files.write_parts(architecture)
    files.write_transformer(architecture, "full.safetensors")
    files.write_packed(architecture, "small.safetensors", pack)
    with engine(files) as running:
        full, small = (draw(running, checkpoint=name) for name in ("full", "small"))
    assert 0 < np.abs(full - small).mean() < off
    loaded = load(files, "small")
    assert sum(isinstance(one, PackedLinear) for one in loaded.backbone.modules()) > 5
    assert loaded.nbytes < load(files, "full").nbytes


def load(files: FlowStore, name: str) -> Any:
    """The checkpoint as the engine loads it."""
    from easel.studio.engine.loading.checkpoint_loading import load_checkpoint

    with_all = Engine(files.store(), device="cpu")
    return load_checkpoint(
        with_all.store.find_checkpoint(name), device=torch.device("cpu"), dtype=torch.float32,
        others=with_all._chosen.files,
    )  # fmt: skip


def test_sd3_in_one_file(made: Made) -> None:
    """Stability's, without T5: it draws and says so. A T5 that comes into the store is used."""
    files, sd3 = made(Architecture.SD3), Architecture.SD3
    files.write_whole(sd3, "sd3_medium_incl_clips.safetensors", without=("t5-xxl",))
    with engine(files) as running:
        job = running.submit("ada", ASKED)
        without = np.asarray(job.result(60)[0].image).astype(int)
        assert any("T5" in note for note in job.notes)
        files.write_text(sd3, "t5-xxl")
        job = running.submit("ada", ASKED)
        whole = np.asarray(job.result(60)[0].image).astype(int)
        assert not any("T5" in note for note in job.notes)
    with engine(files) as running:
        assert np.array_equal(draw(running), whole)
    assert np.abs(whole - without).max() > 1


@pytest.mark.parametrize(
    "architecture",
    [Architecture.Z_IMAGE, Architecture.QWEN_IMAGE, Architecture.FLUX2_KLEIN_4B, Architecture.FLUX2],
    ids=lambda one: one.value,
)
def test_comfyui_s_files_draw(made: Made, architecture: Architecture) -> None:
    """The three that ComfyUI's makers offer; Flux.2's text encoder has Mistral's vocabulary inside."""
    files = made(architecture)
    files.write_transformer(architecture, "tiny.safetensors", prefix="model.diffusion_model.")
    files.write_parts(architecture)
    with engine(files) as running:
        assert not np.array_equal(draw(running), draw(running, prompt="a red house by the sea"))


def test_vaes_are_chosen_and_refused(made: Made) -> None:
    """`sd_vae` by name; one of another family is refused in words, and the checkpoint goes on drawing."""
    files = made(Architecture.FLUX_DEV, Architecture.FLUX2_KLEIN_4B)
    files.write_transformer(Architecture.FLUX_DEV, "tiny-flux-dev.safetensors")
    files.write_transformer(Architecture.FLUX2_KLEIN_4B, "klein.safetensors")
    files.write_parts(Architecture.FLUX_DEV)
    files.write_parts(Architecture.FLUX2_KLEIN_4B)
    brighter = dict(files.vaes[Architecture.FLUX_DEV])
    brighter["decoder.conv_out.bias"] = brighter["decoder.conv_out.bias"] + 0.5
    files.write("VAE", "zz-brighter.safetensors", brighter)
    files.write("VAE", "zz-sd1.safetensors", _of_four_channels(files.vaes[Architecture.FLUX_DEV]))
    with engine(files) as running:
        flux = replace(ASKED, checkpoint="tiny-flux-dev")
        plain, chosen = draw(running, flux), draw(running, flux, vae="zz-brighter")
        assert chosen.mean() > plain.mean() + 5
        assert "no VAE of this family" in refusal(running, checkpoint="tiny-flux-dev", vae="zz-sd1")
        assert "FLUX.2" in refusal(running, checkpoint="tiny-flux-dev", vae="flux2-vae")
        klein = replace(ASKED, checkpoint="klein")
        assert np.array_equal(draw(running, klein), draw(running, klein, vae="flux2-vae"))
        assert "FLUX.2" in refusal(running, checkpoint="klein", vae="zz-brighter")


def test_what_is_filled_in_is_seen_by_ones_own_vae(made: Made) -> None:
    """FLUX.1 Fill is shown grey from words: by the VAE that one named, whoever drew before by another."""
    files, fill = made(Architecture.FLUX_FILL), Architecture.FLUX_FILL
    files.write_transformer(fill, "tiny-flux-fill.safetensors")
    files.write_parts(fill)
    other = dict(files.vaes[fill])
    other["encoder.conv_out.bias"] = other["encoder.conv_out.bias"] + 0.5
    files.write("VAE", "zz-other.safetensors", other)
    with engine(files) as running:
        alone = draw(running, vae="zz-other")
    with engine(files) as running:
        assert np.abs(draw(running) - alone).max() > 1
        assert np.array_equal(draw(running, vae="zz-other"), alone)


def _of_four_channels(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = dict(tensors)
    found["decoder.conv_in.weight"] = found["decoder.conv_in.weight"][:, :4]
    for end in ("weight", "bias"):
        found[f"encoder.conv_out.{end}"] = found[f"encoder.conv_out.{end}"][:8]
    return found


@pytest.mark.parametrize(
    "architecture", [Architecture.FLUX_DEV, Architecture.FLUX2_KLEIN_4B, Architecture.QWEN_IMAGE]
)
def test_unfinished_latents_are_shown(made: Made, architecture: Architecture) -> None:
    """One pixel for each of the latents that are drawn, of every shape that these have."""
    files = made(architecture)
    files.write_transformer(architecture, "tiny.safetensors")
    files.write_parts(architecture)
    loaded = load(files, "tiny")
    family = loaded.family
    latents = torch.randn(1, family.latent_channels, 64 // family.downscale, 96 // family.downscale)
    picture = LatentPreviews(loaded).draw(latents, loaded.vae)
    assert picture.width * 64 == picture.height * 96
    assert np.asarray(picture).std() > 5


def test_one_loop_goes_from_flux_to_a_unet_and_back(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same picture again; with no room to keep any, nothing of one that went stays in memory."""
    monkeypatch.setattr(checkpoint_cache, "RESERVE_SHARE", 1.0)
    files, flux = made(Architecture.FLUX_DEV), Architecture.FLUX_DEV
    files.write_transformer(flux, "tiny-flux-dev.safetensors")
    files.write_parts(flux)
    # so narrow, it is taken for the starter
    files.families[Architecture.STARTER] = write_sd1(files.root, tmp_path / "sd1")
    with engine(files) as running:
        first = draw(running, checkpoint="tiny-flux-dev")
        assert draw(running, checkpoint="dream", cfg_scale=7).shape == (64, 64, 3)
        gc.collect()
        assert not any(isinstance(one, FluxTransformer2DModel) for one in gc.get_objects())
        assert np.array_equal(draw(running, checkpoint="tiny-flux-dev"), first)

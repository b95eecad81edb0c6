"""A checkpoint is drawn as its file says that it was trained. Judge: diffusers, configured the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline
from diffusers.utils.state_dict_utils import convert_state_dict_to_kohya
from safetensors.torch import load_file, save_file

from easel.models import Architecture, Kind, ModelFile, Store
from easel.studio.engine import Drawn, Engine, TextToImage
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.networks.low_rank import LowRank
from easel.studio.engine.networks.network_file import load_network
from easel.studio.engine.sampling.levels import NoiseLevels
from easel.studio.families import as_trained, family
from tests.studio import networks
from tests.studio.networks import STARTER

ASKED = TextToImage(
    prompt="a red circle on blue", width=64, height=64, steps=5, seed=7, sampler="Euler", cfg_scale=1.0
)
V, ZERO = {"prediction_type": "v_prediction"}, {"rescale_betas_zero_snr": True}
EPS, NOT = {"prediction_type": "epsilon"}, {"timestep_spacing": "trailing"}
MARK = torch.zeros(0)
# How a file says it: tensors, metadata, what lies beside it; and the configuration that is meant.
WAYS: dict[str, tuple[dict[str, torch.Tensor], dict[str, str], tuple[str, str] | None, dict[str, Any]]] = {
    "nothing": ({}, {}, None, V),
    "yaml-eps": ({"v_pred": MARK}, {}, (".yaml", "model: {params: {parameterization: eps}}"), EPS),
    "yaml-v": ({}, {"modelspec.prediction_type": "epsilon"},
               (".yaml", "model: {params: {parameterization: v}}"), V),
    "marker": ({"v_pred": MARK, "ztsnr": MARK}, {"modelspec.prediction_type": "epsilon"}, None, V | ZERO),
    "kohya": ({}, {"ss_v_parameterization": "True", "ss_zero_terminal_snr": "True"}, None, V | ZERO),
    "modelspec": ({}, {"modelspec.prediction_type": "epsilon"}, None, EPS),
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter's weights in files that say different things of them."""
    root = tmp_path_factory.mktemp("models")
    folder = root / Kind.CHECKPOINT.folder
    folder.mkdir()
    weights = load_file(STARTER)
    for name, (tensors, metadata, beside, _) in WAYS.items():
        save_file(weights | tensors, folder / f"{name}.safetensors", metadata or None)
        if beside:
            (folder / f"{name}{beside[0]}").write_text(beside[1])
    bare = {name: one for name, one in weights.items() if not name.startswith("first_stage_model.")}
    for name in ("bare", "helped"):
        save_file(bare, folder / f"{name}.safetensors")
    networks.write(root / "VAE/own.safetensors", networks.own_vae())
    networks.write(folder / "helped.vae.safetensors", networks.own_vae())
    for place, seed in (("a/thing", 1), ("b/thing", 2)):
        width = 64 if place == "b/thing" else 768
        networks.write(
            root / f"embeddings/{place}.safetensors", {"emb_params": networks.embedding(2, width, seed)}
        )
    networks.write(
        root / "embeddings/my style (v2).safetensors", {"emb_params": networks.embedding(2, 64, 3)}
    )
    return root


@pytest.fixture(scope="module")
def draw(root: Path) -> Iterator[Callable[..., Drawn]]:
    engine = Engine(Store(root, hashing=False), default_checkpoint="nothing")
    engine.start()

    def drawn(**fields: Any) -> Drawn:
        from dataclasses import replace

        (one,) = engine.submit("ada", replace(ASKED, **fields)).result(120)
        return one

    yield drawn
    engine.stop()


@pytest.fixture(scope="module")
def starter() -> Checkpoint:
    file = ModelFile(STARTER, STARTER.name, Kind.CHECKPOINT, STARTER.stat().st_size, 0.0)
    return load_checkpoint(file, device=torch.device("cpu"), dtype=torch.float32)


def pixels(drawn: Drawn) -> np.ndarray:
    return np.asarray(drawn.image).astype(int)


def judged(starter: Checkpoint, config: dict[str, Any]) -> np.ndarray:
    """The same picture from diffusers' own pipeline."""
    # as A1111's "Uniform" spreads them, whatever the family's pipeline does
    config = {**starter.family.scheduler_config, **config, "timestep_spacing": "linspace"}
    scheduler = EulerDiscreteScheduler.from_config(config)
    pipeline = StableDiffusionPipeline(
        vae=starter.vae, text_encoder=starter.text_encoders[0], tokenizer=starter.tokenizers[0],
        unet=starter.backbone, scheduler=scheduler, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    latents = torch.randn(
        (1, starter.family.latent_channels, 64 // starter.family.downscale, 64 // starter.family.downscale),
        generator=torch.Generator().manual_seed(ASKED.seed),
    )
    found = pipeline(ASKED.prompt, num_inference_steps=ASKED.steps, guidance_scale=1.0, latents=latents,
                     height=64, width=64, output_type="np")  # fmt: skip
    return (found.images[0] * 255).round().astype(int)


@pytest.mark.parametrize("way", list(WAYS))
def test_drawn_as_the_file_says(draw: Callable[..., Drawn], starter: Checkpoint, way: str) -> None:
    """Sidecar, marker tensors and metadata each make the picture that diffusers makes, so configured."""
    drawn = draw(checkpoint=way)
    # between two timesteps diffusers' sigmas lie on a line, k-diffusion's on that of their logarithms
    assert int(np.abs(pixels(drawn) - judged(starter, WAYS[way][3])).max()) <= 4
    other = judged(starter, EPS if WAYS[way][3].get("prediction_type") == "v_prediction" else V)
    assert int(np.abs(pixels(drawn) - other).max()) > 20
    # what was said as well and does not count is told
    assert bool(drawn.notes) == (way in ("yaml-eps", "yaml-v", "marker"))


@pytest.mark.parametrize("config", [V, EPS], ids=["v", "eps"])
def test_zero_snr(config: dict[str, Any]) -> None:
    """Zero-terminal SNR is drawn with the same noise levels as diffusers' own, and none is infinite."""
    trained = as_trained(family(Architecture.SD1), "v_prediction", True)
    levels = NoiseLevels.of_family({**trained.scheduler_config, **config})
    judge = EulerDiscreteScheduler.from_config({**trained.scheduler_config, **config})
    kept = levels.alphas_cumprod
    assert torch.allclose(kept[:-1], judge.alphas_cumprod[:-1], rtol=1e-3, atol=1e-7)
    assert 0 < float(kept[-1]) < 1e-6
    assert np.isfinite(levels.sigma_max)
    plain = NoiseLevels.of_family(family(Architecture.SD1).scheduler_config)
    assert float(plain.alphas_cumprod[-1]) > 1e-3


def test_a_vae_that_is_chosen(draw: Callable[..., Drawn]) -> None:
    """A checkpoint without a VAE draws with the one that is chosen, or that lies beside it under its name."""
    whole = pixels(draw(checkpoint="nothing"))
    assert int(np.abs(pixels(draw(checkpoint="bare", vae="own.safetensors")) - whole).max()) == 0
    assert int(np.abs(pixels(draw(checkpoint="helped.safetensors")) - whole).max()) == 0
    with pytest.raises(
        Exception, match=r"bare\.safetensors.*it holds no VAE.*sd_vae.*bare\.vae\.safetensors"
    ):
        draw(checkpoint="bare")


def test_the_embedding_that_fits(draw: Callable[..., Drawn]) -> None:
    """Of two embeddings of one name the one that fits the checkpoint is taken; only that is listed."""
    drawn = draw(prompt="thing")
    assert [use.file.name for use in drawn.embeddings] == ["b/thing.safetensors"]
    assert drawn.notes == ()
    assert int(np.abs(pixels(drawn) - pixels(draw(prompt="x"))).max()) > 0
    assert draw(prompt="something").embeddings == ()
    for words in (
        r"my style \(v2\)",
        r"a, my style \(v2\), red",
        r"(red, my style \(v2\):1.2)",
        r"红,my style \(v2\)",
    ):
        assert [use.name for use in draw(prompt=words).embeddings] == ["my style (v2)"], words
    assert draw(prompt="my style (v2)").embeddings == ()


def test_an_alpha_that_is_an_integer(starter: Checkpoint, tmp_path: Path) -> None:
    """What diffusers' own converter to kohya's format writes loads: its alphas are whole numbers."""
    found = networks.pairs(1)
    converted = convert_state_dict_to_kohya(networks.peft(found))
    converted = {name: one.contiguous() for name, one in converted.items()}
    alphas = [one for name, one in converted.items() if name.endswith(".alpha")]
    assert alphas
    assert not any(one.is_floating_point() for one in alphas)
    theirs = load_network(_lora(tmp_path / "theirs.safetensors", converted), starter)
    ours = load_network(_lora(tmp_path / "ours.safetensors", networks.kohya(found, alpha=4.0)), starter)
    assert theirs.changes.keys() == ours.changes.keys()
    assert len(ours.changes) == len(found)
    for place, (change,) in ours.changes.items():
        (other,) = theirs.changes[place]
        assert isinstance(change, LowRank)
        assert isinstance(other, LowRank)
        assert other.scale == change.scale == 1.0
        assert torch.equal(other.up, change.up)


@pytest.mark.parametrize(
    "end", ["lora_down.weight_scale", "lora_up.bias", "lora_down.weight.absmax", "w_norm"]
)
def test_beside_a_pair(starter: Checkpoint, tmp_path: Path, end: str) -> None:
    """What stands beside a LoRA's matrices and is not understood there is refused, with its name."""
    tensors = networks.kohya(networks.pairs(1))
    base = next(iter(tensors)).partition(".")[0]
    file = _lora(tmp_path / "odd.safetensors", tensors | {f"{base}.{end}": torch.ones(1)})
    with pytest.raises(Exception, match=r"odd\.safetensors: .*stands beside others"):
        load_network(file, starter)


def _lora(path: Path, tensors: dict[str, torch.Tensor]) -> ModelFile:
    networks.write(path, tensors)
    return ModelFile(path, path.name, Kind.LORA, path.stat().st_size, 0.0)

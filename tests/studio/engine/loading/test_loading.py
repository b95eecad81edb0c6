"""What is loaded is what the file holds, in every layout that such files come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from easel.models import Architecture, Incomplete, Kind, ModelFile
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.loading.checkpoint_cache import copied
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint, load_vae
from easel.studio.engine.loading.vaes import Vaes
from easel.studio.engine.memory.device_memory import DeviceMemory
from easel.studio.engine.tensors.weights import memory_format
from easel.studio.engine.text_models.tokenizer import load_tokenizer
from tests.studio.engine import export
from tests.studio.engine.export import Layout
from tests.studio.engine.tiny import PUBLISHED, Tiny, model_file, tiny

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tinies(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Tiny]:
    folder = tmp_path_factory.mktemp("families")
    return {architecture: tiny(architecture, folder) for architecture in PUBLISHED}


def load(made: Tiny, path: Path, **how: Any) -> Checkpoint:
    layout, stored = how.pop("layout", None), how.pop("stored", None)
    dtype = how.pop("dtype", torch.float32)
    return load_checkpoint(
        made.write(path, layout, stored), device=CPU, dtype=dtype, family=made.family, **how
    )


def same(one: Any, other: Any, cast: torch.dtype | None = None) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(
        torch.equal(left[name].to(cast or left[name].dtype).to(right[name].dtype), right[name])
        for name in left
    )


def modules(loaded: Any) -> list[Any]:
    return [loaded.backbone, loaded.vae, *loaded.text_encoders]


def run_unet(unet: Any, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    config = unet.config
    latents = torch.randn(2, config.in_channels, 8, 8, generator=generator).to(unet.dtype)
    text = torch.randn(2, 77, config.cross_attention_dim, generator=generator).to(unet.dtype)
    added = None
    if config.addition_embed_type == "text_time":
        embeds = unet.add_embedding.linear_1.in_features
        numbers = 5 if config.transformer_layers_per_block == 1 else 6
        pooled = embeds - numbers * config.addition_time_embed_dim
        added = {"text_embeds": torch.randn(2, pooled, generator=generator).to(unet.dtype),
                 "time_ids": torch.ones(2, numbers)}  # fmt: skip
    with torch.inference_mode():
        answer = unet(latents, torch.tensor([10, 900]), encoder_hidden_states=text, added_cond_kwargs=added)
    return answer.sample


@pytest.mark.thinned(4)
@pytest.mark.parametrize("architecture", PUBLISHED)
def test_every_family_loads_what_was_written(
    tinies: dict[Architecture, Tiny], architecture: Architecture, tmp_path: Path
) -> None:
    """The modules hold the file's numbers exactly, ready to draw: no gradients, nothing on "meta"."""
    made = tinies[architecture]
    loaded = load(made, tmp_path / "model.safetensors")
    for ours, theirs in zip(modules(loaded), modules(made.modules), strict=True):
        assert same(theirs, ours)
        assert not ours.training
        assert not any(one.requires_grad or one.is_meta for one in ours.parameters())
        assert not any(one.is_meta for one in ours.buffers())
    assert torch.allclose(run_unet(loaded.backbone), run_unet(made.modules.backbone), atol=5e-5)
    assert loaded.nbytes == sum(one.numel() * 4 for module in modules(loaded) for one in module.parameters())
    assert len(loaded.tokenizers) == len(loaded.text_encoders) == len(made.family.text_encoders)


PIPELINES = {
    Architecture.SD1: "StableDiffusionPipeline",
    Architecture.SD1_INPAINT: "StableDiffusionInpaintPipeline",
    Architecture.SD2: "StableDiffusionPipeline",
    Architecture.SDXL: "StableDiffusionXLPipeline",
    Architecture.SDXL_REFINER: "StableDiffusionXLImg2ImgPipeline",
}


@pytest.mark.parametrize("architecture", PIPELINES)
def test_equals_diffusers_from_single_file(
    tinies: dict[Architecture, Tiny], architecture: Architecture, tmp_path: Path
) -> None:
    """The same file through diffusers' own `from_single_file` gives the same tensors and the same answer."""
    import diffusers

    made = tinies[architecture]
    loaded = load(made, tmp_path / "model.safetensors")
    pads = [load_tokenizer(one.pad_token) for one in made.family.text_encoders]
    names = [
        "tokenizer" if one.folder == "text_encoder" else "tokenizer_2" for one in made.family.text_encoders
    ]
    given: dict[str, Any] = dict(zip(names, pads, strict=True))
    if architecture is Architecture.SDXL_REFINER:
        given |= {"text_encoder": None, "tokenizer": None}
    pipeline = getattr(diffusers, PIPELINES[architecture]).from_single_file(
        str(tmp_path / "model.safetensors"), config=str(made.family.folder), dtype=torch.float32, **given
    )
    theirs = [
        pipeline.unet,
        pipeline.vae,
        *(getattr(pipeline, one.folder) for one in made.family.text_encoders),
    ]
    for ours, other in zip(modules(loaded), theirs, strict=True):
        assert type(ours) is type(other)
        assert same(other, ours)
    # Linear layers add in another order where their weights begin at another place in memory.
    assert torch.allclose(run_unet(loaded.backbone), run_unet(pipeline.unet), atol=5e-5)


@pytest.mark.parametrize(
    ("architecture", "layout"),
    [
        (Architecture.SD1, Layout(position_ids=False)),
        (Architecture.SD1, Layout(text_model=False, ema=True)),
        (Architecture.SD2, Layout(extra_layer=False)),
        (Architecture.SDXL, Layout(text_model=False, position_ids=False)),
    ],
    ids=repr,
)
def test_layouts_of_the_wild(
    tinies: dict[Architecture, Tiny], architecture: Architecture, layout: Layout, tmp_path: Path
) -> None:
    """With or without EMA twins, position numbers, "text_model." and an unused last layer: the same model."""
    made = tinies[architecture]
    loaded = load(made, tmp_path / "model.safetensors", layout=layout)
    assert all(
        same(theirs, ours) for ours, theirs in zip(modules(loaded), modules(made.modules), strict=True)
    )


@pytest.mark.parametrize(
    ("stored", "dtype"),
    [
        (torch.float16, torch.float32),
        (torch.float32, torch.float16),
        (torch.bfloat16, torch.float16),
        (torch.float64, torch.float32),
        (torch.float8_e4m3fn, torch.bfloat16),
    ],
)
def test_types_are_converted_while_reading(
    tinies: dict[Architecture, Tiny], stored: torch.dtype, dtype: torch.dtype, tmp_path: Path
) -> None:
    """Whatever the file stores, the modules are of the type that was asked for, rounded as torch rounds."""
    made = tinies[Architecture.SD1]
    loaded = load(made, tmp_path / "model.safetensors", stored=stored, dtype=dtype)
    for ours, theirs in zip(modules(loaded), modules(made.modules), strict=True):
        assert {one.dtype for one in ours.parameters()} == {dtype}
        assert same(theirs, ours, cast=stored)


def test_convolutions_have_their_channels_last_on_a_gpu_only() -> None:
    """On a CPU the layout gains nothing and torch's GroupNorm loses digits in it."""
    gpu = torch.device("cuda")
    assert memory_format(4, gpu) is torch.channels_last
    assert {memory_format(2, gpu), memory_format(1, gpu), memory_format(4, CPU)} == {torch.contiguous_format}


def test_the_text_encoders_speak(tinies: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """Tokenizer and text encoder work together: other words, other embeddings, equal to the original's."""
    made = tinies[Architecture.SDXL]
    loaded = load(made, tmp_path / "model.safetensors")
    for tokenizer, encoder, original in zip(
        loaded.tokenizers, loaded.text_encoders, made.modules.text_encoders, strict=True
    ):
        ids = tokenizer("a red circle", padding="max_length", max_length=77, return_tensors="pt").input_ids
        with torch.inference_mode():
            ours, theirs = encoder(ids), original(ids)
        assert torch.allclose(ours[0], theirs[0], atol=1e-5)


def test_tokenizers_pad_as_their_encoder_was_trained() -> None:
    """OpenAI's encoder is padded with the end token; OpenCLIP's with 0, where "!" stays a word."""
    openai, open_clip = load_tokenizer("<|endoftext|>"), load_tokenizer("!")
    assert (openai.pad_token_id, open_clip.pad_token_id) == (49407, 0)
    for tokenizer in (openai, open_clip):
        padded = tokenizer("hi!", padding="max_length", max_length=8)["input_ids"]
        assert padded[:4] == [49406, 1883, 256, 49407]
        assert set(padded[4:]) == {tokenizer.pad_token_id}
        assert (tokenizer.bos_token_id, tokenizer.eos_token_id, len(tokenizer)) == (49406, 49407, 49408)


def test_progress_is_told(tinies: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """The report rises from 0 to 1, at most a hundred times and once more."""
    heard: list[float] = []
    load(
        tinies[Architecture.SD1],
        tmp_path / "model.safetensors",
        report=lambda step, share: heard.append(share),
    )
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert 5 < len(heard) <= 101


def diffusers_layout(made: Tiny, old: bool) -> dict[str, torch.Tensor]:
    """A VAE as diffusers saves it; `old` with the names its attention had before 0.17."""
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    found = {}
    for name, tensor in made.modules.vae.state_dict().items():
        if old and ".attentions.0." in name:
            for new, before in names.items():
                name = name.replace(f".{new}.", f".{before}.")
        found[name] = tensor.contiguous()
    return found


@pytest.mark.parametrize("layout", ["original", "prefixed", "diffusers", "old diffusers", "with loss"])
def test_vae_files(tinies: dict[Architecture, Tiny], layout: str, tmp_path: Path) -> None:
    """A VAE of its own file loads from every layout, alone and instead of the checkpoint's own."""
    made = tinies[Architecture.SD1]
    other = tiny(Architecture.SD1, tmp_path, seed=7)
    original = {name: one.contiguous() for name, one in export.vae(other.modules.vae).items()}
    tensors = {
        "original": original,
        "prefixed": {"first_stage_model." + name: one for name, one in original.items()},
        "diffusers": diffusers_layout(other, old=False),
        "old diffusers": diffusers_layout(other, old=True),
        "with loss": {**original, "loss.logvar": torch.zeros(()), "model_ema.decay": torch.zeros(())},
    }[layout]
    (tmp_path / "VAE").mkdir()
    save_file(tensors, tmp_path / "VAE/mine.safetensors")
    file = model_file(tmp_path / "VAE/mine.safetensors", Kind.VAE)
    alone = load_vae(file, made.family, device=CPU, dtype=torch.float32)
    assert same(other.modules.vae, alone)
    loaded = load(made, tmp_path / "model.safetensors", vae=file)
    assert same(other.modules.vae, loaded.vae)
    assert same(made.modules.backbone, loaded.backbone)


def vae_of(made: Tiny, path: Path) -> ModelFile:
    """The VAE of a checkpoint, in a file of its own."""
    save_file({name: one.contiguous() for name, one in export.vae(made.modules.vae).items()}, path)
    return model_file(path, Kind.VAE)


def test_a_checkpoint_without_a_vae_takes_one(tinies: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """Checkpoints that were published without their VAE draw with a VAE file."""
    made = tinies[Architecture.SD1]
    vae = vae_of(made, tmp_path / "v.safetensors")
    loaded = load(made, tmp_path / "model.safetensors", layout=Layout(vae=False), vae=vae)
    assert same(made.modules.vae, loaded.vae)


def test_a_checkpoint_without_a_vae_of_use(tinies: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """One without, and one whose own is broken, load without; drawing with its own says what to do."""
    made = tinies[Architecture.SD1]
    chosen = vae_of(made, tmp_path / "v.safetensors")
    broken = made.tensors()
    name = "first_stage_model.decoder.conv_out.weight"
    broken[name] = broken[name].to(torch.int8)
    save_file(broken, tmp_path / "broken.safetensors")
    for file, why in (
        (made.write(tmp_path / "bare.safetensors", Layout(vae=False)), "it holds no VAE"),
        (model_file(tmp_path / "broken.safetensors"), "stored as I8"),
    ):
        loaded = load_checkpoint(file, device=CPU, dtype=torch.float32, family=made.family)
        assert loaded.vae is None
        assert same(made.modules.backbone, loaded.backbone)
        vaes = Vaes(loaded)
        with pytest.raises(Incomplete, match=f"{why}.*sd_vae.*as {file.stem}.vae.safetensors"):
            vaes.get(None)
        assert same(made.modules.vae, vaes.get(chosen))
        assert copied(loaded, DeviceMemory(CPU)).vae is None


def test_the_family_is_told_from_the_header(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without being told, the loader takes the family of the header, and asks an SD 2.x UNet if unsure."""
    from easel.models import CheckpointIdentity
    from easel.studio.engine.loading import checkpoint_loading as loading

    made, velocity = tiny(Architecture.SD2, tmp_path), tiny(Architecture.SD2_V, tmp_path)
    families = {Architecture.SD2: made.family, Architecture.SD2_V: velocity.family}
    monkeypatch.setattr(loading, "family_of", families.__getitem__)
    monkeypatch.setattr(
        loading, "identify", lambda *_, **__: CheckpointIdentity(Architecture.SD2, sure=False)
    )
    file = made.write(tmp_path / "dream.safetensors")
    for answer, family in ((True, velocity.family), (False, made.family)):
        monkeypatch.setattr(loading, "predicts_velocity", lambda unet, device, answer=answer: answer)
        assert load_checkpoint(file, device=CPU, dtype=torch.float32).family is family


def test_extra_tensors_do_no_harm(tinies: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """What trainers leave in a file (schedules, counters, integers) is not read."""
    made = tinies[Architecture.SD1]
    extra = {
        "alphas_cumprod": torch.zeros(1000),
        "global_step": torch.tensor(875000),
        "model_ema.decay": torch.ones(()),
    }
    save_file({**made.tensors(), **extra}, tmp_path / "model.safetensors")
    loaded = load_checkpoint(model_file(tmp_path / "model.safetensors"), device=CPU, dtype=torch.float32,
                             family=made.family)  # fmt: skip
    assert same(made.modules.backbone, loaded.backbone)


def test_configuration_is_read_from_the_family(tinies: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """Module configuration is the family folder's, so schedulers, sizes and scaling come with it."""
    made = tinies[Architecture.SDXL]
    loaded = load(made, tmp_path / "model.safetensors")
    assert loaded.vae.config.scaling_factor == 0.13025
    assert (
        json.loads((made.family.folder / "unet/config.json").read_text())["sample_size"]
        == loaded.backbone.config.sample_size
    )

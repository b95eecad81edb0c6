"""Which files of a store a model draws with, and what is said where one is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.models import (
    Architecture,
    FileError,
    Incomplete,
    Kind,
    ModelFile,
    ModelSet,
    Store,
    needs_of,
    set_bytes,
)
from tests.models.files import Shapes, describe, raw, sparse
from tests.models.filled_store import TEXTS, VAES, FilledStore, everything
from tests.models.gguf_files import gguf_bytes
from tests.models.layouts import (
    CHROMA_TRANSFORMER,
    FLUX2_VAE,
    QWEN_IMAGE_TRANSFORMER,
    QWEN_VAE_OF_DIFFUSERS,
    Z_IMAGE_TRANSFORMER,
    U,
    clip,
    flux2_transformer,
    flux_transformer,
    gguf_language_model,
    language_model,
    sd3_transformer,
    t5,
    under,
    vae,
)


@pytest.fixture
def shelf(store: Store) -> FilledStore:
    return FilledStore(store)


def names(found: ModelSet) -> list[str | None]:
    return [None if one is None else one.name for one in (*found.text_encoders, found.vae)]


FAMILIES: tuple[tuple[str, Shapes, Sequence[str], str], ...] = (
    ("sd3", sd3_transformer(1536), ("clip-l", "clip-g", "t5-xxl"), "vae-sd3"),
    ("sd35-large", sd3_transformer(2432, norms=True), ("clip-l", "clip-g", "t5-xxl"), "vae-sd3"),
    ("flux-dev", flux_transformer(), ("clip-l", "t5-xxl"), "vae-flux"),
    ("flux-fill", flux_transformer(384), ("clip-l", "t5-xxl"), "vae-flux"),
    ("chroma", CHROMA_TRANSFORMER, ("t5-xxl",), "vae-flux"),
    ("z-image", Z_IMAGE_TRANSFORMER, ("qwen3-4b",), "vae-flux"),
    ("flux2", flux2_transformer(6144), ("mistral-small-24b",), "vae-flux2"),
    ("flux2-klein-4b", flux2_transformer(3072), ("qwen3-4b",), "vae-flux2"),
    ("flux2-klein-9b", flux2_transformer(4096), ("qwen3-8b",), "vae-flux2"),
    ("qwen-image", QWEN_IMAGE_TRANSFORMER, ("qwen2.5-vl-7b",), "vae-qwen"),
)


@pytest.mark.parametrize(("family", "shapes", "texts", "own_vae"), FAMILIES, ids=[one[0] for one in FAMILIES])
def test_from_a_shelf_with_everything(
    shelf: FilledStore, family: str, shapes: Shapes, texts: Sequence[str], own_vae: str
) -> None:
    """Each family finds its own among all the others', in the order of its needs."""
    everything(shelf)
    shelf.vae("sdxl_vae.safetensors", vae(4))
    checkpoint = shelf.checkpoint("dream.safetensors", shapes)
    found = shelf.set_of(checkpoint)
    assert found.architecture == family
    assert names(found) == [*(TEXTS[role][0] for role in texts), VAES[own_vae][0]]
    assert [one.role for one in found.parts] == ["transformer", *texts, own_vae]
    assert found.transformer.path == checkpoint.path
    assert set(found.transformer.tensors) == set(shapes)
    needs = needs_of(Architecture(family))
    assert [one.role for one in needs.text_encoders] == list(texts)
    assert needs.vae == own_vae
    files = [part.path.stat().st_size - part.header.header_bytes for part in found.parts]
    assert set_bytes(found) == sum(files)


def test_families_with_a_unet_need_nothing_of_this() -> None:
    """They have their own way; the others are all there."""
    for architecture in Architecture:
        if architecture.flow:
            assert needs_of(architecture).vae
        else:
            with pytest.raises(KeyError):
                needs_of(architecture)


def test_all_in_one_file(shelf: FilledStore) -> None:
    """ComfyUI's checkpoints hold all of it: nothing else is looked for, each part has its prefix."""
    everything(shelf)
    parts = {
        U: flux_transformer(),
        "text_encoders.clip_l.transformer.": clip(768),
        "text_encoders.t5xxl.transformer.": t5(),
        "vae.": vae(16),
    }
    shapes = {name: one for start, own in parts.items() for name, one in under(start, own).items()}
    shapes["text_encoders.clip_l.logit_scale"] = ()
    checkpoint = shelf.checkpoint("aio.safetensors", shapes)
    found = shelf.set_of(checkpoint)
    assert names(found) == ["aio.safetensors"] * 3
    assert [part.prefix for part in found.parts] == list(parts)
    for part, own in zip(found.parts, parts.values(), strict=True):
        assert {name: one.shape for name, one in part.tensors.items()} == dict(own)
    assert set_bytes(found) == checkpoint.path.stat().st_size - found.vae.header.header_bytes - 2


def test_sd3_with_its_text_encoders(shelf: FilledStore) -> None:
    """Stability's `incl_clips`: two of three inside, the VAE under its old name; without T5 it draws, too."""
    shapes = {
        **under(U, sd3_transformer(1536)),
        **under("text_encoders.clip_g.transformer.", clip(1280)),
        **under("text_encoders.clip_l.transformer.", clip(768)),
        **under("first_stage_model.", vae(16)),
    }
    checkpoint = shelf.checkpoint("sd3_medium_incl_clips.safetensors", shapes)
    found = shelf.set_of(checkpoint)
    assert names(found) == [checkpoint.name, checkpoint.name, None, checkpoint.name]
    assert len(found.parts) == 4
    shelf.text("t5xxl_fp8_e4m3fn.safetensors", t5(), "F8_E4M3")
    assert names(shelf.set_of(checkpoint))[2] == "t5xxl_fp8_e4m3fn.safetensors"


@pytest.mark.parametrize(
    ("label", "shapes", "transformer"),
    [
        ("qwen3_4b", language_model(64, norms=True), Z_IMAGE_TRANSFORMER),
        ("qwen25_7b", language_model(64, bias=True), QWEN_IMAGE_TRANSFORMER),
        ("mistral3_24b", language_model(64), flux2_transformer(6144)),
    ],
)
def test_the_label_inside(shelf: FilledStore, label: str, shapes: Shapes, transformer: Shapes) -> None:
    """ComfyUI's names of the parts tell what an unknown width does not."""
    everything(shelf)
    inside = {**under(U, transformer), **under(f"text_encoders.{label}.transformer.", shapes)}
    checkpoint = shelf.checkpoint("aio.safetensors", inside)
    found = shelf.set_of(checkpoint)
    (text,) = found.text_encoders
    assert text is not None
    assert (text.name, text.prefix) == ("aio.safetensors", f"text_encoders.{label}.transformer.")


def test_named_files_come_before_others(shelf: FilledStore) -> None:
    """Forge's `forge_additional_modules`: in their order, whatever else there is; what serves not is left."""
    everything(shelf)
    first, second = (
        shelf.text("z_mine.safetensors", clip(768), "F8_E4M3"),
        shelf.text("y.safetensors", clip(768)),
    )
    own = shelf.vae("zz_plain.safetensors", vae(16))
    mistral = shelf.store.find(Kind.TEXT_ENCODER, "mistral_3_small.safetensors")
    checkpoint = shelf.checkpoint("flux.safetensors", flux_transformer())
    found = shelf.set_of(checkpoint, modules=(mistral, first, second, own))
    assert names(found) == ["z_mine.safetensors", "t5xxl_fp16.safetensors", "zz_plain.safetensors"]
    assert names(shelf.set_of(checkpoint, modules=(second, first)))[0] == "y.safetensors"
    # What is in the checkpoint comes before the store's others, and behind what was named.
    inside = {**under(U, flux_transformer()), **under("text_encoders.clip_l.transformer.", clip(768))}
    whole = shelf.checkpoint("whole.safetensors", inside)
    assert names(shelf.set_of(whole))[0] == "whole.safetensors"
    assert names(shelf.set_of(whole, modules=(first,)))[0] == "z_mine.safetensors"


def test_the_chosen_vae(shelf: FilledStore) -> None:
    """It comes before the checkpoint's own; one of another family is refused by what it is."""
    everything(shelf)
    inside = {**under(U, flux_transformer()), **under("vae.", vae(16))}
    checkpoint = shelf.checkpoint("flux.safetensors", inside)
    # Its name says SD 3, whoever chose it knows.
    chosen = shelf.store.find_vae("sd3_vae.safetensors")
    assert names(shelf.set_of(checkpoint, vae=chosen))[-1] == "sd3_vae.safetensors"
    old = shelf.vae("old.safetensors", under("first_stage_model.", vae(16)))
    assert shelf.set_of(checkpoint, vae=old).vae.prefix == "first_stage_model."
    other = shelf.store.find_vae("flux2-vae.safetensors")
    with pytest.raises(
        Incomplete, match=r"flux2-vae\.safetensors is the VAE of FLUX\.2, and the VAE of FLUX\.1"
    ):
        shelf.set_of(checkpoint, vae=other)
    with pytest.raises(Incomplete, match=r"xl\.safetensors is no VAE of this family"):
        shelf.set_of(checkpoint, vae=shelf.vae("xl.safetensors", vae(4)))


def test_which_of_several(shelf: FilledStore) -> None:
    """A name that begins as the checkpoint's; then the role in the name; then precision; then the name."""
    checkpoint = shelf.checkpoint("dream.safetensors", flux_transformer())
    shelf.text("clip_l.safetensors", clip(768))
    for name, dtype in (("a.safetensors", "F8_E4M3"), ("c.safetensors", "F16"), ("b.safetensors", "F32")):
        shelf.text(name, t5(), dtype)
    shelf.vae("a.safetensors", vae(16))
    assert names(shelf.set_of(checkpoint)) == ["clip_l.safetensors", "c.safetensors", "a.safetensors"]
    shelf.text("B2.safetensors", t5())
    shelf.vae("flux_vae.safetensors", vae(16), "F32")
    assert names(shelf.set_of(checkpoint))[1:] == ["B2.safetensors", "flux_vae.safetensors"]
    shelf.text("dream.t5.safetensors", t5(), "F8_E4M3")
    shelf.vae("Dream.vae.safetensors", vae(16))
    assert names(shelf.set_of(checkpoint))[1:] == ["dream.t5.safetensors", "Dream.vae.safetensors"]


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(range(6)))
def test_the_same_on_every_replica(tmp_path_factory: pytest.TempPathFactory, order: Sequence[int]) -> None:
    """The order in which files are listed changes nothing."""
    shelf = FilledStore(Store(tmp_path_factory.mktemp("m"), hashing=False))
    checkpoint = shelf.checkpoint("flux.safetensors", flux_transformer())
    for name in ("A", "a2", "b"):
        shelf.text(f"{name}.safetensors", t5())
    shelf.text("l.safetensors", clip(768))
    shelf.vae("x.safetensors", vae(16))
    shelf.vae("Y.safetensors", vae(16))
    files = shelf.others()
    found = shelf.set_of(checkpoint, others=[files[one] for one in order])
    assert names(found) == ["l.safetensors", "A.safetensors", "x.safetensors"]


def test_an_sd3_vae_is_not_taken_for_flux(shelf: FilledStore) -> None:
    """Where the name tells them apart; where it does not, either serves."""
    checkpoint = shelf.checkpoint("z.safetensors", Z_IMAGE_TRANSFORMER)
    shelf.text("qwen.safetensors", language_model(2560, norms=True))
    shelf.vae("sd3.5_vae.safetensors", vae(16))
    with pytest.raises(Incomplete, match=r"sd3\.5_vae\.safetensors is the VAE of SD 3"):
        shelf.set_of(checkpoint)
    shelf.vae("plain.safetensors", vae(16))
    assert shelf.set_of(checkpoint).vae.name == "plain.safetensors"


def test_all_that_is_missing_in_one_sentence(shelf: FilledStore) -> None:
    """What it is, how its file is usually called and how large it is, and which folder it goes into."""
    checkpoint = shelf.checkpoint("flux1-dev.safetensors", flux_transformer())
    with pytest.raises(Incomplete) as error:
        shelf.set_of(checkpoint)
    assert str(error.value) == (
        "flux1-dev.safetensors: to draw with FLUX.1, there has to be the text encoder CLIP-L (usually "
        "clip_l.safetensors, 246.1 MB) in models/text_encoder, the text encoder T5-XXL (usually "
        "t5xxl_fp8_e4m3fn.safetensors, 4.9 GB) in models/text_encoder and the VAE of FLUX.1 (usually "
        "ae.safetensors, 335.3 MB) in models/VAE"
    )


def test_what_is_there_of_another_family(shelf: FilledStore) -> None:
    """Named with what it is, so that nobody looks for it in vain; files that cannot be read as well."""
    checkpoint = shelf.checkpoint("klein-9b.safetensors", flux2_transformer(4096))
    shelf.text("qwen.safetensors", language_model(2560, norms=True))
    shelf.vae("v.safetensors", FLUX2_VAE)
    cut = shelf.store.folder(Kind.TEXT_ENCODER) / "cut.safetensors"
    raw(cut, describe({"a": (100,)}), b"short")
    shelf.store.refresh()
    with pytest.raises(Incomplete) as error:
        shelf.set_of(checkpoint)
    said = str(error.value)
    assert "the text encoder Qwen3 8B (usually qwen_3_8b_fp8mixed.safetensors" in said
    assert "qwen.safetensors is the text encoder Qwen3 4B" in said
    assert "cut.safetensors: the file is cut short" in said
    assert "VAE" not in said
    shelf.text("qwen8.safetensors", language_model(4096, norms=True))
    shelf.store.find_vae("v.safetensors").path.unlink()
    with pytest.raises(
        Incomplete, match=r"there has to be the VAE of FLUX\.2 \([^)]*\) in models/VAE\. .*cut short"
    ):
        shelf.set_of(checkpoint, others=shelf.store.files(Kind.TEXT_ENCODER))
    shelf.store.find(Kind.TEXT_ENCODER, "qwen8").path.unlink()
    shelf.store.refresh()
    for number in range(9):
        shelf.text(f"t{number}.safetensors", t5())
    with pytest.raises(Incomplete, match=r"and 7 more$"):
        shelf.set_of(checkpoint)


def test_a_file_that_changed_is_read_again(shelf: FilledStore) -> None:
    """Under the same name, another model."""
    checkpoint = shelf.checkpoint("z.safetensors", Z_IMAGE_TRANSFORMER)
    shelf.vae("ae.safetensors", vae(16))
    shelf.text("q.safetensors", language_model(4096, norms=True))
    with pytest.raises(Incomplete):
        shelf.set_of(checkpoint)
    shelf.text("q.safetensors", language_model(2560, norms=True))
    assert names(shelf.set_of(checkpoint)) == ["q.safetensors", "ae.safetensors"]


def test_parts_as_gguf(shelf: FilledStore) -> None:
    """llama.cpp's names; a vocabulary and more beside them."""
    checkpoint = shelf.checkpoint("z.safetensors", Z_IMAGE_TRANSFORMER)
    shelf.vae("ae.safetensors", vae(16))
    path = shelf.store.folder(Kind.TEXT_ENCODER) / "Qwen3-4B-Q8_0.gguf"
    path.parent.mkdir(parents=True, exist_ok=True)
    small = {name: (one[0], 32) if len(one) > 1 else one for name, one in
             gguf_language_model(2560, norms=True).items() if name != "token_embd.weight"}  # fmt: skip
    path.write_bytes(gguf_bytes(small, "F16", {"general.architecture": "qwen3"}))
    shelf.store.refresh()
    assert names(shelf.set_of(checkpoint)) == ["Qwen3-4B-Q8_0.gguf", "ae.safetensors"]


def folder(
    shelf: FilledStore, pipeline: str, parts: dict[str, dict[str, Shapes]], config: object = None
) -> ModelFile:
    path = shelf.store.folder(Kind.CHECKPOINT) / "it"
    for part, files in parts.items():
        for name, shapes in files.items():
            sparse(path / part / name, shapes, "BF16")
    (path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    (path / "transformer/config.json").write_text(json.dumps(config or {}))
    shelf.store.refresh()
    return shelf.store.find_checkpoint("it")


SHARDS: dict[str, Shapes] = {
    f"diffusion_pytorch_model-0000{n}-of-00002.safetensors": {f"transformer_blocks.{n}.a": (n, 8)}
    for n in (1, 2)
}


def test_a_folder_of_diffusers(shelf: FilledStore) -> None:
    """All parts by their folders, of several files where they are cut into pieces."""
    everything(shelf)
    parts: dict[str, dict[str, Shapes]] = {
        "transformer": SHARDS,
        "text_encoder": {"model.safetensors": clip(768, "")},
        "text_encoder_2": {"model.safetensors": t5()},
        "vae": {"diffusion_pytorch_model.safetensors": vae(16)},
    }
    checkpoint = folder(shelf, "FluxPipeline", parts, {"guidance_embeds": True})
    index = {"weight_map": {f"transformer_blocks.{n}.a": name for n, name in enumerate(SHARDS, 1)}}
    listed = checkpoint.path / "transformer/diffusion_pytorch_model.safetensors.index.json"
    listed.write_text(json.dumps(index))
    found = shelf.set_of(checkpoint)
    assert found.architecture is Architecture.FLUX_DEV
    assert names(found) == ["it"] * 3
    assert [piece.path.name for piece in found.transformer.pieces] == list(SHARDS)
    assert set(found.transformer.tensors) == {"transformer_blocks.1.a", "transformer_blocks.2.a"}
    assert found.transformer.nbytes == 2 * 8 * 3
    assert [one.path.parent.name for one in found.parts[1:]] == ["text_encoder", "text_encoder_2", "vae"]


def test_a_folder_without_all_of_it(shelf: FilledStore) -> None:
    """What was not downloaded may lie elsewhere; what is there as a pickle is said."""
    parts: dict[str, dict[str, Shapes]] = {
        "transformer": {"diffusion_pytorch_model.safetensors": {"img_in.bias": (4,)}},
        "vae": {"diffusion_pytorch_model.safetensors": QWEN_VAE_OF_DIFFUSERS},
    }
    checkpoint = folder(shelf, "QwenImagePipeline", parts)
    pickles = checkpoint.path / "text_encoder"
    pickles.mkdir()
    (pickles / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(Incomplete, match=r"Qwen2\.5-VL.*in text_encoder/ there are only pickles"):
        shelf.set_of(checkpoint)
    shelf.text(*TEXTS["qwen2.5-vl-7b"])
    assert names(shelf.set_of(checkpoint)) == ["qwen_2.5_vl_7b.safetensors", "it"]
    (checkpoint.path / "transformer/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(Incomplete, match="no weights in transformer/"):
        shelf.set_of(checkpoint)


def test_a_checkpoint_that_is_none(shelf: FilledStore, tmp_path: Path) -> None:
    """A file beside it may say what it likes."""
    checkpoint = shelf.checkpoint("x.safetensors", {"a": (3, 3)})
    checkpoint.path.with_suffix(".json").write_text('{"easel": {"architecture": "flux-dev"}}')
    with pytest.raises(Incomplete, match="holds no transformer"):
        shelf.set_of(checkpoint)
    checkpoint.path.write_bytes(b"<html>" * 300)
    with pytest.raises(FileError, match="web page"):
        shelf.set_of(checkpoint)

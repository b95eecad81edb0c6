"""One checkpoint, every way it can come: near, far, from a good or damaged copy, as a folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from easel.models import (
    Architecture,
    Cache,
    FileReader,
    Incomplete,
    Kind,
    LyingHeader,
    MissingFile,
    ModelFile,
    NotSafetensors,
    Store,
    UnknownArchitecture,
)
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.loading import checkpoint_loading as loading
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.tensors import weights
from tests.studio.engine.export import Layout
from tests.studio.engine.tiny import Tiny, model_file, tiny

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(Architecture.SD1, tmp_path_factory.mktemp("families"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cache]:
    """A cache, and a world in which every file is far away."""
    cache = Cache(tmp_path / "cache", 1 << 30)
    monkeypatch.setattr(loading, "cache_from_environment", lambda: cache)
    far(monkeypatch)
    yield cache
    cache.settle()


def far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easel.models.cache.reader.is_network", lambda path: True)


def load(file: ModelFile, made: Tiny, dtype: torch.dtype = torch.float32, **how: Any) -> Checkpoint:
    return load_checkpoint(file, device=CPU, dtype=dtype, family=made.family, **how)


def holds(loaded: Checkpoint, made: Tiny, cast: torch.dtype = torch.float32) -> bool:
    ours = [loaded.backbone, loaded.vae, *loaded.text_encoders]
    theirs = [made.modules.backbone, made.modules.vae, *made.modules.text_encoders]
    for one, other in zip(ours, theirs, strict=True):
        have, want = one.state_dict(), other.state_dict()
        if have.keys() != want.keys():
            return False
        if not all(torch.equal(have[name], want[name].to(cast).to(have[name].dtype)) for name in want):
            return False
    return True


@pytest.mark.parametrize("stored", [torch.float32, torch.float16])
def test_from_afar_and_by_way_of_a_copy(
    made: Tiny, cache: Cache, tmp_path: Path, stored: torch.dtype
) -> None:
    """Read over the network, from the copy, a damaged copy, a new one: always the file's numbers."""
    # The second UNet is never read for a load, and still part of the copy.
    file = made.write(tmp_path / "far.safetensors", Layout(ema=True), stored)
    assert holds(load(file, made), made, stored)
    cache.settle()
    (copy,) = cache.folder.glob("*.copy")
    assert copy.read_bytes() == file.path.read_bytes()

    reads: list[int] = []
    real = FileReader.readv

    def count(self: FileReader, buffers: Any, place: int) -> None:
        reads.append(place)
        real(self, buffers, place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileReader, "readv", count)
        assert holds(load(file, made), made, stored)
        assert not reads, "the network was read although there is a copy"
        with open(copy, "r+b") as damage:
            damage.seek(file.size // 2)
            byte = damage.read(1)
            damage.seek(file.size // 2)
            damage.write(bytes([byte[0] ^ 1]))
        assert holds(load(file, made), made, stored)
        assert reads, "a damaged copy was believed"
    assert not list(cache.folder.glob("*.copy"))
    assert holds(load(file, made), made, stored)
    cache.settle()
    (copy,) = cache.folder.glob("*.copy")
    assert copy.read_bytes() == file.path.read_bytes()


def test_a_file_with_odd_offsets(made: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers of any length are allowed: numbers that begin at odd bytes, across the bounds of stretches."""
    even = made.write(tmp_path / "even.safetensors", None, torch.float16)
    data = even.path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    (tmp_path / "odd.safetensors").write_bytes(
        (length + 1).to_bytes(8, "little") + data[8 : 8 + length] + b" " + data[8 + length :]
    )
    odd = model_file(tmp_path / "odd.safetensors")
    monkeypatch.setattr(weights, "STRETCH", 65536)
    for dtype in (torch.float32, torch.float16):
        assert holds(load(odd, made, dtype), made, torch.float16)


def test_a_mount_that_went_away(made: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the file, how far it came and what to look at."""
    file = made.write(tmp_path / "far.safetensors")

    def stale(*_: object) -> int:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(weights.os, "preadv", stale)
    with pytest.raises(
        MissingFile, match=r"far\.safetensors: the storage it lies on went away.*Stale file"
    ) as error:
        load(file, made)
    assert "what is loaded goes on serving" in str(error.value)


def as_folder(made: Tiny, path: Path, *, variant: str = "", shards: bool = False) -> ModelFile:
    """The checkpoint as diffusers' `save_pretrained` writes it, with transformers' older names."""
    encoders = zip(made.family.text_encoders, made.modules.text_encoders, strict=True)
    parts = {"unet": made.modules.backbone, "vae": made.modules.vae,
             **{one.folder: module for one, module in encoders}}  # fmt: skip
    for part, module in parts.items():
        shutil.copytree(made.family.folder / part, path / part, dirs_exist_ok=True)
        stem = "model" if part.startswith("text") else "diffusion_pytorch_model"
        tensors = {name: one.contiguous() for name, one in module.state_dict().items()}
        if part.startswith("text"):
            tensors = {
                name if name.startswith("text_") else f"text_model.{name}": one
                for name, one in tensors.items()
            }
            tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
        if variant == "fp16":
            tensors = {name: one.half() if one.is_floating_point() else one for name, one in tensors.items()}
        ending = f".{variant}.safetensors" if variant else ".safetensors"
        if shards and part == "unet":
            names = sorted(tensors)
            halves = {1: names[::2], 2: names[1::2]}
            table = {name: f"{stem}-0000{n}-of-00002{ending}" for n, some in halves.items() for name in some}
            for n, some in halves.items():
                save_file(
                    {name: tensors[name] for name in some}, path / part / f"{stem}-0000{n}-of-00002{ending}"
                )
            index = f"{stem}.safetensors.index{f'.{variant}' if variant else ''}.json"
            (path / part / index).write_text(json.dumps({"metadata": {}, "weight_map": table}))
        else:
            save_file(tensors, path / part / f"{stem}{ending}")
    (path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    return ModelFile(path, path.name, Kind.CHECKPOINT, 1, 1.0)


@pytest.mark.parametrize(("variant", "shards"), [("", False), ("fp16", False), ("", True), ("fp16", True)])
def test_folders_of_diffusers(made: Tiny, tmp_path: Path, variant: str, shards: bool) -> None:
    """A folder loads as the single file does, whole or in shards, in full or half precision."""
    file = as_folder(made, tmp_path / "some model-1.0", variant=variant, shards=shards)
    assert holds(load(file, made), made, torch.float16 if variant else torch.float32)


def test_folders_with_two_encoders(tmp_path: Path) -> None:
    """SDXL's second encoder has a projection, whose names differ."""
    made = tiny(Architecture.SDXL, tmp_path / "family")
    assert holds(load(as_folder(made, tmp_path / "xl"), made), made)


def test_half_precision_is_read_where_it_is_wanted(made: Tiny, tmp_path: Path) -> None:
    """With both there, each precision takes its own."""
    file = as_folder(made, tmp_path / "both")
    as_folder(made, tmp_path / "both", variant="fp16")
    assert holds(load(file, made), made)
    os.truncate(tmp_path / "both/unet/diffusion_pytorch_model.safetensors", 100)
    assert holds(load(file, made, torch.float16), made, torch.float16)


def test_a_folder_is_one_model_of_the_store(made: Tiny, tmp_path: Path) -> None:
    """It is listed by its name, its own files are not, and the name with a dot in it is whole."""
    as_folder(made, tmp_path / "Stable-diffusion/anime/dream-1.5")
    made.write(tmp_path / "Stable-diffusion/plain.safetensors")
    store = Store(tmp_path, hashing=False)
    assert [file.name for file in store.checkpoints()] == ["anime/dream-1.5", "plain.safetensors"]
    found = store.find_checkpoint("dream-1.5")
    assert (found.stem, found.model_name, found.size > 10_000_000) == ("dream-1.5", "anime_dream-1.5", True)
    assert holds(load(found, made), made)
    assert not store.files(Kind.VAE)


def lose_unet(path: Path) -> None:
    (path / "unet/diffusion_pytorch_model.safetensors").unlink()


def only_pickles(path: Path) -> None:
    lose_unet(path)
    (path / "unet/diffusion_pytorch_model.bin").write_bytes(b"\x80\x02")


def lead_out(path: Path) -> None:
    lose_unet(path)
    index = {"weight_map": {"conv_in.weight": "../../../etc/passwd.safetensors"}}
    (path / "unet/diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def link_out(path: Path) -> None:
    lose_unet(path)
    (path / "unet/diffusion_pytorch_model.safetensors").symlink_to("/etc/hostname")


def another(path: Path) -> None:
    (path / "model_index.json").write_text('{"_class_name": "AuraFlowPipeline"}')


def damaged(path: Path) -> None:
    (path / "model_index.json").write_text('{"_class_name"')


@pytest.mark.parametrize(
    ("break_", "kind", "says"),
    [
        (lose_unet, Incomplete, "broken: it holds no weights in unet/"),
        (only_pickles, NotSafetensors, "there are only pickles"),
        (lead_out, LyingHeader, "lies outside of its folder"),
        (link_out, LyingHeader, "lies outside of its folder"),
        (another, UnknownArchitecture, "diffusers' AuraFlowPipeline"),
        (damaged, LyingHeader, "model_index.json is damaged"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_broken_folders(made: Tiny, tmp_path: Path, break_: Any, kind: type[Exception], says: str) -> None:
    """Each says what is wrong, by the folder's name, and nothing outside of it is read."""
    file = as_folder(made, tmp_path / "broken")
    break_(file.path)
    family = None if break_ in (another, damaged) else made.family
    with pytest.raises(kind, match=says):
        load_checkpoint(file, device=CPU, dtype=torch.float32, family=family)


def test_the_family_of_a_folder() -> None:
    """The configurations in the package are the published ones: each is told for what it is."""
    from easel.models import identify_folder
    from easel.studio.families import HERE

    for architecture in (Architecture.SD1, Architecture.SDXL, Architecture.SDXL_REFINER, Architecture.SD2_V):
        folder = HERE / architecture.value
        if not (folder / "model_index.json").exists():
            pytest.skip("the package's folders have no model_index.json")
        assert identify_folder(folder).architecture is architecture

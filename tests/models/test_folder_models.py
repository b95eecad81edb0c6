"""A checkpoint that is a folder of diffusers' is one model: listed, hashed, verified, removed as one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from easel.models import Kind, ModelFile, Store, UnknownModel, remove_model, sidecar_path, verify_model
from easel.models.model_folder import OddFolder, files_of, hash_of_folder, state_of_model
from scripts.__main__ import main
from tests.models.files import describe, raw

UNET = {"block_out_channels": [320, 640], "cross_attention_dim": 768, "in_channels": 4}
# As the module's own text says it, for whoever wants to see for themselves.
BY_HAND = (
    "find . -type f -not -path '*/.*' -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum"
)


def weights(path: Path, count: int = 1000, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return raw(path, describe({"w": (count,)}), bytes([seed]) * (2 * count))


def folder_model(root: Path, name: str = "anime/dream-1.5") -> Path:
    path = root / Kind.CHECKPOINT.folder / name
    weights(path / "unet" / "diffusion_pytorch_model.safetensors")
    weights(path / "vae" / "diffusion_pytorch_model.safetensors", seed=2)
    weights(path / "text_encoder" / "model.safetensors", seed=3)
    (path / "unet" / "config.json").write_text(json.dumps(UNET))
    (path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    return path


@pytest.fixture
def path(store: Store) -> Path:
    return folder_model(store.root)


def only(store: Store) -> ModelFile:
    (file,) = store.refresh()[Kind.CHECKPOINT]
    return file


def test_its_hash_is_one_that_anybody_can_compute(store: Store, path: Path) -> None:
    """The documented line of find, sort and sha256sum gives the same."""
    (path / "Z upper.txt").write_text("sorts before small letters")
    (path / ".cache").mkdir()
    (path / ".cache" / "x").write_text("not of the model")
    (path / "unet" / ".x.part").write_text("nor this")
    theirs = subprocess.run(["bash", "-c", BY_HAND], cwd=path, capture_output=True, text=True, check=True)
    assert hash_of_folder(path) == theirs.stdout.split()[0]


def test_the_hash_tells_names_and_bytes(path: Path) -> None:
    """A renamed file, a changed byte, a file more: each is another model."""
    seen = {hash_of_folder(path)}
    unet = path / "unet" / "diffusion_pytorch_model.safetensors"
    unet.rename(unet.with_name("model.safetensors"))
    seen.add(hash_of_folder(path))
    weights(unet.with_name("model.safetensors"), seed=9)
    seen.add(hash_of_folder(path))
    (path / "readme.md").write_text("")
    seen.add(hash_of_folder(path))
    assert len(seen) == 4


def test_the_index_has_it_as_one(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, size, family and hash of the folder; a second look reads no byte of it."""
    sha256 = store.hash_now(path)
    file = only(store)
    assert (file.name, file.sha256, file.hash) == ("anime/dream-1.5", sha256, sha256[:10])
    assert store.find_checkpoint(sha256[:10]) == file
    (entry,) = store.index(Kind.CHECKPOINT)
    assert (entry.sha256, entry.architecture, entry.precision, entry.problem) == (sha256, "sd1", "fp16", "")
    assert entry.autov3 == ""
    monkeypatch.setattr("easel.models.hashes.hash_of_folder", lambda *_: pytest.fail("read again"))
    assert Store(store.root, hashing=False).hash_now(path) == sha256


def test_it_is_hashed_in_the_background(store: Store, path: Path) -> None:
    """As a file is, and by whom it is read first for all."""
    there = Store(store.root)
    end = time.monotonic() + 20
    while not (found := there.find_checkpoint("dream-1.5")).sha256:
        assert time.monotonic() < end
        time.sleep(0.01)
    there.close()
    assert found.sha256 == hash_of_folder(path)
    assert only(store).sha256 == found.sha256


@pytest.mark.parametrize("how", ["written over", "replaced", "one more", "one less"])
def test_the_hash_follows_the_files(store: Store, path: Path, how: str) -> None:
    """What changed in it is not what was hashed, whatever the folder's own time says."""
    before = store.hash_now(path)
    unet = path / "unet" / "diffusion_pytorch_model.safetensors"
    status = path.stat()
    if how == "written over":
        weights(unet, seed=7)
    elif how == "replaced":
        time_of = unet.stat()
        weights(unet.with_name("new"), seed=7)
        os.utime(unet.with_name("new"), ns=(time_of.st_atime_ns, time_of.st_mtime_ns))
        os.replace(unet.with_name("new"), unet)
    elif how == "one more":
        weights(path / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    else:
        (path / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert only(store).sha256 == ""
    assert store.hash_now(path) not in ("", before)


def test_its_state_is_the_same_by_every_mount(store: Store, path: Path, tmp_path: Path) -> None:
    """Replicas mount the store where they like; what one has hashed the other knows."""
    sha256 = store.hash_now(path)
    (tmp_path / "elsewhere").symlink_to(store.root)
    there = tmp_path / "elsewhere" / Kind.CHECKPOINT.folder / "anime" / "dream-1.5"
    assert state_of_model(there) == state_of_model(path)
    assert Store(tmp_path / "elsewhere", hashing=False).find_checkpoint("dream-1.5").sha256 == sha256


def test_links_have_no_hash(store: Store, path: Path, tmp_path: Path) -> None:
    """A link could lead to something else tomorrow: it is said, and the folder is listed without a hash."""
    (tmp_path / "x.json").write_text("{}")
    (path / "x.json").symlink_to(tmp_path / "x.json")
    with pytest.raises(OddFolder, match=r"dream-1\.5: 'x\.json' in it is a link.*cp -rL"):
        files_of(path)
    assert store.hash_now(path) == ""
    assert only(store).sha256 == ""
    assert "is a link" in str(verify_model(store, only(store)).problem)


def test_verify_reads_all_of_it(store: Store, path: Path) -> None:
    """Every byte of every file; a lost bit, a cut file, a missing shard are each told by name."""
    verdict = verify_model(store, only(store))
    assert (verdict.known, verdict.problem, verdict.sha256) == (False, None, hash_of_folder(path))
    assert verify_model(store, only(store)).known
    unet = path / "unet" / "diffusion_pytorch_model.safetensors"
    status = unet.stat()
    with open(unet, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"?")
    os.utime(unet, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "its record says" in str(verify_model(store, only(store)).problem)
    os.truncate(unet, 100)
    assert "dream-1.5/unet/diffusion_pytorch_model.safetensors: the file is cut" in str(
        verify_model(store, only(store)).problem
    )
    unet.unlink()
    table = {"weight_map": {"w": "diffusion_pytorch_model-00001-of-00002.safetensors"}}
    (path / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(table))
    assert "00001-of-00002.safetensors: cannot be read" in str(verify_model(store, only(store)).problem)


def test_remove_takes_the_folder_and_what_is_beside_it(store: Store, path: Path) -> None:
    """All of it, its record, information and preview; its neighbour of nearly the same name stays whole."""
    neighbour = folder_model(store.root, "anime/dream-1.6")
    for model in (path, neighbour):
        store.hash_now(model)
        sidecar_path(model, ".civitai.info").write_text("{}")
        sidecar_path(model, ".preview.png").write_bytes(b"\x89PNG")
    assert sidecar_path(path, ".preview.png").name == "dream-1.5.preview.png"
    remove_model(store, store.find_checkpoint("dream-1.5"))
    assert sorted(one.name for one in path.parent.iterdir()) == [
        "dream-1.6", "dream-1.6.civitai.info", "dream-1.6.preview.png",
    ]  # fmt: skip
    assert store.find_checkpoint("dream-1.6").sha256 == hash_of_folder(neighbour)
    assert not list((store.root / ".easel").rglob("dream-1.5*"))
    with pytest.raises(UnknownModel):
        store.find_checkpoint("dream-1.5")


def test_a_removal_that_is_killed_leaves_no_half_model(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes by one rename: whoever looks then finds all of it or nothing. The next removal cleans up."""
    folder_model(store.root, "anime/other")

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_model(store, store.find_checkpoint("dream-1.5"))
    assert [file.name for file in Store(store.root, hashing=False).checkpoints()] == ["anime/other"]
    assert len(list(path.parent.iterdir())) == 2
    remove_model(store, store.find_checkpoint("other"))
    assert list(path.parent.iterdir()) == []


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """list, verify and remove as people type them."""
    path = folder_model(tmp_path / "models")
    monkeypatch.setenv("EASEL_HOME", str(tmp_path))
    easel: Callable[..., Any] = lambda *words: CliRunner().invoke(main, ["models", *words])  # noqa: E731
    done = easel("verify", "anime/dream-1.5")
    assert (done.exit_code, done.stdout) == (
        0, f"new    Stable-diffusion/anime/dream-1.5  {hash_of_folder(path)}\n",
    )  # fmt: skip
    assert easel("verify").stdout.startswith("whole")
    (row,) = json.loads(easel("list", "--json").stdout)
    size = sum(one.stat().st_size for one in path.rglob("*.safetensors"))
    assert (row["name"], row["sha256"], row["size"]) == ("anime/dream-1.5", hash_of_folder(path), size)
    (path / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"<html>")
    assert easel("verify").exit_code == 1
    assert easel("remove", "dream-1.5").stdout == "Stable-diffusion/anime/dream-1.5 is removed\n"
    assert not path.exists()

"""A model under another name: all of it comes along, nothing is written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from easel.models import Kind, Lock, MissingFile, ModelFile, NameTaken, Store, destination, rename_model
from tests.models.serving import model_bytes

BESIDE = (".civitai.info", ".json", ".preview.png", ".yaml")


def stored(store: Store, name: str) -> ModelFile:
    path = store.folder(Kind.LORA) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model_bytes(9_000))
    for ending in BESIDE:
        path.with_name(path.name.removesuffix(".safetensors") + ending).write_text(ending)
    store.refresh()
    return store.find(Kind.LORA, name)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models", hashing=False)


def test_everything_comes_along(store: Store) -> None:
    """Notes, information, preview, training and the record with its hash; nothing stays behind."""
    file = stored(store, "a/old.safetensors")
    sha256 = store.hash_now(file.path)
    store.remember(file.path, source="https://example.com/old")
    target = destination(store, Kind.LORA, "b/c", "neu ü.v2")
    rename_model(store, file, target)
    now = store.find(Kind.LORA, "b/c/neu ü.v2.safetensors")
    assert store.record(now.path).sha256 == sha256
    assert store.record(now.path).source == "https://example.com/old"
    for ending in BESIDE:
        assert (target.parent / f"neu ü.v2{ending}").read_text() == ending
    assert [one for one in (store.root / "Lora" / "a").iterdir() if not one.name.startswith(".")] == []


@pytest.mark.parametrize("taken", ["new.safetensors", "new"])
def test_never_over_another(store: Store, taken: str) -> None:
    """A file, or a link that leads nowhere, has the name: both stay as they are."""
    file = stored(store, "old.safetensors")
    target = store.folder(Kind.LORA) / "new.safetensors"
    if taken == "new":
        target.symlink_to("nowhere")
    else:
        target.write_bytes(b"another")
    with pytest.raises(NameTaken):
        rename_model(store, file, target)
    assert file.path.read_bytes() == model_bytes(9_000)
    assert target.is_symlink() or target.read_bytes() == b"another"


@pytest.mark.parametrize("at", ["old.safetensors", "new.safetensors"])
def test_not_while_a_download_goes_there(store: Store, at: str) -> None:
    """Neither from nor to a name that a download has."""
    file = stored(store, "old.safetensors")
    lock = Lock(store.folder(Kind.LORA) / f".{at}.lock")
    assert lock.try_take()
    with pytest.raises(NameTaken, match="download"):
        rename_model(store, file, store.folder(Kind.LORA) / "new.safetensors")
    lock.release()
    rename_model(store, file, store.folder(Kind.LORA) / "new.safetensors")


def test_what_is_gone(store: Store) -> None:
    """Somebody took it away meanwhile."""
    file = stored(store, "old.safetensors")
    file.path.unlink()
    with pytest.raises(MissingFile):
        rename_model(store, file, store.folder(Kind.LORA) / "new.safetensors")


def test_what_already_lies_beside_the_new_name_stays(store: Store) -> None:
    """Somebody's own picture of the new name is not written over."""
    file = stored(store, "old.safetensors")
    own = store.folder(Kind.LORA) / "new.preview.png"
    own.write_text("own")
    rename_model(store, file, store.folder(Kind.LORA) / "new.safetensors")
    assert own.read_text() == "own"

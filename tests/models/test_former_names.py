"""What a model was called before: it is found by it, and opened by it, until another model is called so."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest

from easel.models import (
    Kind,
    ModelFile,
    Store,
    UnknownModel,
    destination,
    open_model,
    path_now,
    read_header,
    remove_model,
    rename_model,
)
from tests.models.serving import model_bytes
from tests.models.test_folder_models import folder_model

OLD, NEW = "art/old name.safetensors", "new/now.safetensors"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models", hashing=False)


def stored(store: Store, name: str = OLD, kind: Kind = Kind.CHECKPOINT, seed: int = 1) -> ModelFile:
    path = store.folder(kind) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model_bytes(9_000, seed=seed))
    store.refresh()
    return store.find(kind, name)


def renamed(store: Store, file: ModelFile, name: str) -> ModelFile:
    folder, _, last = name.rpartition("/")
    rename_model(store, file, destination(store, file.kind, folder, last))
    return store.find(file.kind, name)


@pytest.mark.parametrize(
    "said", [OLD, "old name", "OLD NAME", "art_old name", r"art\old name.safetensors", f"{OLD} [0123456789]"]
)
def test_found_by_all_its_old_names(store: Store, said: str) -> None:
    """As before it was renamed, here and by a replica that looked at the store before."""
    other = Store(store.root, hashing=False)
    file = stored(store)
    assert other.find_checkpoint(OLD).name == OLD
    renamed(store, file, NEW)
    other.refresh()
    for one in (store, other, Store(store.root, hashing=False)):
        assert [each.name for each in one.checkpoints()] == [NEW]
        assert one.find_checkpoint(said).name == NEW
    assert store.formerly(Kind.CHECKPOINT) == {NEW: [OLD]}
    assert store.formerly(Kind.LORA) == {}


def test_what_is_in_somebodys_hands_is_opened_where_it_is(store: Store) -> None:
    """A replica that found it before, and opens it only now: header and bytes, after two renamings too."""
    other = Store(store.root, hashing=False)
    file = stored(store)
    held = other.find_checkpoint(OLD)
    now = renamed(store, renamed(store, file, NEW), "third.safetensors")
    assert path_now(held.path) == now.path
    assert len(read_header(held.path).tensors) == len(read_header(now.path).tensors)
    reader = open_model(held.path)
    assert reader.size == now.size
    reader.close(whole=True)


def test_a_folder_and_its_parts(store: Store) -> None:
    """One model: each of its files is found by where it lay."""
    path = folder_model(store.root, "anime/dream-1.5")
    part = next(path.rglob("*.safetensors"))
    rename_model(store, store.find_checkpoint("dream-1.5"), path.with_name("dream-2"))
    assert path_now(part) == path.with_name("dream-2") / part.relative_to(path)
    assert store.find_checkpoint("dream-1.5").name == "anime/dream-2"


def test_another_model_takes_the_name(store: Store) -> None:
    """From then on the name is its own; the one that had it before keeps only its newer one."""
    file = renamed(store, stored(store), NEW)
    fresh = stored(store, seed=2)
    assert store.find_checkpoint(OLD) == fresh
    assert path_now(fresh.path) == fresh.path
    assert store.formerly(Kind.CHECKPOINT) == {}
    renamed(store, file, "third.safetensors")
    remove_model(store, fresh)
    with pytest.raises(UnknownModel):
        store.find_checkpoint("old name")


def test_back_to_its_first_name(store: Store) -> None:
    """Then only the one between is a former one."""
    renamed(store, renamed(store, stored(store), NEW), OLD)
    assert store.find_checkpoint("now").name == OLD
    assert store.formerly(Kind.CHECKPOINT) == {OLD: [NEW]}


def test_what_is_removed_is_not_found_by_any_name(store: Store) -> None:
    """Nor is a model that later gets the newer name."""
    remove_model(store, renamed(store, stored(store), NEW))
    stored(store, NEW, seed=2)
    with pytest.raises(UnknownModel):
        store.find_checkpoint("old name")


def test_of_two_that_were_called_so_none_is_guessed(store: Store) -> None:
    """The same file name in two folders: by its path each is found."""
    for folder, seed in (("a", 1), ("b", 2)):
        renamed(store, stored(store, f"{folder}/twin.safetensors", seed=seed), f"{folder}-now.safetensors")
    assert store.find_checkpoint("a/twin").name == "a-now.safetensors"
    with pytest.raises(UnknownModel):
        store.find_checkpoint("twin")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"a": 1}', "[" * 100_000, '{"Stable-diffusion/x": "/etc"}']
)
def test_nonsense_in_the_table(store: Store, text: str) -> None:
    """It says nothing, leads nowhere, and is written anew."""
    file = stored(store)
    table = store.root / ".easel" / "former.json"
    table.parent.mkdir(exist_ok=True)
    table.write_text(text)
    with pytest.raises(UnknownModel):
        store.find_checkpoint("x.safetensors")
    renamed(store, file, NEW)
    assert store.find_checkpoint(OLD).name == NEW


def test_the_table_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest names are forgotten first."""
    monkeypatch.setattr("easel.models.former_names.MOST", 2)
    file = stored(store, "0.safetensors")
    for number in range(1, 5):
        file = renamed(store, file, f"{number}.safetensors")
    assert list(json.loads((store.root / ".easel" / "former.json").read_text())) == [
        "Stable-diffusion/3.safetensors", "Stable-diffusion/2.safetensors",
    ]  # fmt: skip


def test_two_replicas_at_once_lose_no_name(store: Store) -> None:
    """Both write one table."""
    files = [stored(store, f"{number}.safetensors", seed=number) for number in range(8)]
    replicas = [Store(store.root, hashing=False) for _ in range(2)]

    def work(number: int) -> None:
        for file in files[number::2]:
            renamed(replicas[number], file, f"now-{file.name}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.refresh()
    assert {store.find_checkpoint(file.name).name for file in files} == {f"now-{file.name}" for file in files}


def test_a_store_that_cannot_keep_it(store: Store) -> None:
    """The model is renamed all the same."""
    file = stored(store)
    (store.root / ".easel" / "former.json").mkdir(parents=True)
    assert renamed(store, file, NEW).name == NEW
    shutil.rmtree(store.root / ".easel" / "former.json")
    with pytest.raises(UnknownModel):
        store.find_checkpoint("old name")

"""Which checkpoint draws what names none."""

from __future__ import annotations

from pathlib import Path

import pytest

from easel.models import Kind, Store
from easel.studio.engine.checkpoints.default_checkpoint import STARTER, DefaultCheckpoint
from easel.studio.engine.errors import NoCheckpoint


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models", hashing=False)


def put(store: Store, *names: str) -> None:
    for name in names:
        path = store.folder(Kind.CHECKPOINT) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    store.refresh()


def default(store: Store, named: str | None = None) -> DefaultCheckpoint:
    """As a start of the studio makes it."""
    return DefaultCheckpoint(store, named, store.root / ".easel" / "served" / "studio.json")


def test_the_order_of_the_rules(store: Store) -> None:
    """The operator's, else the one that served last, else the starter, else the first with a word."""
    put(store, "b.safetensors", "c.safetensors")
    file, note = default(store).find()
    assert file.name == "b.safetensors"
    assert "the first of 2" in note
    put(store, STARTER)
    assert default(store).find()[0].name == STARTER
    assert default(store).find()[1] == ""
    default(store).served(store.find_checkpoint("c"))
    assert default(store).find()[0].name == "c.safetensors"
    assert default(store).find()[1] == ""
    assert default(store, "b").find()[0].name == "b.safetensors"


def test_what_somebody_adds_changes_nobodys(store: Store) -> None:
    """An upload whose name comes first: neither now nor after a restart."""
    put(store, "m.safetensors")
    running = default(store)
    running.served(running.find()[0])
    assert running.find()[1] == ""
    put(store, "a.safetensors", STARTER)
    assert running.find()[0].name == "m.safetensors"
    assert default(store).find()[0].name == "m.safetensors"


def test_what_others_draw_with_changes_nothing_while_it_runs(store: Store) -> None:
    """Somebody's own choice serves, and the default of everybody else stays as it was."""
    put(store, "m.safetensors", "n.safetensors", STARTER)
    running = default(store)
    assert running.find()[0].name == STARTER
    running.served(store.find_checkpoint("n"))
    assert running.find()[0].name == STARTER


def test_the_named_one_is_not_there_yet(store: Store) -> None:
    """It is said, the next rule holds, and once it has come it is taken."""
    put(store, "m.safetensors", STARTER)
    running = default(store, "dream")
    file, note = running.find()
    assert file.name == STARTER
    assert "'dream'" in note
    assert f"{STARTER} is drawn with instead" in note
    put(store, "dream.safetensors")
    assert running.find() == (store.find_checkpoint("dream"), "")


def test_the_last_one_is_gone(store: Store) -> None:
    """Its file was removed: the next rule, and no error."""
    put(store, "m.safetensors", STARTER)
    default(store).served(store.find_checkpoint("m"))
    (store.folder(Kind.CHECKPOINT) / "m.safetensors").unlink()
    store.refresh()
    assert default(store).find()[0].name == STARTER


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"checkpoint": null}', '{"checkpoint": 7}', "\x00", "[" * 9999]
)
def test_a_memory_that_cannot_be_read(store: Store, text: str) -> None:
    """Garbage is forgotten."""
    put(store, STARTER, "a.safetensors")
    memory = store.root / ".easel" / "served" / "studio.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(text)
    assert default(store).find()[0].name == STARTER


def test_a_memory_that_cannot_be_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs the memory and no picture."""

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    put(store, "a.safetensors")
    monkeypatch.setattr("easel.studio.engine.checkpoints.default_checkpoint.write_whole", full)
    default(store).served(store.find_checkpoint("a"))


def test_no_checkpoint(store: Store) -> None:
    """Nothing there is an error that says what to do."""
    with pytest.raises(NoCheckpoint, match="put a"):
        default(store, "dream").find()

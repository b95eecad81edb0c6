"""GGUF files in the store: listed, named, brought in and looked after as safetensors are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from easel.models import (
    CutShort,
    FileError,
    Intake,
    Kind,
    ModelRequest,
    NotAModel,
    NotSafetensors,
    Store,
    Unsafe,
    Uploads,
    destination,
    remove_model,
    rename_model,
    sidecar_path,
    sync,
    verify_model,
)
from tests.models.civitai_stand_in import Civitai, file, version
from tests.models.gguf_files import gguf_bytes
from tests.models.layouts import flux_transformer
from tests.models.serving import Serving, serving, sha256

Make = Callable[..., Intake]
# As flat as the family is told by: the file of a test has some kilobytes.
FLAT = {
    name: shape if name == "img_in.weight" else tuple(256 for _ in shape)
    for name, shape in flux_transformer().items()
}
FLUX = gguf_bytes({**FLAT, "img_in.weight": (256, 64)}, "Q8_0", {"general.architecture": "flux"})
NOTED = gguf_bytes({**FLAT, "img_in.weight": (256, 64)}, "Q8_0", {"note": "x" * 400_000})


def put(store: Store, name: str, content: bytes = FLUX, kind: Kind = Kind.CHECKPOINT) -> Path:
    path = store.folder(kind) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_listed_and_named(store: Store) -> None:
    """By all of A1111's names; with what the header says, and what lies beside it."""
    path = put(store, "new/flux1-dev-Q8_0.GGUF")
    (file,) = store.checkpoints()
    assert (file.name, file.stem, file.model_name) == (
        "new/flux1-dev-Q8_0.GGUF",
        "flux1-dev-Q8_0",
        "new_flux1-dev-Q8_0",
    )
    for name in ("flux1-dev-Q8_0", "new/flux1-dev-Q8_0.GGUF", "flux1-dev-q8_0.gguf", "new_flux1-dev-Q8_0"):
        assert store.find_checkpoint(name).path == path
    beside = sidecar_path(path, ".civitai.info")
    assert beside == path.with_name("flux1-dev-Q8_0.civitai.info")
    beside.write_text(json.dumps({"baseModel": "Flux.1 D", "trainedWords": ["w"]}))
    (entry,) = store.index(Kind.CHECKPOINT)
    assert (entry.architecture, entry.precision, entry.problem) == ("flux-dev", "q8_0", "")
    assert entry.trained_words == ("w",)
    assert store.hash_now(path) == sha256(FLUX)
    assert verify_model(store, store.checkpoints()[0]).problem is None


def test_kinds_that_come_so(store: Store) -> None:
    """Nobody packs a LoRA as GGUF: such a file is not listed among them."""
    for kind in Kind:
        put(store, "a.gguf", kind=kind)
    listed = {kind for kind in Kind if store.files(kind)}
    assert listed == {Kind.CHECKPOINT, Kind.TEXT_ENCODER, Kind.VAE}


def test_brought_in(server: Serving, store: Store, intake: Make) -> None:
    """From an address, with its ending or without; the header tells the folder and is checked."""
    server.put("/flux.gguf", FLUX)
    added = intake().add(ModelRequest(f"{server.url}/flux.gguf"))
    assert (added.file.kind, added.file.name) == (Kind.CHECKPOINT, "flux.gguf")
    assert added.record.sha256 == sha256(FLUX)
    assert added.record.autov3 == ""
    assert added.file.path.read_bytes() == FLUX
    # The header goes on behind the first look from afar.
    server.put("/noted.gguf", NOTED)
    assert intake().add(ModelRequest(f"{server.url}/noted.gguf")).file.kind is Kind.CHECKPOINT
    done = sync(store, [f"{server.url}/flux.gguf"], intake())
    assert not done.failed


def test_copied_renamed_removed(store: Store, intake: Make, tmp_path: Path) -> None:
    """A file of this machine; another name; gone, with what lay beside it."""
    (tmp_path / "mine.gguf").write_bytes(FLUX)
    added = intake().add(ModelRequest(f"file:{tmp_path}/mine.gguf"))
    sidecar_path(added.file.path, ".civitai.info").write_text("{}")
    rename_model(store, added.file, destination(store, Kind.CHECKPOINT, "", "other.gguf"))
    (file,) = store.checkpoints()
    assert file.name == "other.gguf"
    assert sidecar_path(file.path, ".civitai.info").exists()
    remove_model(store, file)
    assert not list(store.folder(Kind.CHECKPOINT).glob("*.*"))


def test_what_is_refused(server: Serving, store: Store, intake: Make) -> None:
    """Cut, of a kind that is never read so, or under the other format's name: nothing is left of it."""
    server.put("/cut.gguf", FLUX[: len(FLUX) - 5000])
    server.put("/page.gguf", b"<!DOCTYPE html><html>" + bytes(5000))
    server.put("/flux.safetensors", FLUX)
    with pytest.raises(CutShort):
        intake().add(ModelRequest(f"{server.url}/cut.gguf"))
    with pytest.raises(NotAModel, match="web page"):
        intake().add(ModelRequest(f"{server.url}/page.gguf"))
    with pytest.raises(NotAModel, match=r"give it the ending \.gguf"):
        intake().add(ModelRequest(f"{server.url}/flux.safetensors"))
    with pytest.raises(NotSafetensors, match="not as a LoRA"):
        intake().add(ModelRequest(f"{server.url}/cut.gguf", Kind.LORA))
    assert not list(store.root.glob("*/*.*"))


@pytest.mark.parametrize("piece", [1000, 100_000])
def test_uploaded(store: Store, piece: int) -> None:
    """In pieces of any size; where it belongs is told once its header is there."""
    uploads = Uploads(store)
    upload = uploads.begin("ada", "flux.gguf", len(NOTED))
    for at in range(0, len(NOTED), piece):
        with uploads.taking(uploads.find("ada", upload.id), at) as taking:
            uploads.learn(taking, NOTED[at : at + piece])
    done = uploads.finish(uploads.find("ada", upload.id))
    assert done.path == "Stable-diffusion/flux.gguf"
    assert (store.root / done.path).read_bytes() == NOTED


def test_an_upload_that_lies(store: Store) -> None:
    """Refused at its first bytes, not after its last."""
    uploads = Uploads(store)
    upload = uploads.begin("ada", "flux.gguf", 1_000_000_000)
    with pytest.raises(FileError, match="claims"), uploads.taking(upload, 0) as taking:
        uploads.learn(taking, b"GGUF\x03\x00\x00\x00" + b"\xff" * 16)


def test_from_civitai(server: Serving, store: Store, intake: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that is offered as GGUF is taken, a pickle that is called so is not."""
    monkeypatch.setenv("CIVITAI_ENDPOINT", server.url)
    with serving() as storage:
        civitai = Civitai(server, storage)
        own = file(FLUX, name="flux_Q8.gguf", metadata={"format": "GGUF"})
        civitai.publish(version(files=[own], baseModel="Flux.1 D"), content=FLUX)
        added = intake().add(ModelRequest("civitai://models/4384"))
        assert (added.file.name, added.record.sha256) == ("flux_Q8.gguf", sha256(FLUX))
        odd = file(FLUX, name="x.gguf", metadata={"format": "PickleTensor"})
        civitai.publish(version(7, model=9, files=[odd]))
        with pytest.raises(Unsafe, match="something else than safetensors or GGUF"):
            intake().add(ModelRequest("civitai://models/9?version=7"))

"""Pickles into safetensors: what holds tensors comes in whole, what holds anything else does nothing."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from easel.models import Kind, NameTaken, NotConverted, OverQuota, Store, convert_pickle, read_header
from easel.models.conversion import convert
from tests.models.conftest import leftovers
from tests.models.warm_cell import WarmCell, warm_cell

torch = pytest.importorskip("torch")
Maker = Callable[[Path, Path], None]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCell]:
    with warm_cell(tmp_path_factory.mktemp("cell")) as found:
        yield found


@pytest.fixture
def quick(warm: WarmCell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversions that import torch once for all. The tests without this hold how a process of its own starts
    and is stopped."""
    monkeypatch.setattr(convert.subprocess, "Popen", warm.start)


def vae() -> dict[str, object]:
    return {"decoder.conv_in.weight": torch.arange(24.0).reshape(2, 3, 2, 2).half(),
            "encoder.conv_in.weight": torch.ones(3, 4).T, "decoder.count": torch.tensor(7)}  # fmt: skip


def into(store: Store, path: Path, **how: object) -> Path:
    return convert_pickle(path, store, **how).file.path  # type: ignore[arg-type]


def read(path: Path) -> dict[str, object]:
    from safetensors.torch import load_file

    found: dict[str, object] = load_file(path)
    return found


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before torch 1.6"])
def test_tensors_come_in(store: Store, tmp_path: Path, new: bool) -> None:
    """Both formats of torch: each tensor as it was, also one that is a view; the kind told by its tensors."""
    path = tmp_path / "old.ckpt"
    lightning = {"state_dict": vae(), "epoch": 3, "global_step": 7}
    torch.save(lightning, path, _use_new_zipfile_serialization=new)
    before = path.read_bytes()
    done = convert_pickle(path, store)
    assert (done.file.kind, done.file.name, done.tensors, done.left_out) == (
        Kind.VAE,
        "old.safetensors",
        3,
        2,
    )
    found = read(done.file.path)
    assert found.keys() == vae().keys()
    assert all(torch.equal(found[name], one) for name, one in vae().items())
    assert store.record(done.file.path).sha256 == done.sha256 == store.hash_now(done.file.path)
    assert path.read_bytes() == before
    assert not leftovers(store.root)
    if os.geteuid() == 0:
        assert done.cut_off == "namespace"


@pytest.mark.usefixtures("quick")
def test_notes_of_lightning_do_no_harm(store: Store, tmp_path: Path) -> None:
    """The first published SD checkpoints name Lightning's classes in their notes, names only."""
    path = tmp_path / "sd.ckpt"
    data = _pickled(b"cpytorch_lightning.callbacks.model_checkpoint\nModelCheckpoint\n", tensors=True)
    _archive(path, data)
    assert read(into(store, path, kind=Kind.VAE)).keys() == {"w"}


@pytest.mark.usefixtures("quick")
def test_an_embedding(store: Store, tmp_path: Path) -> None:
    """A textual inversion of A1111's has its vectors one level further down. The quota holds for it, too."""
    path = tmp_path / "style.pt"
    torch.save(
        {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.ones(2, 768)}, "name": "s"}, path
    )
    with pytest.raises(OverQuota):
        convert_pickle(path, store, quota=6000)
    assert not [one for one in store.root.rglob("*") if one.is_file()]
    done = convert_pickle(path, store, quota=7000)
    assert done.file.kind is Kind.EMBEDDING
    assert read(done.file.path)["emb_params"].shape == (2, 768)  # type: ignore[attr-defined]


class Command:
    def __init__(self, line: str) -> None:
        self.line = line

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.line,)


def _pickled(asks: bytes, *, tensors: bool = False) -> bytes:
    """Protocol 2 by hand: a table whose first key is what `asks` gets, and a tensor if wanted."""
    data = b"\x80\x02}" + asks + b"K\x01s"
    if tensors:
        data += (b"X\x01\x00\x00\x00w" b"ctorch._utils\n_rebuild_tensor_v2\n(("
                 b"X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"
                 b"K\x00K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs")  # fmt: skip
    return data + b"."


def _archive(path: Path, data: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a/data.pkl", data)
        archive.writestr("a/byteorder", "little")
        archive.writestr("a/data/0", struct.pack("<2f", 1, 2))
        archive.writestr("a/version", "3\n")
    return path


def runs_a_command(path: Path, mark: Path) -> None:
    torch.save({"w": torch.ones(2), "x": Command(f"touch {mark}")}, path)


def runs_a_command_old(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(Command(f"touch {mark}"), protocol=2))


def evaluates(path: Path, mark: Path) -> None:
    text = f"open({str(mark)!r},'w')".encode()
    asks = b"cbuiltins\neval\n(X" + struct.pack("<I", len(text)) + text + b"tR"
    _archive(path, _pickled(asks))


def laughs(path: Path, mark: Path) -> None:
    """Each tuple holds the one before it twice: 2^60 of them for whoever walks through."""
    data = b"\x80\x02}X\x01\x00\x00\x00wK\x01" + b"q\x00" + b"h\x00\x86q\x01" + b"h\x01h\x01\x86q\x01" * 60
    _archive(path, data + b"s.")


def huge_view(path: Path, mark: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(1 << 40)}, path)


def huge_storage(path: Path, mark: Path) -> None:
    """A storage, and a tensor on it, that say they are 4 TB."""
    many = b"\x8a\x06\x00\x00\x00\x00\x00\x01"
    data = _pickled(b"K\x05", tensors=True)
    data = data.replace(b"K\x02tQ", many + b"tQ").replace(b"K\x00K\x02\x85", b"K\x00" + many + b"\x85")
    _archive(path, data)


def bomb(path: Path, mark: Path) -> None:
    _archive(path, b"\x80\x02" + b"K\x010" * 20_000_000 + b"}.", zipfile.ZIP_DEFLATED)


def no_tensors(path: Path, mark: Path) -> None:
    torch.save({"a": 1, "b": "text"}, path)


def cut(path: Path, mark: Path) -> None:
    torch.save(vae(), path)
    os.truncate(path, path.stat().st_size * 2 // 3)


def web_page(path: Path, mark: Path) -> None:
    path.write_text("<!DOCTYPE html><title>Sign in</title>")


def safetensors(path: Path, mark: Path) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.ones(2)}, path)


def torchscript(path: Path, mark: Path) -> None:
    """DWPose's and DensePose's networks are also published so."""
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))


HOSTILE = [
    (torchscript, "it is TorchScript, which is a program"),
    (runs_a_command_old, "it asks for posix.system|plain tensors"),
    (evaluates, r"it asks for (builtins\.)?eval, which is no tensor"),
    (laughs, "plain tensors|no tensors"),
    (huge_view, "larger than the file"),
    (huge_storage, "plain tensors|memory|larger"),
    (bomb, "packed in a way"),
    (no_tensors, "it holds no tensors"),
    (cut, "damaged|plain tensors"),
    (web_page, "this is a web page"),
    (safetensors, "safetensors file already"),
]


def test_a_command_does_not_run(store: Store, tmp_path: Path) -> None:
    """In the process that reads pickles for people, started as it is for them."""
    _refused(store, tmp_path, runs_a_command, "it asks for posix.system")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("make", "says"), HOSTILE, ids=[one[0].__name__ for one in HOSTILE])
def test_what_is_no_model_does_nothing(store: Store, tmp_path: Path, make: Maker, says: str) -> None:
    """It is refused with a reason, nothing of it runs, and nothing is left in the store."""
    _refused(store, tmp_path, make, says)


def _refused(store: Store, tmp_path: Path, make: Maker, says: str) -> None:
    path, mark = tmp_path / "bad.ckpt", tmp_path / "it-ran"
    make(path, mark)
    with pytest.raises(NotConverted, match=says):
        convert_pickle(path, store, kind=Kind.CHECKPOINT)
    assert not mark.exists()
    assert not [one for one in store.root.rglob("*") if one.is_file()]


def test_time_runs_out(store: Store, tmp_path: Path) -> None:
    """A conversion that takes too long is stopped, and leaves nothing."""
    torch.save(vae(), tmp_path / "slow.ckpt")
    with pytest.raises(NotConverted, match="was stopped"):
        convert_pickle(tmp_path / "slow.ckpt", store, seconds=0.05)
    assert not [one for one in store.root.rglob("*") if one.is_file()]


@pytest.mark.usefixtures("quick")
def test_never_over_another_file(store: Store, tmp_path: Path) -> None:
    """A file of the name stays what it is."""
    torch.save(vae(), tmp_path / "mine.ckpt")
    theirs = store.folder(Kind.VAE) / "mine.safetensors"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    with pytest.raises(NameTaken):
        convert_pickle(tmp_path / "mine.ckpt", store)
    assert theirs.read_bytes() == b"theirs"
    assert read_header(into(store, tmp_path / "mine.ckpt", name="other")).tensors


CELL = """
import os, socket, subprocess, sys
from easel.models.conversion import cell
print(cell._leave_network() or "hook")
import json
cell._lock(1 << 20, 60)
def tried(what):
    try:
        what()
    except cell.PickleRefused:
        return True
    return False
print(all([
    tried(lambda: socket.socket()), tried(lambda: os.system("true")), tried(os.fork),
    tried(lambda: subprocess.run(["true"])), tried(lambda: open(sys.argv[1], "w")),
    tried(lambda: os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)),
    tried(lambda: os.execv("/bin/true", ["true"])),
]))
try:
    bytearray(3_000_000_000)
except MemoryError:
    print("no memory")
sys.stdout.flush(); os._exit(0)
"""


def test_the_cell_is_shut(tmp_path: Path) -> None:
    """Even code that runs in there gets no socket, no program, no file and no memory."""
    import subprocess
    import sys

    root = Path(__file__).parents[2]
    line = [sys.executable, "-c", CELL, str(tmp_path / "file")]
    done = subprocess.run(line, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(root / "image")}, timeout=60)  # fmt: skip
    assert done.stdout.splitlines()[1:] == ["True", "no memory"], done.stdout + done.stderr
    assert not (tmp_path / "file").exists()

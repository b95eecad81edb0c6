"""What cannot be loaded says so, leaves nothing behind, and takes nothing from the checkpoint that serves."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from easel.models import (
    Architecture,
    CutShort,
    FileError,
    Incomplete,
    Kind,
    LyingHeader,
    MissingFile,
    ModelError,
    ModelFile,
    NotSafetensors,
    UnknownArchitecture,
    WrongKind,
)
from easel.studio.engine.checkpoints import checkpoint_parts
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.loading import checkpoint_loading as loading
from easel.studio.engine.loading import placing
from easel.studio.engine.loading.checkpoint_loading import TooLarge, load_checkpoint, load_vae
from easel.studio.engine.memory import device_memory as memory
from easel.studio.engine.tensors import weights
from tests.studio.engine import export
from tests.studio.engine.loading.test_loading import run_unet
from tests.studio.engine.tiny import Tiny, model_file, tiny

CPU = torch.device("cpu")
Break = Callable[[Tiny, Path], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(Architecture.SD1, tmp_path_factory.mktemp("families"))


@pytest.fixture(scope="module")
def serving(made: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint that people draw with while others fail to load."""
    file = made.write(tmp_path_factory.mktemp("serving") / "serving.safetensors")
    return load_checkpoint(file, device=CPU, dtype=torch.float32, family=made.family)


def load(file: ModelFile, made: Tiny) -> Checkpoint:
    return load_checkpoint(file, device=CPU, dtype=torch.float32, family=made.family)


def cut(made: Tiny, path: Path) -> None:
    made.write(path)
    os.truncate(path, path.stat().st_size * 3 // 10)


def web_page(made: Tiny, path: Path) -> None:
    path.write_text("<!DOCTYPE html><title>Sign in</title>")


def damaged(made: Tiny, path: Path) -> None:
    made.write(path)
    data = bytearray(path.read_bytes())
    data[20] = 0xFF
    path.write_bytes(data)


def too_few(made: Tiny, path: Path) -> None:
    tensors = made.tensors()
    del tensors["model.diffusion_model.middle_block.1.proj_in.weight"]
    save_file(tensors, path)


def no_text(made: Tiny, path: Path) -> None:
    save_file({name: one for name, one in made.tensors().items() if not name.startswith("cond_stage")}, path)


def other_width(made: Tiny, path: Path) -> None:
    tensors = made.tensors()
    name = "model.diffusion_model.out.2.weight"
    tensors[name] = torch.zeros(4, 99, 3, 3)
    save_file(tensors, path)


def integers(made: Tiny, path: Path) -> None:
    tensors = made.tensors()
    name = "model.diffusion_model.out.2.weight"
    tensors[name] = tensors[name].to(torch.int8)
    save_file(tensors, path)


def folder(made: Tiny, path: Path) -> None:
    path.mkdir()


BROKEN: list[tuple[Break, type[ModelError], str]] = [
    (cut, CutShort, r"the file is cut short: 6\.4 of 21\.5 MB; download it again"),
    (web_page, NotSafetensors, "this is a web page"),
    (damaged, LyingHeader, "the header is damaged"),
    (
        too_few,
        Incomplete,
        r"1 of 684 tensors of its UNet are missing, the first is mid_block\.attentions\.0\.proj_in",
    ),
    (no_text, Incomplete, "it holds no text encoder"),
    (other_width, Incomplete, r"conv_out\.weight of its UNet is 4x99x3x3 where 4x32x3x3 is expected"),
    (integers, Incomplete, "is stored as I8"),
    (folder, MissingFile, "cannot be read"),
]


@pytest.mark.parametrize(("break_", "kind", "says"), BROKEN, ids=[one[0].__name__ for one in BROKEN])
def test_broken_files(
    made: Tiny, serving: Checkpoint, tmp_path: Path, break_: Break, kind: type[ModelError], says: str
) -> None:
    """Each way a file can be wrong has its own error with the file's name; who serves goes on as before."""
    before = run_unet(serving.backbone)
    path = tmp_path / "broken.safetensors"
    break_(made, path)
    with pytest.raises(kind, match=says) as error:
        load(model_file(path), made)
    assert str(error.value).startswith("broken.safetensors: ")
    assert torch.equal(run_unet(serving.backbone), before)


def test_a_file_that_is_gone(made: Tiny, tmp_path: Path) -> None:
    """A file that was removed since the store looked is an error about that file."""
    with pytest.raises(MissingFile, match=r"gone\.safetensors: cannot be read \(No such file"):
        load(ModelFile(tmp_path / "gone.safetensors", "gone.safetensors", Kind.CHECKPOINT, 1, 1.0), made)


def test_kinds_are_told_before_anything_is_built(made: Tiny, tmp_path: Path) -> None:
    """Without a family given, a LoRA, a VAE and an unknown model are refused by what they are."""
    path = tmp_path / "x.safetensors"
    save_file({"lora_unet_mid.lora_down.weight": torch.zeros(4, 4)}, path)
    with pytest.raises(WrongKind, match="this is a LoRA, not a checkpoint; it belongs in models/Lora"):
        load_checkpoint(model_file(path), device=CPU, dtype=torch.float32)
    save_file({name: one.contiguous() for name, one in export.vae(made.modules.vae).items()}, path)
    with pytest.raises(WrongKind, match="a VAE, not a checkpoint; it belongs in models/VAE"):
        load_checkpoint(model_file(path), device=CPU, dtype=torch.float32)
    save_file({"model.diffusion_model.double_layers.0.attn.w2q.weight": torch.zeros(4, 4)}, path)
    with pytest.raises(
        UnknownArchitecture, match=r"an AuraFlow model, which the studio does not draw with yet"
    ):
        load_checkpoint(model_file(path), device=CPU, dtype=torch.float32)


def test_files_that_are_no_vae(made: Tiny, tmp_path: Path) -> None:
    """A checkpoint or LoRA given as VAE is named; a VAE of another shape says where it differs."""
    path = tmp_path / "v.safetensors"

    def vae() -> object:
        return load_vae(model_file(path, Kind.VAE), made.family, device=CPU, dtype=torch.float32)

    made.write(path)
    with pytest.raises(WrongKind, match="a checkpoint or another model, not a VAE"):
        vae()
    save_file({"a.lora_down.weight": torch.zeros(4, 4)}, path)
    with pytest.raises(WrongKind, match="a LoRA, not a VAE; it belongs in models/Lora"):
        vae()
    tensors = {name: one.contiguous() for name, one in export.vae(made.modules.vae).items()}
    save_file({**tensors, "decoder.conv_in.weight": torch.zeros(32, 16, 3, 3)}, path)
    with pytest.raises(Incomplete, match=r"decoder\.conv_in\.weight of its VAE is 32x16x3x3 where 32x4x3x3"):
        vae()


def tensors_alive() -> int:
    gc.collect()
    return sum(
        isinstance(one, torch.Tensor) and one.numel() > 1000 and not one.is_meta for one in gc.get_objects()
    )


def test_a_failure_half_way_leaves_nothing(
    made: Tiny, serving: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is cut while it is read: a CutShort that holds no tensor, even while the error is kept."""
    path = tmp_path / "shrinking.safetensors"
    file = made.write(path)
    before, answer = tensors_alive(), run_unet(serving.backbone)
    monkeypatch.setattr(weights, "STRETCH", 1 << 20)
    reads = iter(range(10**6))
    preadv = os.preadv

    def shrink(fd: int, buffers: list[memoryview], offset: int) -> int:
        if next(reads) == 5:
            os.truncate(path, 10_000_000)
        return preadv(fd, buffers, offset)

    monkeypatch.setattr(weights.os, "preadv", shrink)
    with pytest.raises(CutShort, match=r"of 21\.5 MB; download it again") as error:
        load(file, made)
    assert tensors_alive() == before
    assert error.value.__traceback__ is not None
    assert torch.equal(run_unet(serving.backbone), answer)


def test_a_disk_that_fails(made: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk or the network under it names the file, can be tried again, and keeps nothing."""
    file = made.write(tmp_path / "far.safetensors")
    before = tensors_alive()

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(weights.os, "preadv", fail)
    with pytest.raises(
        MissingFile, match=r"far\.safetensors: reading it failed \(Input/output error\); try again"
    ) as error:
        load(file, made)
    assert isinstance(error.value.__cause__, OSError)
    assert tensors_alive() == before


def test_a_file_replaced_between_looks(made: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is another one when its weights are read is not mixed with the first one's header."""
    path = tmp_path / "swap.safetensors"
    file = made.write(path)

    def replace(*given: Any) -> Any:
        path.write_bytes(path.read_bytes() + b"more")
        return placing.homes(*given)

    monkeypatch.setattr(loading, "homes", replace)
    with pytest.raises(FileError, match="changed while it was being loaded"):
        load(file, made)


def test_too_large_for_memory(made: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is refused before a byte is read: what it needs, what there is, what would do."""
    file = made.write(tmp_path / "big.safetensors")
    monkeypatch.setattr(memory, "available", lambda device: 10_000_000)
    monkeypatch.setattr(weights.os, "preadv", lambda *_: pytest.fail("read before there was room"))
    with pytest.raises(
        TooLarge, match=r"^big\.safetensors: it needs 225\.7 MB of memory and 10\.0 MB are free"
    ) as error:
        load(file, made)
    assert (round(error.value.need, -5), error.value.have) == (225_700_000, 10_000_000)
    assert "a GPU with 16 GB would hold it (shape gpu.t4)" in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."),
    ],
)
def test_memory_that_runs_out_while_loading(
    made: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Exception
) -> None:
    """Memory that something else took meanwhile is TooLarge too, and nothing is kept."""
    file = made.write(tmp_path / "big.safetensors")
    before = tensors_alive()
    calls, fill = iter(range(10)), checkpoint_parts.fill

    def fail(module: torch.nn.Module, *others: Any) -> None:
        if next(calls) == 1:  # with one module in memory already
            raise wrong
        fill(module, *others)

    monkeypatch.setattr(checkpoint_parts, "fill", fail)
    with pytest.raises(TooLarge, match=r"big\.safetensors: it needs"):
        load(file, made)
    assert tensors_alive() == before


def test_any_other_failure_names_the_file(
    made: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody thought of is still a ModelError with the file's name, so that the queue goes on."""
    file = made.write(tmp_path / "odd.safetensors")

    def fail(*_: object) -> None:
        raise RuntimeError("something new\nand long")

    monkeypatch.setattr(checkpoint_parts, "fill", fail)
    with pytest.raises(FileError, match=re.escape("odd.safetensors: it cannot be loaded (something new)")):
        load(file, made)


@pytest.mark.parametrize(
    ("need", "says"),
    [(6_900_000_000, "16 GB"), (22_000_000_000, "24 GB would hold it (shape gpu.l4 or gpu.a10)"),
     (60_000_000_000, "80 GB would hold it (shape gpu.h100)"), (90_000_000_000, "no GPU shape holds it")],
)  # fmt: skip
def test_which_gpu_would_hold_it(need: int, says: str) -> None:
    """The message names the smallest shape that holds the model."""
    assert says in str(TooLarge("m", need, 1, CPU))


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    """Where a cgroup allows less than the machine has, that counts; file cache is given back on demand."""
    files = {
        "memory.max": "4000000000",
        "memory.current": "3000000000",
        "memory.stat": "anon 1\ninactive_file 500000000",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    assert memory._room(tmp_path, True) == 1_500_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._room(tmp_path, True) is None
    assert memory._room(tmp_path / "nothing", True) is None
    assert 0 < memory.available(CPU) < 2**50

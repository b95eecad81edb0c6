"""Checkpoints kept in main memory: switching back costs a copy, and never anything that serves."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import torch

from easel.models import MissingFile, ModelFile, NotSafetensors, Store
from easel.studio.engine import checkpoint_at_hand
from easel.studio.engine.calls.step_times import StepTimes
from easel.studio.engine.loading import checkpoint_cache as cache_module
from easel.studio.engine.loading.checkpoint_cache import CheckpointCache, copied
from easel.studio.engine.loop import Loop
from easel.studio.engine.memory.device_memory import DeviceMemory
from tests.studio.engine.conftest import STARTER

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path: Path) -> list[ModelFile]:
    folder = tmp_path / "Stable-diffusion"
    folder.mkdir()
    for name in ("one", "two"):
        shutil.copy(STARTER, folder / f"{name}.safetensors")
    return Store(tmp_path, hashing=False).checkpoints()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    """A loop on a machine with memory to spare, whatever this one has."""
    monkeypatch.setattr(cache_module, "available", lambda device: 1 << 40)
    return Loop(StepTimes(math.inf), "cpu", torch.float32)


def test_switching_back_reads_nothing(
    loop: Loop, files: list[ModelFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that served before is still there: no file is read."""
    one, two = files
    loop.at_hand.switch(one)
    before = loop.at_hand.checkpoint
    loop.at_hand.switch(two)
    monkeypatch.setattr(checkpoint_at_hand, "load_checkpoint", lambda *_, **__: pytest.fail("read again"))
    loop.at_hand.switch(one)
    assert loop.at_hand.checkpoint is before


def test_loaded_ahead(loop: Loop, files: list[ModelFile], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was prefetched is what loading gives, and serves without another read; the wait is reported."""
    one, two = files
    loop.at_hand.switch(one)
    plain = loop.at_hand._load(two, None)
    loop.at_hand.prefetch(two)
    monkeypatch.setattr(checkpoint_at_hand, "load_checkpoint", lambda *_, **__: pytest.fail("read again"))
    loop.at_hand.switch(two)
    assert loop.at_hand.file == two
    ours, theirs = loop.at_hand.checkpoint.backbone.state_dict(), plain.backbone.state_dict()  # type: ignore[union-attr]
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_file_that_was_replaced_is_read_again(loop: Loop, files: list[ModelFile]) -> None:
    """What is kept belongs to one state of the file; a file that is gone is gone."""
    one, two = files
    loop.at_hand.switch(one)
    loop.at_hand.switch(two)
    one.path.write_text("<!DOCTYPE html>")
    with pytest.raises(NotSafetensors):
        loop.at_hand.switch(one)
    assert loop.at_hand.file == two
    one.path.unlink()
    with pytest.raises(MissingFile):
        loop.at_hand.switch(one)


def test_storage_that_went_away(loop: Loop, files: list[ModelFile], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the mount gone, what is in memory still draws."""
    one, two = files
    loop.at_hand.switch(one)
    loop.at_hand.switch(two)

    def stale(*_: object, **__: object) -> None:
        raise OSError(116, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stale)
        loop.at_hand.switch(one)
    assert loop.at_hand.file == one


def test_short_memory(loop: Loop, files: list[ModelFile], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory is short nothing is kept or loaded ahead, and switching works as ever."""
    one, two = files
    monkeypatch.setattr(cache_module, "available", lambda device: 0)
    loop.at_hand.switch(one)
    loop.at_hand.prefetch(two)
    loop.at_hand.switch(two)
    assert two not in loop.at_hand._cache
    assert one not in loop.at_hand._cache
    assert loop.at_hand.file == two


def test_what_is_kept_goes_before_what_serves(
    loop: Loop, files: list[ModelFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that does not fit beside those kept takes their place, and the one that serves stays."""
    one, two = files
    loop.at_hand.switch(one)
    loop.at_hand.switch(two)
    assert one in loop.at_hand._cache
    real, seen = checkpoint_at_hand.load_checkpoint, []

    def tight(file: ModelFile, **how: object) -> object:
        seen.append(loop.at_hand.file)
        if one in loop.at_hand._cache:
            raise checkpoint_at_hand.TooLarge(file.name, 2, 1, CPU)
        return real(file, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint_at_hand, "load_checkpoint", tight)
    third = two.path.with_name("three.safetensors")
    shutil.copy(STARTER, third)
    status = third.stat()
    loop.at_hand.switch(ModelFile(third, third.name, two.kind, status.st_size, status.st_mtime))
    assert seen == [two, two]


def test_a_bad_file_ahead_harms_nobody(loop: Loop, files: list[ModelFile]) -> None:
    """What cannot be loaded ahead is said when it is asked for."""
    one, two = files
    loop.at_hand.switch(one)
    two.path.write_text("<!DOCTYPE html>")
    loop.at_hand.prefetch(two)
    coming = loop.at_hand._cache._coming
    assert coming is not None
    assert isinstance(coming[1].exception(timeout=60), NotSafetensors)
    loop.at_hand.prefetch(two)
    assert loop.at_hand._cache._coming is None, "tried again at every turn"
    with pytest.raises(NotSafetensors):
        loop.at_hand.switch(two)
    assert loop.at_hand.file == one


def test_a_copy_is_the_same_checkpoint(loop: Loop, files: list[ModelFile]) -> None:
    """The way from memory to a device and back: every tensor equal, none shared."""
    loop.at_hand.switch(files[0])
    original = loop.at_hand.checkpoint
    assert original is not None
    copy = copied(original, DeviceMemory(CPU))
    for ours, theirs in ((copy.backbone, original.backbone), (copy.vae, original.vae)):
        have, want = ours.state_dict(), theirs.state_dict()
        assert have.keys() == want.keys()
        assert all(torch.equal(have[n], want[n]) and have[n].data_ptr() != want[n].data_ptr() for n in want)
    assert isinstance(CheckpointCache(DeviceMemory(CPU), torch.float32).take(files[0]), type(None))

"""A picture that can never fit is refused before it is accepted, in words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.models import Architecture, Kind, ModelFile, Store
from easel.studio.engine import Engine, OutOfMemory, TextToImage
from easel.studio.engine.loading.activations import activations
from easel.studio.engine.loading.capacity import Capacity, MemoryUse, Occupied
from easel.studio.engine.memory.device_memory import shape_advice
from easel.studio.families import family

FILE = ModelFile(Path("/m/a.safetensors"), "a", Kind.CHECKPOINT, 1, 1.0)
GB = 1_000_000_000
SDXL = activations(family(Architecture.SDXL), torch.float16)
SIDES = st.integers(8, 256).map(lambda one: one * 8)


def occupied(room: int) -> Occupied:
    use = MemoryUse("a", "all of it on the device", 7 * GB, GB, room, 1, None)
    return Occupied(use, SDXL, lambda taken: shape_advice(7 * GB + taken, torch.device("cpu")))


def test_what_it_takes_what_there_is_and_what_would_do() -> None:
    """Numbers, the largest size that fits, and a shape that holds the one that was asked for."""
    capacity = Capacity()
    capacity.serve(FILE, occupied(GB))
    capacity.check(FILE, 1024, 1024, 2, 0)
    with pytest.raises(
        OutOfMemory,
        match=r"^a picture of 2048x2048 takes 2\.0 GB of memory beside the checkpoint, and there are 1\.0 GB "
        r"for it\. Draw up to (\d+)x\1; a GPU with 16 GB would hold it \(shape gpu\.t4\)$",
    ):
        capacity.check(FILE, 2048, 2048, 2, 0)
    capacity.check(ModelFile(Path("/b"), "b", Kind.CHECKPOINT, 1, 1.0), 2048, 2048, 2, 0)


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(1, 4), st.integers(0, 3), st.integers(0, 4 * GB))
def test_what_is_proposed_fits(width: int, height: int, rows: int, controls: int, room: int) -> None:
    """The size in the message is one that is not refused; where there is none, it says so."""
    known = occupied(room)
    try:
        known.check(width, height, rows, controls, room)
    except OutOfMemory as error:
        if "No smaller one fits either" in str(error):
            assert known.need(64, 64, rows, controls) > room
            return
        w, h = map(int, str(error).split("Draw up to ")[1].split(";")[0].split("x"))
        assert known.need(w, h, rows, controls) <= room


def test_control_models_count() -> None:
    """Each takes some of what a call does."""
    known = occupied(GB)
    assert known.need(1024, 1024, 2, 0) < known.need(1024, 1024, 2, 1) < known.need(1024, 1024, 2, 2)


def test_the_engine_refuses_at_once(store: Store) -> None:
    """What was learned of a checkpoint while it served counts when a request is taken."""
    engine = Engine(store, default_checkpoint="easel-starter")
    engine.start()
    engine.submit("ada", TextToImage(prompt="a", width=64, height=64, steps=1)).result(120)
    use = engine.memory_use()
    assert use is not None
    assert use.checkpoint == "easel-starter.safetensors"
    assert 0 < use.weights < use.room
    starter = activations(family(Architecture.STARTER), torch.float32)
    file = store.find_checkpoint("easel-starter")
    small = Occupied(MemoryUse("a", "", 1, 1, 20_000_000, 1, None), starter, lambda _: "no")
    engine._capacity.serve(file, small)
    with pytest.raises(OutOfMemory, match="a picture of 1024x1024 takes"):
        engine.submit("ada", TextToImage(prompt="a", width=1024, height=1024, steps=1))
    engine.stop()

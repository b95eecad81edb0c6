"""Control models in memory: kept from one checkpoint to the next, and let go by last use."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from easel.models import Architecture, FileError, Kind, ModelFile
from easel.studio.engine import ControlUnit, TextToImage
from easel.studio.engine.calls.step_times import StepTimes
from easel.studio.engine.control_models.control_cache import ControlCache
from easel.studio.engine.control_models.control_file import load_control
from easel.studio.engine.errors import StepTooLong
from easel.studio.engine.loop import Loop
from easel.studio.engine.memory.device_memory import DeviceMemory, TooLarge
from easel.studio.engine.requests.limits import work
from easel.studio.png import encode
from tests.studio.engine.control.driving import controlnet, in_memory, stored
from tests.studio.engine.control.test_families import as_diffusers
from tests.studio.engine.tiny import Tiny, tiny

MEMORY = DeviceMemory(torch.device("cpu"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(Architecture.SD1, tmp_path_factory.mktemp("sd1"))


@pytest.fixture
def files(small: Tiny, tmp_path: Path) -> list[ModelFile]:
    return [
        stored(tmp_path, name, as_diffusers(controlnet(small.modules.backbone))) for name in ("net", "two")
    ]


def test_another_checkpoint_of_the_family_goes_on_with_it(small: Tiny, files: list[ModelFile]) -> None:
    """Its file is read once for both; one of another family is still told that it does not belong."""
    read: list[ModelFile] = []

    def load(*given: Any) -> Any:
        read.append(given[0])
        return load_control(*given)

    cache = ControlCache(MEMORY)
    one, other = in_memory(small), in_memory(small)
    assert cache.get(files[0], one, load=load) is cache.get(files[0], other, load=load)
    assert read == [files[0]]


def test_one_for_another_family_is_not_taken_for_it(
    small: Tiny, files: list[ModelFile], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """That a file is in memory for one family says nothing to another."""
    cache = ControlCache(MEMORY)
    cache.get(files[0], in_memory(small))
    with pytest.raises(FileError, match="net"):
        cache.get(files[0], in_memory(tiny(Architecture.SD2, tmp_path_factory.mktemp("sd2"))))


def test_what_is_larger_than_its_file_gets_room(small: Tiny, files: list[ModelFile]) -> None:
    """A control-LoRA makes more of itself than its file: where that has no room, others go."""
    wanted: list[int] = []

    def make_room(need: int) -> bool:
        wanted.append(need)
        return True

    def load(*given: Any) -> Any:
        if len(wanted) < 2:
            raise TooLarge("net", 1000, 10, MEMORY.device)
        return load_control(*given)

    cache = ControlCache(MEMORY, make_room=make_room)
    assert cache.get(files[0], in_memory(small), load=load) is not None
    assert wanted == [files[0].size, 1000]


def test_least_use_goes_first_and_use_stays(small: Tiny, files: list[ModelFile]) -> None:
    """Of those that nobody draws with, that which was used longest ago."""
    in_use: set[ModelFile] = set()
    cache, checkpoint = ControlCache(MEMORY, lambda: in_use), in_memory(small)
    for file in (files[0], files[1], files[0]):
        cache.get(file, checkpoint)
    both = cache.nbytes
    assert cache.drop_oldest()
    cache.get(files[0], checkpoint)
    assert cache.nbytes == both // 2
    in_use.add(files[0])
    assert not cache.drop_oldest()
    assert cache.oldest() is None


def test_checkpoints_and_control_models_share_main_memory(small: Tiny, files: list[ModelFile]) -> None:
    """What was used least lately of both makes room for what is needed now."""
    loop = Loop(StepTimes(math.inf), "cpu", torch.float32)
    first, second = in_memory(small), in_memory(small)
    second.file = files[1]
    loop.at_hand._cache.keep(first)
    loop.at_hand._controls.get(files[0], first)
    loop.at_hand._cache.keep(second)
    gone = []
    for _ in range(3):
        assert loop.at_hand._let_go()
        gone.append(
            (
                first.file in loop.at_hand._cache,
                loop.at_hand._controls.nbytes > 0,
                second.file in loop.at_hand._cache,
            )
        )
    assert gone == [(False, True, True), (False, False, True), (False, False, False)]
    assert not loop.at_hand._let_go()


def test_work_counts_controls() -> None:
    """Each is half a UNet, in the passes that it counts in: for limits, and for what a step takes."""
    plain = TextToImage(prompt="a", width=512, height=512, steps=10, seed=1).resolved()
    unit = ControlUnit(model="net", image=encode(Image.new("RGB", (64, 64))))
    controlled = TextToImage(
        prompt="a", width=512, height=512, steps=10, seed=1, controls=(unit, unit)
    ).resolved()
    assert work(controlled) == 2 * work(plain)
    times, file = StepTimes(3), ModelFile(Path("/a"), "a", Kind.CHECKPOINT, 1, 1.0)
    for _ in range(3):
        times.record(file, 512, 8, 64 * 64, 1.0)
    times.check(file, 768, 768, 1)
    with pytest.raises(StepTooLong, match=r"one step of a picture of 768x768 takes 4\.5 s"):
        times.check(file, 768, 768, 1, controls=2)

"""Weights that wait outside a device's memory: there only around their calls, and the same pixels.

The device is a stand-in on the CPU that keeps an account: what is brought to it are copies, counted while
they are alive, and there is no room for more than its limit.
"""

from __future__ import annotations

import math
import weakref
from pathlib import Path

import pytest
import torch

from easel.models import Architecture, ModelFile
from easel.studio.engine import TextToImage
from easel.studio.engine.calls.step_times import StepTimes
from easel.studio.engine.checkpoints.skeleton import skeleton
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.loading.placing import drawing_bytes, weight_bytes
from easel.studio.engine.loop import Loop
from easel.studio.engine.memory.device_memory import DeviceMemory, TooLarge
from easel.studio.engine.memory.memory_plan import WeightBytes, WeightPlacement, need
from tests.studio.engine.driven_loop import drawn
from tests.studio.engine.tiny import Tiny, tiny

CPU = torch.device("cpu")
ASKED = TextToImage(
    prompt="a cat", negative_prompt="a dog", width=64, height=64, steps=3, seed=7, sampler="Euler"
)


class CountedDevice(DeviceMemory):
    """A device of so many bytes, whose copies of weights are counted as long as somebody holds them."""

    def __init__(self, limit: int) -> None:
        super().__init__(CPU)
        self.limit, self.held, self.most, self.copies = limit, 0, 0, 0
        self.fixed = 0

    @property
    def apart(self) -> bool:
        return True

    def free(self) -> int:
        return self.limit - self.held - self.fixed

    def capacity(self) -> int:
        return self.limit

    def waiting(self, weights: torch.Tensor) -> torch.Tensor:
        return weights

    def brought(self, weights: torch.Tensor) -> torch.Tensor:
        copy = weights.clone()
        size = copy.untyped_storage().nbytes()
        if size > self.free():
            raise torch.OutOfMemoryError(f"{size} bytes more than there is room for")
        self.copies += 1
        self.held += size
        self.most = max(self.most, self.held)
        weakref.finalize(copy.untyped_storage(), self._let_go, size)
        return copy

    def _let_go(self, size: int) -> None:
        self.held -= size


@pytest.fixture(scope="module", params=[Architecture.SD1, Architecture.SDXL], ids=lambda one: one.value)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tiny, ModelFile]:
    folder = tmp_path_factory.mktemp(request.param.value)
    small = tiny(request.param, folder)
    return small, small.write(folder / "tiny.safetensors")


def loop_on(made: tuple[Tiny, ModelFile], memory: DeviceMemory | None) -> Loop:
    small, file = made
    loop = Loop(StepTimes(math.inf), "cpu", torch.float32, memory=memory)
    loop.at_hand._load = lambda file, report, whole=False: load_checkpoint(  # type: ignore[method-assign]
        file, device=CPU, dtype=torch.float32, family=small.family, memory=memory, whole=whole
    )
    loop.at_hand.switch(file)
    return loop


def needs(small: Tiny) -> tuple[WeightBytes, dict[WeightPlacement, int]]:
    """The weights, and the least that each placement takes."""
    weights = weight_bytes(skeleton(small.family), torch.float32, torch.device("cpu"))
    drawing = drawing_bytes(small.family, torch.float32, CPU)
    return weights, {one: need(weights, drawing, one) for one in WeightPlacement}


@pytest.mark.thinned(3)
@pytest.mark.parametrize("placement", [WeightPlacement.BACKBONE, WeightPlacement.NOTHING])
def test_the_same_pixels_from_weights_that_wait(
    made: tuple[Tiny, ModelFile], placement: WeightPlacement
) -> None:
    """With room for a part of the weights only, each layer's are there for its call, one layer's at a time;
    the picture is the very same."""
    small, file = made
    weights, least = needs(small)
    memory = CountedDevice(least[placement])
    loop = loop_on(made, memory)
    checkpoint = loop.at_hand.checkpoint
    assert checkpoint is not None
    assert checkpoint.plan is not None
    assert checkpoint.plan.placement is placement
    picture = drawn(loop, file, ASKED)
    assert picture.tobytes() == drawn(loop_on(made, None), file, ASKED).tobytes()
    assert 0 < memory.most <= weights.layer
    assert memory.copies > len(list(checkpoint.text_encoders[0].parameters()))


def test_weights_are_gone_behind_their_calls(made: tuple[Tiny, ModelFile]) -> None:
    """While a layer is called its weights are the device's; before and behind they are those that wait."""
    small, file = made
    memory = CountedDevice(needs(small)[1][WeightPlacement.NOTHING])
    loop = loop_on(made, memory)
    checkpoint = loop.at_hand.checkpoint
    assert checkpoint is not None
    layer = checkpoint.backbone.conv_in
    waiting, seen = layer.weight.data_ptr(), []
    hook = layer.register_forward_hook(lambda one, *_: seen.append(one.weight.data_ptr()))
    drawn(loop, file, ASKED)
    hook.remove()
    assert seen
    assert waiting not in seen
    assert layer.weight.data_ptr() == waiting


def test_with_room_nothing_is_moved(made: tuple[Tiny, ModelFile]) -> None:
    """A device that holds all of it does."""
    small, file = made
    memory = CountedDevice(needs(small)[1][WeightPlacement.WHOLE])
    loop = loop_on(made, memory)
    drawn(loop, file, ASKED)
    assert memory.copies == 0


def test_what_does_not_fit_even_so_is_refused(made: tuple[Tiny, ModelFile]) -> None:
    """Before a byte is read, with what it takes, what there is, and what would do."""
    small, _ = made
    least = needs(small)[1][WeightPlacement.NOTHING]
    with pytest.raises(TooLarge, match="a GPU with 16 GB would hold it") as error:
        loop_on(made, CountedDevice(least - 1))
    assert (error.value.need, error.value.have) == (least, least - 1)


def test_another_checkpoint_does_not_wait_for_want_of_the_old_ones_room(
    made: tuple[Tiny, ModelFile], tmp_path: Path
) -> None:
    """Where the new one fits whole once the old one has left, the old one leaves."""
    small, _ = made
    weights, least = needs(small)
    memory = CountedDevice(least[WeightPlacement.WHOLE])
    loop = loop_on(made, memory)
    memory.fixed = weights.total  # as the old one's weights would be, were this a device of its own
    serve, unloaded = loop.at_hand._serve, []

    def noted(checkpoint: object) -> None:
        unloaded.append(checkpoint is None)
        memory.fixed = 0
        serve(checkpoint)  # type: ignore[arg-type]

    loop.at_hand._serve = noted  # type: ignore[method-assign]
    other = small.write(tmp_path / "other.safetensors")
    loop.at_hand.switch(other)
    assert unloaded == [True, False]
    assert loop.at_hand.checkpoint is not None
    assert loop.at_hand.checkpoint.plan is not None
    assert loop.at_hand.checkpoint.plan.placement is WeightPlacement.WHOLE

"""A backbone whose calls are recorded: what it answers, and when it is asked as ever."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from easel.studio.engine.memory.device_memory import DeviceMemory
from easel.studio.engine.recorded import recorded_calls
from easel.studio.engine.recorded.recorded_calls import RecordedCalls
from easel.studio.engine.recorded.recording import Recording
from tests.studio.engine.recorded.recorder_here import RecorderHere

CPU = torch.device("cpu")


class Backbone(nn.Module):
    """Two layers, and what a backbone does between: views, sums in place, numbers of another type."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(4, 4)
        self.asked = 0

    def forward(
        self, seen: torch.Tensor, timestep: torch.Tensor, *, scale: float = 1.0, more: Any = None
    ) -> Any:
        self.asked += 1
        half, other = self.first(seen).chunk(2, dim=-1)
        half += timestep.half().float()[:, None] * scale
        return (self.second(half * other.sigmoid()),)


class Stage:
    """A backbone with its recorded calls, and the same again that nobody records."""

    def __init__(self, recorders: Callable[[torch.device], Any] = RecorderHere, offload: Any = None) -> None:
        torch.manual_seed(1)
        self.backbone = Backbone()
        self.plain = Backbone()
        self.plain.load_state_dict(self.backbone.state_dict())
        file = SimpleNamespace(name="dream.safetensors")
        checkpoint: Any = SimpleNamespace(backbone=self.backbone, file=file, offload=offload, device=CPU)
        self.recording, self.memory = Recording(asked=True), DeviceMemory(CPU)
        self.calls = RecordedCalls(checkpoint, self.recording, self.memory, recorders)

    @torch.inference_mode()
    def ask(self, rows: int = 2, scale: float = 1.0, **given: Any) -> torch.Tensor:
        """One call with new numbers; it has to be right."""
        seen, timestep = torch.randn(rows, 4), torch.rand(rows) * 10
        (found,) = self.calls.answer(self.backbone, seen, timestep, scale=scale, **given)
        (right,) = self.plain(seen, timestep, scale=scale)
        torch.testing.assert_close(found, right)
        return found


@pytest.fixture(autouse=True)
def recorders() -> list[RecorderHere]:
    """Those of one test."""
    RecorderHere.made.clear()
    return RecorderHere.made


def test_the_third_call_of_a_kind_is_recorded_and_two_are_held_against_it(
    recorders: list[RecorderHere],
) -> None:
    """From the fifth on nothing of the backbone's Python runs, and answers are right."""
    stage = Stage()
    for _ in range(4):
        stage.ask()
    asked = stage.backbone.asked
    for _ in range(5):
        stage.ask()
    assert stage.backbone.asked == asked
    assert (recorders[0].recorded, recorders[0].played) == (1, 7)
    assert stage.memory.recorded == recorders[0].held > 0
    assert stage.recording.why == ""


def test_answers_stay_what_they_were(recorders: list[RecorderHere]) -> None:
    """A recording writes its answer to one place: who was answered before keeps his numbers."""
    stage = Stage()
    answers = [stage.ask() for _ in range(8)]
    copies = [one.clone() for one in answers]
    stage.ask()
    for one, copy in zip(answers, copies, strict=True):
        assert torch.equal(one, copy)


def test_kinds_are_apart_and_come_in_any_order(recorders: list[RecorderHere]) -> None:
    """Other numbers of rows and other plain arguments have recordings of their own."""
    stage = Stage()
    for turn in range(24):
        stage.ask(rows=1 + turn % 3, scale=1.0 + turn % 2)
    assert stage.calls.kept == 6
    assert recorders[0].recorded == 6


def test_weights_that_lie_elsewhere_are_recorded_anew(recorders: list[RecorderHere]) -> None:
    """A graph would read where they lay."""
    stage = Stage()
    for _ in range(6):
        stage.ask()
    for network in (stage.backbone, stage.plain):
        network.first.weight.data = torch.ones(8, 4)  # as `module.to` moves them
    for _ in range(6):
        stage.ask()
    assert recorders[0].recorded == 2


def test_weights_that_change_where_they_lie_are_read(recorders: list[RecorderHere]) -> None:
    """As a GPU reads them, at each call."""
    stage = Stage()
    for _ in range(6):
        stage.ask()
    for network in (stage.backbone, stage.plain):
        network.first.weight.data.fill_(0.5)
    stage.ask()
    assert recorders[0].recorded == 1


class Liar(RecorderHere):
    """Plays something else from a given time on."""

    honest = 0

    def record(self, call: Callable[[], object]) -> tuple[Callable[[], None], object]:
        play, answer = super().record(call)
        (told,) = answer  # type: ignore[misc]

        def lie() -> None:
            play()
            if self.played > self.honest:
                told.add_(5.0)

        return lie, answer


@pytest.mark.parametrize("honest", [0, 1])
def test_a_recording_that_answers_something_else_is_the_last(
    recorders: list[RecorderHere], monkeypatch: pytest.MonkeyPatch, honest: int
) -> None:
    """Nobody gets its numbers, and it is said."""
    monkeypatch.setattr(Liar, "honest", honest)
    stage = Stage(Liar)
    for _ in range(8):
        stage.ask()
    assert stage.calls.kept == 0
    assert recorders[0].recorded == 1
    assert "answered something else" in stage.recording.why
    assert stage.memory.recorded == 0


def test_a_call_that_waits_for_the_device_is_made_as_it_is_written(recorders: list[RecorderHere]) -> None:
    """It cannot be recorded: said once, and no more tried."""
    stage = Stage()
    stage.backbone.first.register_forward_hook(lambda _layer, _seen, made: made * made.mean().item() ** 0)
    for _ in range(6):
        stage.ask()
    assert recorders[0].recorded == 0
    assert "not permitted" in stage.recording.why


class Full(RecorderHere):
    """A card without room for a recording."""

    def record(self, call: Callable[[], object]) -> tuple[Callable[[], None], object]:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_without_room_it_is_as_ever(recorders: list[RecorderHere]) -> None:
    """No memory for a recording is no fault of the model's: nothing is said."""
    stage = Stage(Full)
    for _ in range(5):
        stage.ask()
    assert stage.calls.kept == 0
    assert stage.recording.why == ""


def test_memory_is_given_back_where_others_need_it(recorders: list[RecorderHere]) -> None:
    """And nothing is recorded from then on."""
    stage = Stage()
    for _ in range(4):
        stage.ask()
    assert stage.calls.let_go()
    for _ in range(4):
        stage.ask()
    assert (stage.calls.kept, stage.memory.recorded) == (0, 0)
    assert not stage.calls.let_go()


def test_what_everybody_draws_now_takes_the_place_of_what_they_drew_before(
    recorders: list[RecorderHere], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recordings keep a share of the card; what came first keeps it until others were wanted often."""
    monkeypatch.setattr(recorded_calls, "_ON_A_CPU", 1)
    monkeypatch.setattr(recorded_calls, "_WANTED", 10)
    stage = Stage()
    for _ in range(4):
        stage.ask(rows=1)
    for _ in range(9):
        stage.ask(rows=2)
    assert [one.recorded for one in recorders] == [1]
    for _ in range(4):
        stage.ask(rows=2)
    assert [one.recorded for one in recorders] == [1, 1]
    assert stage.calls.kept == 1


def test_what_comes_from_elsewhere_is_not_recorded(recorders: list[RecorderHere]) -> None:
    """A graph would read it once: what is neither a number nor on the device."""
    stage = Stage()
    for more in (object(), torch.zeros(1, device="meta")):
        for _ in range(6):
            stage.ask(more=more)
    assert recorders[0].recorded == 0
    for _ in range(6):
        stage.ask(more=["a", None, torch.zeros(1)])
    assert recorders[0].recorded == 1


def test_weights_that_wait_outside_the_device_are_not_recorded(recorders: list[RecorderHere]) -> None:
    """They lie somewhere else at each call."""
    stage = Stage(offload=object())
    for _ in range(6):
        stage.ask()
    assert not recorders
    assert not stage.calls.take([])


def test_on_a_cpu_it_is_said_that_there_are_none() -> None:
    """Asked for on a shape without a GPU: drawn as ever, with the reason."""
    asked = Recording(asked=True)
    assert not asked.begins("dream.safetensors", "cpu")
    assert asked.why == "no CUDA graphs: CUDA graphs are for an NVIDIA GPU, and this draws on a CPU"
    assert asked.begins("dream.safetensors", "cuda")
    assert (asked.why, asked.how) == ("", "recorded")
    assert not Recording().begins("dream.safetensors", "cuda")

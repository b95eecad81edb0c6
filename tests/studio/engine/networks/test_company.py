"""People with different networks in one call of the UNet: each as with their own alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from easel.models import Architecture, Kind, Store
from easel.studio.engine import Engine, shared_call
from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.networks.adapters import Adapters
from easel.studio.engine.networks.extra_networks import LoraUse
from easel.studio.engine.networks.lora_tag import read_tag
from tests.studio import networks
from tests.studio.engine.networks import judges
from tests.studio.engine.test_engine import SMALL, TOLERANCE, WAIT, differs, draw
from tests.studio.engine.tiny import model_file
from tests.studio.networks import STARTER

RANKS = (1, 4, 32)
KINDS = ("lora-cp", "dora-rows", "loha", "lokr", "full", "ia3-output")
LIMITS = ("", ":lbw=INALL", ":lbw=OUTALL", ":dyn=2")
PEOPLE = 8


class Place(NamedTuple):
    """A checkpoint with network files for it, in memory."""

    checkpoint: Checkpoint
    adapters: Adapters
    root: Path
    names: tuple[str, ...]

    def use(self, name: str, weight: float, limit: str = "") -> LoraUse:
        """One network at work, limited as its tag says."""
        read = read_tag(f"{name}:{weight}{limit}")
        file = model_file(self.root / "Lora" / f"{name}.safetensors", Kind.LORA)
        return LoraUse(name, file, read.te, read.unet, read.limits)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The starter; LoRAs of several ranks for linear layers and convolutions, and one of each other sort."""
    root = tmp_path_factory.mktemp("models")
    (root / "Lora").mkdir()
    checkpoint = load_checkpoint(
        model_file(STARTER, Kind.CHECKPOINT), device=torch.device("cpu"), dtype=torch.float32
    )
    for rank in RANKS:
        tensors = networks.kohya(networks.pairs(rank, rank=rank), alpha=rank)
        networks.write(root / "Lora" / f"rank{rank}.safetensors", tensors)
    names = judges.kohya_names(Architecture.STARTER, checkpoint)
    torch.manual_seed(3)
    for kind in KINDS:
        found = [judges.judged(kind, *one) for one in judges.layers(checkpoint, norms=True)]
        save_file(judges.file_tensors(found, names), root / "Lora" / f"{kind}.safetensors")
    all_names = (*(f"rank{rank}" for rank in RANKS), *KINDS)
    found = Place(checkpoint, Adapters(checkpoint), root, all_names)
    found.adapters.need([found.use(name, 1.0) for name in all_names], ())
    return found


def company(names: tuple[str, ...]) -> st.SearchStrategy[list[list[tuple[str, float, str]]]]:
    """Up to four people, each with up to three networks of some weight and limit, or none."""
    weight = st.floats(-1.0, 1.5).filter(bool)
    one = st.tuples(st.sampled_from(names), weight, st.sampled_from(LIMITS))
    return st.lists(st.lists(one, max_size=3, unique_by=lambda use: use[0]), min_size=2, max_size=4)


@settings(max_examples=12, deadline=None)
@given(data=st.data(), rows=st.integers(1, 3))
def test_rows_are_as_alone(place: Place, data: st.DataObject, rows: int) -> None:
    """What the UNet answers to each of a random company is what it answers to them alone, up to rounding."""
    sets = [[place.use(*one) for one in asked] for asked in data.draw(company(place.names))]
    torch.manual_seed(rows)
    seen = torch.randn(len(sets) * rows, 4, 8, 8)
    tokens = torch.randn(len(sets) * rows, 77, 64)

    def answer(part: slice) -> torch.Tensor:
        whole = place.checkpoint.backbone
        found: torch.Tensor = whole(seen[part], 500, encoder_hidden_states=tokens[part])[0]
        return found

    with torch.inference_mode():
        with place.adapters.by_row([(rows, uses) for uses in sets]):
            together = answer(slice(None))
        for number, uses in enumerate(sets):
            part = slice(number * rows, (number + 1) * rows)
            with place.adapters.at_work(uses):
                alone = answer(part)
            largest = float(alone.abs().max())
            assert float((together[part] - alone).abs().max()) <= 1e-4 * max(1.0, largest)


def answered(place: Place, adapters: Adapters, people: list[list[LoraUse]]) -> torch.Tensor:
    """What the UNet answers to these people, two rows each."""
    noise = torch.Generator().manual_seed(1)
    rows = 2 * len(people)
    seen, tokens = (torch.randn(rows, *shape, generator=noise) for shape in ((4, 8, 8), (77, 64)))
    with torch.inference_mode(), adapters.by_row([(2, uses) for uses in people]):
        found: torch.Tensor = place.checkpoint.backbone(seen, 500, encoder_hidden_states=tokens)[0]
    return found


def test_merged_weights_have_a_bound_and_go_before_memory_does(place: Place) -> None:
    """Only where several sets share a call, never beyond what networks may have; afterwards all is as by
    slices, and a layer is what it was."""
    people = [[place.use("rank4", 0.7)], [], [place.use("rank32", 0.5), place.use("lokr", 0.2)]]
    uses = [use for theirs in people for use in theirs]
    poor, rich = Adapters(place.checkpoint, budget=1), Adapters(place.checkpoint)
    for adapters in (poor, rich):
        adapters.need(uses, ())
    by_slices = answered(place, poor, people)
    assert poor.merged_bytes == 0
    answered(place, rich, [people[0]])
    assert rich.merged_bytes == 0, "alone as ever: an exact picture is the same bits in any company"
    merged = answered(place, rich, people)
    assert 0 < rich.merged_bytes <= 500_000_000
    assert float((merged - by_slices).abs().max()) <= 1e-4 * max(1.0, float(by_slices.abs().max()))
    assert rich.let_go()
    assert rich.merged_bytes == 0
    assert torch.equal(answered(place, rich, people), by_slices)
    assert not rich.let_go()
    assert not any("forward" in vars(one) for one in place.checkpoint.backbone.modules())
    for adapters in (poor, rich):
        adapters.clear()


@pytest.fixture(scope="module")
def engine(place: Place) -> Iterator[Engine]:
    """A real engine over the same files."""
    (place.root / "Stable-diffusion").mkdir()
    (place.root / "Stable-diffusion" / STARTER.name).symlink_to(STARTER)
    engine = Engine(Store(place.root, hashing=False), default_checkpoint=STARTER.name)
    engine.start()
    yield engine
    engine.stop()


def test_eight_people_with_eight_networks_share_calls(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has none, one two, some for some steps only; each gets the picture that they get alone."""
    says = [
        "", "<lora:rank1:1>", "<lora:rank4:0.7:lbw=INALL>", "<lora:rank32:0.3:stop=4>", "<lora:loha:0.3>",
        "<lora:dora-rows:0.3:start=3>", "<lora:rank4:0.5><lora:full:0.2>", "<lora:rank4:0:0.7>",
    ]  # fmt: skip
    requests = [replace(SMALL, prompt=f"a red circle {said}", steps=6) for said in says]
    alone = [draw(engine, request)[0] for request in requests]
    assert all(differs(one, other) > TOLERANCE for n, one in enumerate(alone) for other in alone[:n])
    real, widest = shared_call.call_unet, [0]

    def watched(unet: object, calls: list[BackboneCall], *more: Any) -> list[torch.Tensor]:
        widest[0] = max(widest[0], len({call.networks for call in calls}))
        return real(unet, calls, *more)

    monkeypatch.setattr(shared_call, "call_unet", watched)
    monkeypatch.setattr("easel.studio.engine.widths.batch_width.BatchWidth.limit", lambda *_: PEOPLE)
    jobs = [engine.submit(f"person {number}", request) for number, request in enumerate(requests)]
    for before, job in zip(alone, jobs, strict=True):
        assert differs(before, job.result(WAIT)[0]) <= TOLERANCE
    assert widest[0] >= PEOPLE - 1

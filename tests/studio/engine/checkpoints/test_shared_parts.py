"""Parts that checkpoints have of one file: in memory once, on a card and in main memory, whoever draws."""

from __future__ import annotations

import gc
import math
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from easel.models import Architecture, ModelFile
from easel.studio.engine import Engine
from easel.studio.engine.calls.step_times import StepTimes
from easel.studio.engine.checkpoints.checkpoint_parts import CheckpointPart
from easel.studio.engine.checkpoints.shared_parts import SharedParts
from easel.studio.engine.checkpoints.skeleton import nbytes, skeleton
from easel.studio.engine.loading import checkpoint_cache
from easel.studio.engine.loading.checkpoint_cache import copied
from easel.studio.engine.loading.placing import drawing_bytes, weight_bytes
from easel.studio.engine.loop import Loop
from easel.studio.engine.memory.device_memory import DeviceMemory
from easel.studio.engine.memory.memory_plan import WeightPlacement, need
from tests.studio.engine.driven_loop import drawn
from tests.studio.engine.flow_store import FlowStore, Made, engine, maker
from tests.studio.engine.test_flow_sets import ASKED, draw

CPU = torch.device("cpu")
FLUX, CHROMA = Architecture.FLUX_DEV, Architecture.CHROMA


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    return maker(tmp_path, monkeypatch)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Parts of checkpoints, as they are read from files."""
    found: list[str] = []
    load = CheckpointPart.load

    def counted(part: CheckpointPart, *given: Any) -> None:
        found.append(part.words)
        load(part, *given)

    monkeypatch.setattr(CheckpointPart, "load", counted)
    return found


@pytest.fixture
def none_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """No room in main memory for what does not serve."""
    monkeypatch.setattr(checkpoint_cache, "RESERVE_SHARE", 1.0)


class _Apart(DeviceMemory):
    """Memory of a device that is apart from the machine's: what is brought there is a copy."""

    place = "a card"
    apart = True

    def waiting(self, weights: torch.Tensor) -> torch.Tensor:
        return weights


class _Card(_Apart):
    """With so many bytes, of which those are taken that lie there for good."""

    def __init__(self, limit: int) -> None:
        super().__init__(CPU)
        self.limit = limit
        self.parts = SharedParts()

    def free(self) -> int:
        there = [module for (_, place), module in self.parts._there.items() if place == self.place]
        return self.limit - sum(nbytes(module, torch.float32) for module in there)

    def capacity(self) -> int:
        return self.limit


def through(loop: Loop, file: ModelFile) -> np.ndarray[Any, Any]:
    """A picture, drawn by the loop itself."""
    return np.asarray(drawn(loop, file, ASKED)).astype(int)


def with_two_t5(made: Made) -> FlowStore:
    """A FLUX.1 and two T5 for it."""
    files = made(FLUX)
    files.write_transformer(FLUX, "tiny-flux-dev.safetensors")
    files.write_parts(FLUX)
    t5 = {name: one.flip(0) for name, one in files.texts[FLUX, "t5-xxl"].items()}
    files.write("text_encoder", "zz-t5xxl.safetensors", t5)
    return files


def with_one_t5(made: Made) -> FlowStore:
    """FLUX.1 and Chroma, which read with the same."""
    files = made(FLUX, CHROMA)
    for kind in (FLUX, CHROMA):
        files.write_transformer(kind, f"tiny-{kind.value}.safetensors")
    files.write_parts(FLUX)
    return files


def on_a_card(
    files: FlowStore, architecture: Architecture, placement: WeightPlacement
) -> tuple[Loop, Engine]:
    """A loop on a card with room for one picture of this checkpoint with its weights placed so, and an engine
    that knows the store."""
    family = files.families[architecture]
    weights = weight_bytes(skeleton(family), torch.float32, CPU)
    card = _Card(need(weights, drawing_bytes(family, torch.float32, CPU), placement))
    knows = Engine(files.store(), device="cpu")
    loop = Loop(StepTimes(math.inf), "cpu", torch.float32, memory=card, others=knows._chosen.files)
    card.parts = loop.at_hand._cache.shared
    return loop, knows


def test_who_names_another_text_encoder_shares_the_rest(made: Made, read: list[str], none_kept: None) -> None:
    """Transformer, VAE and the other text encoder stay where they are, though nothing is kept that does not
    serve; all have the pictures that they have alone, one with a LoRA among them."""
    files = with_two_t5(made)
    wide = files.transformers[FLUX]["double_blocks.0.img_attn.qkv.weight"]
    layer = "lora_unet_double_blocks_0_img_attn_qkv"
    files.write("Lora", "style.safetensors", {
        f"{layer}.lora_down.weight": torch.ones((1, wide.shape[1])),
        f"{layer}.lora_up.weight": torch.ones((wide.shape[0], 1)),
    })  # fmt: skip
    with engine(files) as running:
        other_alone = draw(running, modules=("zz-t5xxl",))
    read.clear()
    with engine(files) as running:
        first = draw(running)
        assert sorted(read) == ["VAE", "text encoder", "text encoder", "transformer"]
        styled = draw(running, prompt="a cat <lora:style:1>")
        other = draw(running, modules=("zz-t5xxl",))
        again = draw(running)
    assert read[4:] == ["text encoder"] * 2
    assert np.array_equal(first, again)
    assert np.array_equal(other, other_alone)
    assert all(np.abs(one - first).max() > 1 for one in (styled, other))


@pytest.mark.parametrize("placement", WeightPlacement, ids=lambda one: one.name.lower())
def test_on_a_card_with_room_for_one(
    made: Made, read: list[str], none_kept: None, placement: WeightPlacement
) -> None:
    """The transformer stays on the card and is counted once, where text encoders lie beside it and where they
    wait in main memory; only what goes layer by layer itself is read again. The same pictures all the way."""
    files = with_two_t5(made)
    loop, knows = on_a_card(files, FLUX, placement)
    flux = knows.store.find_checkpoint("tiny-flux-dev")
    one, other = knows._chosen.of(flux), knows._chosen.of(flux, ["zz-t5xxl"])
    pictures: dict[ModelFile, np.ndarray[Any, Any]] = {}
    for file in (one, other):
        alone = Loop(StepTimes(math.inf), "cpu", torch.float32, others=knows._chosen.files)
        alone.at_hand.switch(file)
        pictures[file] = through(alone, file)
        del alone
    assert np.abs(pictures[one] - pictures[other]).max() > 1
    read.clear()
    transformers = []
    for file in (one, other, one, other):
        loop.at_hand.switch(file)
        serving = loop.at_hand.checkpoint
        assert serving is not None
        assert serving.plan is not None
        assert serving.plan.placement is placement
        transformers.append(weakref.ref(serving.backbone))
        del serving
        assert np.array_equal(through(loop, file), pictures[file])
    times = {part: read.count(part) for part in ("transformer", "VAE", "text encoder")}
    assert (
        times
        == {
            WeightPlacement.WHOLE: {"transformer": 1, "VAE": 1, "text encoder": 5},
            WeightPlacement.BACKBONE: {"transformer": 1, "VAE": 4, "text encoder": 8},
            WeightPlacement.NOTHING: {"transformer": 4, "VAE": 4, "text encoder": 8},
        }[placement]
    )
    if placement is not WeightPlacement.NOTHING:
        assert len({one() for one in transformers}) == 1


def test_what_waits_in_main_memory_has_one_transformer(made: Made, read: list[str]) -> None:
    """Beside the card's own: two who go to and fro are copied but for it, and nothing is read twice."""
    files = with_two_t5(made)
    loop, knows = on_a_card(files, FLUX, WeightPlacement.WHOLE)
    flux = knows.store.find_checkpoint("tiny-flux-dev")
    one, other = knows._chosen.of(flux), knows._chosen.of(flux, ["zz-t5xxl"])
    pictures = []
    for file in (one, other, one, other, one, other):
        loop.at_hand.switch(file)
        pictures.append(through(loop, file))
    waiting = list(loop.at_hand._cache._kept.values())
    assert len(waiting) == 2
    assert waiting[0].backbone is waiting[1].backbone is not loop.at_hand.checkpoint.backbone  # type: ignore[union-attr]
    assert sorted(read) == ["VAE", "text encoder", "text encoder", "text encoder", "transformer"]
    assert all(np.array_equal(picture, pictures[number % 2]) for number, picture in enumerate(pictures))


def test_where_the_rest_is_too_large_nothing_stays(made: Made, none_kept: None) -> None:
    """A checkpoint that only goes in layer by layer does so, whatever of it was there."""
    files = with_two_t5(made)
    loop, knows = on_a_card(files, FLUX, WeightPlacement.WHOLE)
    flux = knows.store.find_checkpoint("tiny-flux-dev")
    one, other = knows._chosen.of(flux), knows._chosen.of(flux, ["zz-t5xxl"])
    loop.at_hand.switch(one)
    expected = through(loop, one)
    card = loop.at_hand._memory
    assert isinstance(card, _Card)
    family = files.families[FLUX]
    weights = weight_bytes(skeleton(family), torch.float32, CPU)
    card.limit = need(weights, drawing_bytes(family, torch.float32, CPU), WeightPlacement.NOTHING)
    for file in (other, one):
        loop.at_hand.switch(file)
    serving = loop.at_hand.checkpoint
    assert serving is not None
    assert serving.plan is not None
    assert serving.plan.placement is WeightPlacement.NOTHING
    assert np.array_equal(through(loop, one), expected)


def test_a_text_encoder_stays_where_the_old_checkpoint_leaves_first(
    made: Made, read: list[str], none_kept: None
) -> None:
    """From FLUX.1 to Chroma on a card with room for one of them: T5 is not read again."""
    files = with_one_t5(made)
    loop, knows = on_a_card(files, FLUX, WeightPlacement.WHOLE)
    flux, chroma = (
        knows._chosen.of(knows.store.find_checkpoint(f"tiny-{kind.value}")) for kind in (FLUX, CHROMA)
    )
    loop.at_hand.switch(flux)
    read.clear()
    loop.at_hand.switch(chroma)
    assert read == ["transformer"]
    loop.at_hand.switch(flux)
    assert sorted(read) == ["text encoder", "transformer", "transformer"]


def test_a_text_encoder_of_two_is_in_memory_once(made: Made) -> None:
    """FLUX.1 and Chroma read with one T5: the same module while either of them is there, on the way back and
    in a copy too, which draws as with one of its own; another file is another."""
    files = with_one_t5(made)
    with engine(files) as running:
        alone = draw(running, checkpoint="tiny-chroma")
    store = files.store()
    flux, chroma = (store.find_checkpoint(f"tiny-{kind.value}") for kind in (FLUX, CHROMA))
    parts = Engine(store, device="cpu")._chosen.files
    loop = Loop(StepTimes(math.inf), "cpu", torch.float32, others=parts)
    loop.at_hand.switch(flux)
    (_, t5), whole = loop.at_hand.checkpoint.text_encoders, loop.at_hand.checkpoint.nbytes
    loop.at_hand.switch(chroma)
    assert loop.at_hand.checkpoint.text_encoders[0] is t5
    ahead = loop.at_hand._cache
    ahead.prefetch(flux)
    loop.at_hand.switch(flux)
    assert (loop.at_hand.checkpoint.text_encoders[1], loop.at_hand.checkpoint.nbytes) == (t5, whole)
    memory, shared = DeviceMemory(CPU), SharedParts()
    copies = [copied(loop.at_hand.checkpoint, memory, shared) for _ in range(2)]
    assert copies[0].text_encoders[1] is copies[1].text_encoders[1] is not t5
    assert copies[0].backbone is copies[1].backbone is not loop.at_hand.checkpoint.backbone
    with engine(files) as running:
        draw(running, checkpoint="tiny-flux-dev")
        assert np.array_equal(draw(running, checkpoint="tiny-chroma"), alone)
    # a file of the same name that is another is read anew
    files.write("text_encoder", "t5xxl.safetensors", {
        name: one * 1.01 for name, one in files.texts[FLUX, "t5-xxl"].items()
    })  # fmt: skip
    for file in (files.root / "text_encoder").glob("t5*"):
        assert file.name == "t5xxl.safetensors" or not file.unlink()
    loop.at_hand.switch(chroma)
    loop.at_hand._cache.drop_oldest()
    again = Loop(StepTimes(math.inf), "cpu", torch.float32, others=parts)
    again.at_hand._cache.shared = loop.at_hand._cache.shared
    again.at_hand.switch(chroma)
    assert again.at_hand.checkpoint.text_encoders[0] is not t5


def test_text_encoders_on_a_card_and_in_main_memory(made: Made) -> None:
    """Each of them once in either place, whichever checkpoint serves and which ones wait; on the card as long
    as one that reads with it does; the same pictures all the way."""
    files, kinds = with_one_t5(made), ("flux-dev", "chroma")
    with engine(files) as running:
        alone = {kind: draw(running, checkpoint=f"tiny-{kind}") for kind in kinds}
    store = files.store()
    flux, chroma = (store.find_checkpoint(f"tiny-{kind}") for kind in kinds)
    loop = Loop(
        StepTimes(math.inf), "cpu", torch.float32, memory=_Apart(CPU),
        others=Engine(store, device="cpu")._chosen.files,
    )  # fmt: skip

    def t5(checkpoint: Any) -> Any:
        return checkpoint.text_encoders[-1]

    loop.at_hand.switch(flux)
    on_card = t5(loop.at_hand.checkpoint)
    assert np.array_equal(through(loop, flux), alone["flux-dev"])
    kept = []
    for file in (chroma, flux, chroma):
        loop.at_hand.switch(file)
        kept.append(loop.at_hand._cache._kept[flux])
        assert t5(loop.at_hand.checkpoint) is on_card
        assert np.array_equal(through(loop, file), alone[file.name[5:-12]])
    assert kept[0] is kept[1] is kept[2]  # who goes back to where it waits is not copied there again
    waiting = [t5(one) for one in loop.at_hand._cache._kept.values()]
    assert len(waiting) == 2
    assert waiting[0] is waiting[1] is not on_card
    del on_card
    loop.at_hand._serve(None)
    gc.collect()
    assert {place for _, place in loop.at_hand._cache.shared._there} == {"cpu"}
    loop.at_hand.switch(flux)
    assert t5(loop.at_hand.checkpoint) is not waiting[0]
    assert np.array_equal(through(loop, flux), alone["flux-dev"])

"""Pictures of the starter with networks at work: as a checkpoint with the weights merged in draws them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from easel.models import Architecture, Kind, Store
from easel.studio.engine import Engine, TextToImage
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.networks.block_weights import BLOCKS, block_of, read_block_weights
from easel.studio.engine.networks.network_file import part_of
from tests.studio.engine import export
from tests.studio.engine.networks import judges
from tests.studio.engine.tiny import model_file
from tests.studio.networks import STARTER

REQUEST = TextToImage(prompt="a red circle", width=64, height=64, steps=4, seed=7, sampler="Euler")
# sums in another order
TOLERANCE = 3
KINDS = ["lora-cp", "dora-rows", "dora-columns", "loha-tucker", "lokr-both", "glora", "coft", "ia3-input",
         "full"]  # fmt: skip
STRENGTH = 0.5
NUMBERS = "0,2,1,-2,0,3,0,0,0,0,0,0,0,-2,2,1,0,3,0,0,0,0,0,0,0,0"


def starter() -> Checkpoint:
    """The starter, to merge into."""
    return load_checkpoint(
        model_file(STARTER, Kind.CHECKPOINT), device=torch.device("cpu"), dtype=torch.float32
    )


@torch.no_grad()
def merged(found: list[judges.Judged], path: Path, weights: dict[tuple[str, str], float]) -> None:
    """A checkpoint that has each layer so much of the way to its judged weights."""
    whole = starter()
    for one in found:
        layer, weight = part_of(whole, one.part).get_submodule(one.path), weights[one.part, one.path]
        layer.weight.lerp_(one.weight, weight)
        if one.bias is not None:
            layer.bias.lerp_(one.bias, weight)
    save_file(export.checkpoint(whole), path)


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with a file of each kind, and a checkpoint that has it merged in at STRENGTH."""
    root = tmp_path_factory.mktemp("models")
    for folder in ("Stable-diffusion", "Lora"):
        (root / folder).mkdir()
    (root / "Stable-diffusion" / STARTER.name).symlink_to(STARTER)
    names = judges.kohya_names(Architecture.STARTER, starter())
    lists = {"blocks": NUMBERS}
    for kind in [*KINDS, *lists]:
        torch.manual_seed(5)
        whole = starter()
        found = [judges.judged("lora" if kind in lists else kind, *one)
                 for one in judges.layers(whole, norms=True)]  # fmt: skip
        save_file(judges.file_tensors(found, names), root / "Lora" / f"{kind}.safetensors")
        blocks = read_block_weights(lists[kind]) if kind in lists else None
        strengths = {(one.part, one.path): STRENGTH for one in found}
        if blocks is not None:
            for part, path in strengths:
                place = block_of(path, whole.backbone) if part == "unet" else 0
                strengths[part, path] *= 1.0 if place is None else blocks[place]
        merged(found, root / "Stable-diffusion" / f"{kind}-merged.safetensors", strengths)
    engine = Engine(Store(root, hashing=False), default_checkpoint=STARTER.name)
    engine.start()
    yield engine
    engine.stop()


def drawn(engine: Engine, prompt: str, checkpoint: str = STARTER.name, steps: int = 4) -> np.ndarray:
    """Its pixels."""
    (found,) = engine.submit(
        "ada", replace(REQUEST, prompt=prompt, checkpoint=checkpoint, steps=steps)
    ).result(120)
    return np.asarray(found.image).astype(int)


def differ(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one - other).max())


@pytest.mark.thinned(4)
@pytest.mark.parametrize("kind", KINDS)
def test_as_the_merged_checkpoint(drawing: Engine, kind: str) -> None:
    """A picture with the network is the picture of the checkpoint that LyCORIS would have merged."""
    plain = drawn(drawing, "a red circle")
    with_it = drawn(drawing, f"a red circle<lora:{kind}:{STRENGTH}>")
    wanted = drawn(drawing, "a red circle", f"{kind}-merged.safetensors")
    assert differ(wanted, plain) > 20
    assert differ(with_it, wanted) <= TOLERANCE
    assert differ(drawn(drawing, "a red circle"), plain) <= TOLERANCE


def test_block_weights(drawing: Engine) -> None:
    """With `lbw` each block counts with its number: BASE is the text encoder; what is in none is whole."""
    with_it = drawn(drawing, f"a red circle<lora:blocks:{STRENGTH}:lbw={NUMBERS}>")
    for other in (f"a red circle<lora:blocks:{STRENGTH}>", "a red circle"):
        assert differ(with_it, drawn(drawing, other)) > 2 * TOLERANCE
    assert differ(with_it, drawn(drawing, "a red circle", "blocks-merged.safetensors")) <= TOLERANCE
    assert len(NUMBERS.split(",")) == len(BLOCKS)


def test_steps(drawing: Engine) -> None:
    """`start` is the first step with it, `stop` the first without, from 1 or a share; the text keeps it."""
    tag = "a red circle<lora:lora-cp:{}>"
    whole, text = drawn(drawing, tag.format("0.5")), drawn(drawing, tag.format("0.5:0"))
    for said in ("start=1", "stop=5", "step=1-5", "start=0.2"):
        assert differ(drawn(drawing, tag.format(f"0.5:{said}")), whole) <= TOLERANCE, said
    for said in ("start=5", "stop=1", "step=1-1"):
        assert differ(drawn(drawing, tag.format(f"0.5:{said}")), text) <= TOLERANCE, said
    early, late = (drawn(drawing, tag.format(f"0.5:{said}")) for said in ("stop=3", "start=3"))
    assert (
        differ(drawn(drawing, tag.format("0.5:step=0.5-5")), drawn(drawing, tag.format("0.5:start=2"))) == 0
    )
    for one, other in ((early, whole), (late, whole), (early, late), (early, text), (late, text)):
        assert differ(one, other) > TOLERANCE

"""The numbers that an endpoint draws in, by their name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from easel.models import Store
from easel.studio.engine import Engine, TextToImage
from easel.studio.engine.checkpoints.precision import precision

CPU, GPU = torch.device("cpu"), torch.device("cuda")
SMALL = TextToImage(prompt="a red cup", width=128, height=128, steps=4, seed=7)


@pytest.mark.parametrize(
    ("word", "on_cpu", "on_gpu"),
    [
        ("auto", torch.float32, torch.float16),
        ("", torch.float32, torch.float16),
        ("double", torch.float32, torch.float16),
        ("float32", torch.float32, torch.float32),
        ("float16", torch.float16, torch.float16),
        ("bfloat16", torch.bfloat16, torch.bfloat16),
    ],
)
def test_types_have_names(word: str, on_cpu: torch.dtype, on_gpu: torch.dtype) -> None:
    """What is no name is as if nothing was said."""
    assert (precision(word, CPU), precision(word, GPU)) == (on_cpu, on_gpu)


@pytest.mark.parametrize("word", ["bfloat16", pytest.param("float16", marks=pytest.mark.slow)])
def test_a_picture_in_half_precision(engine: Engine, store: Store, word: str) -> None:
    """Is the same picture, as far as its digits go."""
    half = Engine(store, dtype=word, default_checkpoint="easel-starter")
    half.start()
    ours, theirs = (
        np.asarray(one.submit("ada", SMALL).result(120)[0].image, dtype=int) for one in (half, engine)
    )
    half.stop()
    assert 0 < np.abs(ours - theirs).mean() < 8

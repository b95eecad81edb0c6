"""Embeddings in a LoRA's file: named in the prompt by whoever draws with it, and by nobody else."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.studio import networks


@pytest.fixture(scope="module")
def bundled(running: Any) -> Iterator[Any]:
    """A LoRA that holds the embedding `zebrastripe`, and the same as a file of its own, `ownstripe`; and one
    whose embedding is for another kind of model."""
    models = running.home / "models"
    vectors = networks.embedding(3)
    matrices = networks.kohya(networks.pairs(3, strength=0.05))
    of_bundle = {"bundle_emb.zebrastripe.emb_params": vectors}
    written = [
        networks.write(models / "Lora" / "stripes.safetensors", matrices | of_bundle),
        networks.write(models / "embeddings" / "ownstripe.safetensors", {"emb_params": vectors}),
        networks.write(
            models / "Lora" / "foreign.safetensors",
            matrices | {"bundle_emb.zebrastripe.clip_g": torch.ones(2, 1280)},
        ),
    ]
    running.studio.engine.store.refresh()
    yield running
    for path in written:
        path.unlink()
    running.studio.engine.store.refresh()


def answer(running: Any, prompt: str) -> tuple[str, dict[str, Any]]:
    """The picture, and what is said of it."""
    found = running.draw(prompt=prompt, override_settings={"enable_pnginfo": False}).json()
    return found["images"][0], json.loads(found["info"])


def differ(one: str, other: str) -> int:
    """By how much two pictures do, at most; pictures in one call differ from those alone in last bits."""
    first, second = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(each))), np.int16) for each in (one, other)
    )
    return int(np.abs(first - second).max())


def test_it_is_what_a_file_of_its_own_is(bundled: Any) -> None:
    """The same picture as with the same vectors in models/embeddings; A1111's `TI hashes` names the LoRA."""
    mine, said = answer(bundled, "<lora:stripes:1> a zebrastripe horse")
    own, _ = answer(bundled, "<lora:stripes:1> a ownstripe horse")
    words, _ = answer(bundled, "<lora:stripes:1> a horse")
    assert mine == own != words
    assert said["comments"] == []
    assert 'TI hashes: "zebrastripe: stripes"' in said["infotexts"][0]


def test_it_is_nobody_elses(bundled: Any) -> None:
    """Without the LoRA its names are words, beside somebody who draws with it too."""
    before, _ = answer(bundled, "a zebrastripe horse")
    with ThreadPoolExecutor(4) as pool:
        both = ["<lora:stripes:1> a zebrastripe horse", "a zebrastripe horse"] * 4
        pictures = [picture for picture, _ in pool.map(lambda one: answer(bundled, one), both)]
    assert all(differ(one, before) > 20 for one in pictures[::2])
    assert all(differ(one, before) <= 4 for one in pictures[1::2])
    _, said = answer(bundled, "a zebrastripe horse")
    assert "TI hashes" not in said["infotexts"][0]


def test_a_file_of_its_own_comes_first(bundled: Any) -> None:
    """Of one name, the file in models/embeddings is taken and the other told, as A1111 skips it."""
    path = bundled.home / "models" / "embeddings" / "zebrastripe.safetensors"
    networks.write(path, {"emb_params": networks.embedding(1, seed=9)})
    try:
        bundled.studio.engine.store.refresh()
        _, said = answer(bundled, "<lora:stripes:1> a zebrastripe horse")
    finally:
        path.unlink()
        bundled.studio.engine.store.refresh()
    (told,) = said["comments"]
    assert "zebrastripe.safetensors was taken, stripes.safetensors not" in told


def test_one_that_does_not_fit_is_told(bundled: Any) -> None:
    """The LoRA draws, the embedding's name is read as words."""
    _, said = answer(bundled, "<lora:foreign:1> a zebrastripe horse")
    (told,) = said["comments"]
    assert "made for SDXL" in told
    assert "read as plain words" in told

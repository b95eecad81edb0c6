"""LoRAs in some blocks, steps and ranks only, through the API."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.studio import networks
from tests.studio.api.test_networks import TOLERANCE, differ, drawn, info, pixels


@pytest.fixture(scope="module")
def models(running) -> Iterator[Path]:
    """The models folder with a LoRA for the starter, gone afterwards."""
    root = running.home / "models"
    networks.write(root / "Lora/first.safetensors", networks.kohya(networks.pairs(1)))
    running.studio.engine.store.refresh()
    yield root
    shutil.rmtree(root / "Lora")
    running.studio.engine.store.refresh()


@pytest.mark.parametrize(
    ("said", "word"),
    [("1:lbw=OUTALLL", "none of the presets"), ("1:lbw=1,2", "block weights"), ("1:lbwe=ATTNDEEPON", "lbwe")],
)
def test_a_limit_that_counts_for_nothing(running, models, said, word) -> None:
    """The LoRA is at work as without it, and the answer says that it was passed over, and why."""
    answer = running.draw(prompt=f"x <lora:first:{said}>")
    (note,) = info(answer)["comments"]
    assert word in note
    assert "counts for nothing" in note
    assert differ(pixels(answer), drawn(running, "x <lora:first:1>")) <= TOLERANCE


def test_limits_side_by_side(running, models) -> None:
    """People with the same LoRA in other blocks, steps and ranks get their own pictures in any company."""
    says = ["1", "1:lbw=INALL", "1:lbw=NONE", "1:start=3", "1:stop=3", "1:dyn=1", "1:0:8"]
    alone = [drawn(running, f"x <lora:first:{said}>", steps=4) for said in says]
    assert all(differ(one, other) > 0 for n, one in enumerate(alone) for other in alone[:n])
    with ThreadPoolExecutor(len(says)) as threads:
        asked = [
            threads.submit(running.draw, f"owner{number}", prompt=f"x <lora:first:{said}>", steps=4)
            for number, said in enumerate(says)
        ]
    for before, one in zip(alone, asked, strict=True):
        assert differ(before, pixels(one.result())) <= TOLERANCE


def test_named_twice_with_other_limits(running, models) -> None:
    """Each counts where it is limited to, and the infotext has the file's hash once."""
    answer = running.draw(prompt="x <lora:first:1:lbw=INALL> <lora:first:1:lbw=OUTALL>")
    assert info(answer)["infotexts"][0].count("first: ") == 1
